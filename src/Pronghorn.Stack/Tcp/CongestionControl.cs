// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// How the congestion window grows and shrinks: NewReno (RFC 5681, 6582) and CUBIC (RFC 9438), both after
/// <see cref="HyStart"/>.
/// </summary>
internal static class CongestionControl
{
    // RFC 9438 4.6 and 5: beta_cubic and C.
    private const double CubicBeta = 0.7;
    private const double CubicC = 0.4;

    // RFC 9438 4.3: makes CUBIC's estimate grow as fast as Reno would on the same path.
    private const double CubicAlpha = 3.0 * (1.0 - CubicBeta) / (1.0 + CubicBeta);

    // Above this a window cannot be used: window scaling ends at 1 GiB.
    private const int MaximumWindow = 1 << 30;

    public static void Initialize(ref TransmissionControlBlock tcb)
    {
        tcb.Cwnd = Limits.InitialWindowSegments * tcb.SendMss;
        tcb.SsThresh = TransmissionControlBlock.InfiniteSsThresh;
        tcb.CwndCredit = 0;
        tcb.Cubic = default;
        tcb.Cubic.EpochStart = Instant.Never;
        HyStart.Initialize(ref tcb);
    }

    /// <summary>New data was acknowledged outside of recovery.</summary>
    /// <param name="tcb">The connection.</param>
    /// <param name="acked">Newly acknowledged bytes.</param>
    /// <param name="now">The present.</param>
    /// <param name="rtt">Round-trip time of the segment acknowledged soonest; zero when none was measured.</param>
    public static void OnAck(ref TransmissionControlBlock tcb, int acked, Instant now, Duration rtt = default)
    {
        // RFC 7661's thought, Linux's rule: a window that was not used proves nothing and does not grow.
        if (!tcb.Has(TcbFlags.CongestionLimited))
        {
            return;
        }

        if (tcb.SsThresh == TransmissionControlBlock.InfiniteSsThresh)
        {
            tcb.Cwnd = Math.Min(tcb.Cwnd + HyStart.OnAck(ref tcb, acked, rtt), MaximumWindow);
            return;
        }

        if (tcb.Cwnd < tcb.SsThresh)
        {
            int room = tcb.SsThresh - tcb.Cwnd;
            int growth = Math.Min(acked, room);
            tcb.Cwnd = Math.Min(tcb.Cwnd + growth, MaximumWindow);
            acked -= growth;
            if (acked == 0)
            {
                return;
            }
        }

        if (tcb.Congestion == CongestionAlgorithm.NewReno)
        {
            GrowReno(ref tcb, acked);
        }
        else
        {
            GrowCubic(ref tcb, acked, now);
        }
    }

    /// <summary>
    /// Sending begins again after a pause: the window decays by half each RTO, down to the initial window (RFC 5681 4.1,
    /// RFC 2861, Linux: tcp_cwnd_restart).
    /// </summary>
    public static void OnRestart(ref TransmissionControlBlock tcb, Duration idle)
    {
        int least = Math.Min(Limits.InitialWindowSegments * tcb.SendMss, tcb.Cwnd);
        if (idle <= tcb.RetransmissionTimeout || tcb.Cwnd <= least)
        {
            return;
        }

        tcb.SsThresh = Math.Max(tcb.SsThresh, tcb.Cwnd - (tcb.Cwnd / 4));
        while (idle > tcb.RetransmissionTimeout && tcb.Cwnd > least)
        {
            idle -= tcb.RetransmissionTimeout;
            tcb.Cwnd /= 2;
        }

        tcb.Cwnd = Math.Max(tcb.Cwnd, least);
        tcb.CwndCredit = 0;
        tcb.Cubic.EpochStart = Instant.Never;
    }

    /// <summary>The threshold after a loss: RFC 5681 (4), RFC 9438 4.6.</summary>
    public static int ThresholdAfterLoss(ref TransmissionControlBlock tcb)
    {
        int floor = 2 * tcb.SendMss;
        if (tcb.Congestion == CongestionAlgorithm.NewReno)
        {
            return Math.Max(tcb.Cwnd / 2, floor);
        }

        double segments = (double)tcb.Cwnd / tcb.SendMss;

        // RFC 9438 4.7, fast convergence: give room to newcomers when the window shrinks again before it recovered.
        tcb.Cubic.WMax = segments < tcb.Cubic.WMax ? segments * (1.0 + CubicBeta) / 2.0 : segments;
        tcb.Cubic.EpochStart = Instant.Never;
        return Math.Max((int)(tcb.Cwnd * CubicBeta), floor);
    }

    private static void GrowReno(ref TransmissionControlBlock tcb, int acked)
    {
        tcb.CwndCredit += acked;
        if (tcb.CwndCredit >= tcb.Cwnd)
        {
            tcb.CwndCredit -= tcb.Cwnd;
            tcb.Cwnd = Math.Min(tcb.Cwnd + tcb.SendMss, MaximumWindow);
        }
    }

    private static void GrowCubic(ref TransmissionControlBlock tcb, int acked, Instant now)
    {
        double cwnd = (double)tcb.Cwnd / tcb.SendMss;
        ref CubicState cubic = ref tcb.Cubic;
        if (!cubic.EpochStart.IsSet)
        {
            cubic.EpochStart = now;
            cubic.CwndEpoch = cwnd;
            cubic.WEst = cwnd;
            if (cubic.WMax < cwnd)
            {
                cubic.WMax = cwnd;
            }

            cubic.K = Math.Cbrt((cubic.WMax - cwnd) / CubicC);
        }

        double segmentsAcked = (double)acked / tcb.SendMss;
        double alpha = cubic.WEst >= cubic.WMax ? 1.0 : CubicAlpha;
        cubic.WEst += alpha * (segmentsAcked / cwnd);

        // RFC 9438 4.2: where W_cubic(t + RTT) stands, within [cwnd, 1.5 cwnd].
        double t = ((now - cubic.EpochStart).Nanoseconds + tcb.SmoothedRtt.Nanoseconds) / 1e9;
        double offset = t - cubic.K;
        double target = (CubicC * offset * offset * offset) + cubic.WMax;
        target = Math.Clamp(target, cwnd, 1.5 * cwnd);
        double growth = (target - cwnd) / cwnd * segmentsAcked;

        // RFC 9438 4.3: never slower than Reno.
        double next = Math.Max(cwnd + growth, cubic.WEst);
        double bytes = (next - cwnd) * tcb.SendMss;
        tcb.CwndCredit += (int)(bytes * 256);
        tcb.Cwnd = Math.Min(tcb.Cwnd + (tcb.CwndCredit >> 8), MaximumWindow);
        tcb.CwndCredit &= 255;
    }
}
