// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Stack.Tcp;

/// <summary>Round-trip time and retransmission time-out, RFC 6298 section 2.</summary>
internal static class RttEstimator
{
    /// <summary>Takes a measurement and sets SRTT, RTTVAR and RTO.</summary>
    public static void Sample(ref TransmissionControlBlock tcb, Duration measured)
    {
        if (measured.Nanoseconds <= 0)
        {
            measured = new Duration(1);
        }

        if (tcb.MinimumRtt.Nanoseconds == 0 || measured < tcb.MinimumRtt)
        {
            tcb.MinimumRtt = measured;
        }

        if (tcb.SmoothedRtt.Nanoseconds == 0)
        {
            // RFC 6298 (2.2).
            tcb.SmoothedRtt = measured;
            tcb.RttVariation = measured / 2;
        }
        else
        {
            // RFC 6298 (2.3), alpha 1/8 and beta 1/4.
            long error = tcb.SmoothedRtt.Nanoseconds - measured.Nanoseconds;
            long variation = tcb.RttVariation.Nanoseconds;
            variation += ((error < 0 ? -error : error) - variation) / 4;
            tcb.RttVariation = new Duration(variation);
            tcb.SmoothedRtt = new Duration(tcb.SmoothedRtt.Nanoseconds - (error / 8));
        }

        Update(ref tcb);
    }

    /// <summary>RTO from SRTT and RTTVAR. Linux bounds the variation's part, not the sum, by its least RTO.</summary>
    public static void Update(ref TransmissionControlBlock tcb)
    {
        Duration spread = Duration.Max(tcb.RttVariation * 4, Limits.MinimumRto);
        tcb.RetransmissionTimeout = Duration.Min(tcb.SmoothedRtt + spread, Limits.MaximumRto);
    }

    /// <summary>RTO with the back-off of RFC 6298 (5.5).</summary>
    public static Duration BackedOff(in TransmissionControlBlock tcb)
    {
        int shift = tcb.Backoff < 16 ? tcb.Backoff : 16;
        return Duration.Min(tcb.RetransmissionTimeout * (1L << shift), Limits.MaximumRto);
    }
}
