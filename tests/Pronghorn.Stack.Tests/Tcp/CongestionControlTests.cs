// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 5681 and RFC 9438 against their formulas.</summary>
public sealed class CongestionControlTests
{
    private const int Mss = 1000;

    private static TransmissionControlBlock Make(CongestionAlgorithm algorithm, int segments)
    {
        TransmissionControlBlock tcb = default;
        tcb.SendMss = Mss;
        tcb.Congestion = algorithm;
        CongestionControl.Initialize(ref tcb);
        tcb.Cwnd = segments * Mss;
        return tcb;
    }

    /// <summary>Acknowledges one full window over a round trip.</summary>
    private static void Round(ref TransmissionControlBlock tcb, Instant start, Duration rtt)
    {
        int segments = tcb.Cwnd / Mss;
        for (int i = 0; i < segments; i++)
        {
            tcb.Flags |= TcbFlags.CongestionLimited;
            CongestionControl.OnAck(ref tcb, Mss, start + (rtt * i / segments));
        }
    }

    [Fact]
    public void SlowStart_DoublesInARound()
    {
        TransmissionControlBlock tcb = Make(CongestionAlgorithm.Cubic, 10);
        Round(ref tcb, new Instant(1), Duration.FromMilliseconds(100));
        Assert.Equal(20 * Mss, tcb.Cwnd);
    }

    [Fact]
    public void WindowThatIsNotUsed_DoesNotGrow()
    {
        TransmissionControlBlock tcb = Make(CongestionAlgorithm.Cubic, 10);
        CongestionControl.OnAck(ref tcb, Mss, new Instant(1));
        Assert.Equal(10 * Mss, tcb.Cwnd);
    }

    [Fact]
    public void Reno_GrowsByOneSegmentInARound()
    {
        TransmissionControlBlock tcb = Make(CongestionAlgorithm.NewReno, 20);
        tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        Assert.Equal(10 * Mss, tcb.SsThresh);
        tcb.Cwnd = tcb.SsThresh;
        for (int round = 1; round <= 20; round++)
        {
            Round(ref tcb, new Instant(round), Duration.FromMilliseconds(100));
            Assert.Equal((10 + round) * Mss, tcb.Cwnd);
        }
    }

    [Theory]
    [InlineData(100, 100)]
    [InlineData(500, 100)]
    [InlineData(1000, 50)]
    public void Cubic_FollowsItsCurve(int segments, int rttMilliseconds)
    {
        Duration rtt = Duration.FromMilliseconds(rttMilliseconds);
        TransmissionControlBlock tcb = Make(CongestionAlgorithm.Cubic, segments);
        tcb.SmoothedRtt = rtt;
        tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        Assert.Equal((int)(segments * Mss * 0.7), tcb.SsThresh);
        tcb.Cwnd = tcb.SsThresh;
        double k = Math.Cbrt(segments * 0.3 / 0.4);
        double reno = segments * 0.7;
        var start = new Instant(5_000_000_000);
        Instant now = start;
        double end = 2 * k;
        while ((now - start).Nanoseconds / 1e9 < end)
        {
            double before = (double)tcb.Cwnd / Mss;
            Round(ref tcb, now, rtt);
            now += rtt;
            double t = (now - start).Nanoseconds / 1e9;
            reno += reno < segments ? 3 * 0.3 / 1.7 : 1;
            double target = Math.Max(reno, (0.4 * Math.Pow(t - k, 3)) + segments);
            double cwnd = (double)tcb.Cwnd / Mss;
            Assert.InRange(cwnd, (target * 0.93) - 2, (target * 1.07) + 2);
            Assert.InRange(cwnd, before, before * 1.5);
        }
    }

    [Fact]
    public void Cubic_SecondLossBelowTheFirst_GivesRoom()
    {
        TransmissionControlBlock tcb = Make(CongestionAlgorithm.Cubic, 100);
        tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        Assert.Equal(100, tcb.Cubic.WMax, 3);
        tcb.Cwnd = 80 * Mss;
        CongestionControl.ThresholdAfterLoss(ref tcb);
        Assert.Equal(80 * 0.85, tcb.Cubic.WMax, 3);
    }

    [Fact]
    public void Threshold_IsNeverBelowTwoSegments()
    {
        foreach (CongestionAlgorithm algorithm in new[] { CongestionAlgorithm.Cubic, CongestionAlgorithm.NewReno })
        {
            TransmissionControlBlock tcb = Make(algorithm, 1);
            Assert.Equal(2 * Mss, CongestionControl.ThresholdAfterLoss(ref tcb));
        }
    }
}
