// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>HyStart++ against RFC 9406 4.2 and 4.3.</summary>
public sealed class HyStartTests
{
    private const int Mss = 1000;

    private static TransmissionControlBlock Make(CongestionAlgorithm algorithm = CongestionAlgorithm.Cubic)
    {
        TransmissionControlBlock tcb = default;
        tcb.SendMss = Mss;
        tcb.Congestion = algorithm;
        tcb.SndUna = new SeqNumber(uint.MaxValue - 5000);
        tcb.SndNxt = tcb.SndUna;
        CongestionControl.Initialize(ref tcb);
        tcb.Cwnd = 10 * Mss;
        return tcb;
    }

    /// <summary>Sends one window and has it acknowledged segment by segment.</summary>
    private static void Round(ref TransmissionControlBlock tcb, int rttMilliseconds, int samples = int.MaxValue, bool used = true)
    {
        int segments = tcb.Cwnd / Mss;
        tcb.SndNxt = tcb.SndUna + (segments * Mss);
        tcb.HyStart.WindowEnd = tcb.SndNxt;
        for (int i = 0; i < segments; i++)
        {
            tcb.SndUna += Mss;
            tcb.SndNxt += Mss;
            tcb.Flags = used ? TcbFlags.CongestionLimited : TcbFlags.None;
            Duration rtt = i < samples ? Duration.FromMilliseconds(rttMilliseconds) : Duration.Zero;
            CongestionControl.OnAck(ref tcb, Mss, new Instant(1), rtt);
        }

        tcb.SndNxt = tcb.SndUna;
    }

    [Theory]
    [InlineData(CongestionAlgorithm.Cubic)]
    [InlineData(CongestionAlgorithm.NewReno)]
    public void DelayRisesAndStays_SlowStartGoesOnAtAQuarter_AndEndsAfterFiveRounds(CongestionAlgorithm algorithm)
    {
        TransmissionControlBlock tcb = Make(algorithm);
        Round(ref tcb, 40);
        Assert.Equal(20 * Mss, tcb.Cwnd);
        Round(ref tcb, 45);

        // Seven samples say nothing; the eighth ends the doubling.
        Assert.True(tcb.HyStart.IsConservative);
        Assert.Equal((20 + 8 + (12 / 4)) * Mss, tcb.Cwnd);
        for (int round = 2; round <= 5; round++)
        {
            Assert.Equal(TransmissionControlBlock.InfiniteSsThresh, tcb.SsThresh);
            int before = tcb.Cwnd / Mss * Mss;
            Round(ref tcb, 45);
            Assert.InRange(tcb.Cwnd, before + (before / 4), before + (before / 4) + Mss);
        }

        Assert.Equal(tcb.Cwnd, tcb.SsThresh);
        int window = tcb.Cwnd;
        Round(ref tcb, 45);
        Assert.InRange(tcb.Cwnd, window, window + (2 * Mss));
    }

    [Fact]
    public void DelayFallsBack_SlowStartGoesOn()
    {
        TransmissionControlBlock tcb = Make();
        Round(ref tcb, 40);
        Round(ref tcb, 60);
        Assert.True(tcb.HyStart.IsConservative);
        Round(ref tcb, 40);
        Assert.False(tcb.HyStart.IsConservative);
        int before = tcb.Cwnd / Mss * Mss;
        Round(ref tcb, 40);
        Assert.True(tcb.Cwnd >= 2 * before);
        Assert.Equal(TransmissionControlBlock.InfiniteSsThresh, tcb.SsThresh);
    }

    [Theory]
    [InlineData(1, 4, false)]
    [InlineData(1, 5, true)]
    [InlineData(80, 89, false)]
    [InlineData(80, 90, true)]
    [InlineData(400, 415, false)]
    [InlineData(400, 416, true)]
    public void RiseOfAnEighth_AtLeastFourAndAtMostSixteenMilliseconds_IsAQueue(int first, int second, bool queue)
    {
        TransmissionControlBlock tcb = Make();
        Round(ref tcb, first);
        Round(ref tcb, second);
        Assert.Equal(queue, tcb.HyStart.IsConservative);
    }

    [Fact]
    public void FewerThanEightSamples_ProveNothing()
    {
        TransmissionControlBlock tcb = Make();
        Round(ref tcb, 40);
        Round(ref tcb, 400, samples: 7);
        Assert.False(tcb.HyStart.IsConservative);
        Assert.Equal(40 * Mss, tcb.Cwnd);
    }

    [Fact]
    public void WindowThatIsNotUsed_IsNotJudged()
    {
        TransmissionControlBlock tcb = Make();
        Round(ref tcb, 40);
        Round(ref tcb, 400, used: false);
        Assert.False(tcb.HyStart.IsConservative);
        Assert.Equal(20 * Mss, tcb.Cwnd);
    }

    [Fact]
    public void SlowStartAfterALoss_IsTheOldOne()
    {
        TransmissionControlBlock tcb = Make();
        tcb.Cwnd = 80 * Mss;
        tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        tcb.Cwnd = 10 * Mss;
        Round(ref tcb, 40);
        Round(ref tcb, 400);
        Assert.Equal(40 * Mss, tcb.Cwnd);
        Assert.False(tcb.HyStart.IsConservative);
    }
}
