// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// HyStart++ (RFC 9406): the first slow start ends when a queue shows by its delay, before it overflows. Linux has the
/// older HyStart; RFC 9438 4.10 asks for one of them, and this one takes a late segment back that was no queue.
/// </summary>
/// <remarks>
/// L of RFC 9406 4.3 is infinite here, as it is in Linux, although nothing is paced: peers that coalesce acknowledge 64 KiB
/// at once, and eight segments for that would be no slow start any more. A window that is not used is not judged either,
/// or the jitter of a program's answers would end slow start at ten segments.
/// </remarks>
internal static class HyStart
{
    // RFC 9406 4.3.
    private const int MinimumRttDivisor = 8;
    private const int SamplesForARound = 8;
    private const int ConservativeGrowthDivisor = 4;
    private const int ConservativeRounds = 5;

    private static readonly Duration s_leastRise = Duration.FromMilliseconds(4);
    private static readonly Duration s_mostRise = Duration.FromMilliseconds(16);

    public static void Initialize(ref TransmissionControlBlock tcb)
    {
        tcb.HyStart = default;
        tcb.HyStart.WindowEnd = tcb.SndNxt;
    }

    /// <summary>An acknowledgment in the first slow start.</summary>
    /// <param name="tcb">The connection; its threshold is set when slow start is to end.</param>
    /// <param name="acked">Newly acknowledged bytes.</param>
    /// <param name="rtt">Round-trip time of the segment acknowledged soonest; zero when none was measured.</param>
    /// <returns>How many bytes the window grows by.</returns>
    public static int OnAck(ref TransmissionControlBlock tcb, int acked, Duration rtt)
    {
        ref HyStartState state = ref tcb.HyStart;
        int growth = state.IsConservative ? acked / ConservativeGrowthDivisor : acked;
        if (rtt > Duration.Zero)
        {
            state.RoundRtt = state.RoundRtt == Duration.Zero ? rtt : Duration.Min(state.RoundRtt, rtt);
            if (state.Samples < SamplesForARound)
            {
                state.Samples++;
            }

            if (state.Samples >= SamplesForARound)
            {
                Judge(ref state);
            }
        }

        if (tcb.SndUna >= state.WindowEnd)
        {
            EndRound(ref tcb, growth);
        }

        return growth;
    }

    private static void Judge(ref HyStartState state)
    {
        if (state.IsConservative)
        {
            if (state.RoundRtt < state.BaselineRtt)
            {
                // It was jitter: the delay has gone, so no queue stands.
                state.BaselineRtt = Duration.Zero;
                state.ConservativeRounds = 0;
            }

            return;
        }

        if (state.LastRoundRtt == Duration.Zero)
        {
            return;
        }

        Duration rise = Duration.Max(s_leastRise, Duration.Min(state.LastRoundRtt / MinimumRttDivisor, s_mostRise));
        if (state.RoundRtt >= state.LastRoundRtt + rise)
        {
            state.BaselineRtt = state.RoundRtt;
        }
    }

    private static void EndRound(ref TransmissionControlBlock tcb, int growth)
    {
        ref HyStartState state = ref tcb.HyStart;
        if (state.IsConservative && ++state.ConservativeRounds >= ConservativeRounds)
        {
            tcb.SsThresh = tcb.Cwnd + growth;
            return;
        }

        state.LastRoundRtt = state.RoundRtt;
        state.RoundRtt = Duration.Zero;
        state.Samples = 0;
        state.WindowEnd = tcb.SndNxt;
    }
}

/// <summary>What HyStart++ remembers of the first slow start (RFC 9406 4.2). Zero stands for the RFC's infinity.</summary>
public struct HyStartState
{
    /// <summary>windowEnd: the round ends when this is acknowledged.</summary>
    public SeqNumber WindowEnd;

    /// <summary>lastRoundMinRTT.</summary>
    public Duration LastRoundRtt;

    /// <summary>currentRoundMinRTT.</summary>
    public Duration RoundRtt;

    /// <summary>cssBaselineMinRtt; set in conservative slow start only.</summary>
    public Duration BaselineRtt;

    /// <summary>rttSampleCount, counted as far as it matters.</summary>
    public byte Samples;

    /// <summary>Rounds that conservative slow start has lasted.</summary>
    public byte ConservativeRounds;

    /// <summary>Whether slow start goes at a quarter of its pace to see whether the delay stays.</summary>
    public readonly bool IsConservative => BaselineRtt != Duration.Zero;
}
