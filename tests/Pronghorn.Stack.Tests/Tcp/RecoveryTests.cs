// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Loss recovery with SACK: RFC 6675, RACK-TLP (RFC 8985), PRR (RFC 6937), undo (RFC 3522, RFC 3708).</summary>
public sealed class RecoveryTests
{
    private const int Mss = 1448;
    private const int Rtt = 40;

    private static TcpFixture Open()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        settings.Congestion = CongestionAlgorithm.NewReno;
        var net = new TcpFixture();
        net.StartConnect(settings);
        net.Advance(Rtt);

        // The peer's timestamps are on for the whole connection.
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: net.FullOptions());
        net.PeerNext = 0;
        net.Expect();
        net.ClearEvents();
        return net;
    }

    private static TcpFixture OpenWithFlight(int segments)
    {
        TcpFixture net = Open();
        net.Send(segments * Mss);
        Assert.Equal(segments, net.ExpectAll().Count);
        net.Advance(Rtt);
        net.ExpectAll();
        return net;
    }

    private static int[] Numbers(IEnumerable<SentSegment> segments) =>
        [.. segments.Where(s => s.Length > 0).Select(s => s.Seq / Mss)];

    [Fact]
    public void ThreeSegmentsAboveAHole_HoleIsSentAgain()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 2 * Mss));
        net.PeerSack(0, (Mss, 3 * Mss));
        Assert.Empty(Numbers(net.ExpectAll()));
        net.PeerSack(0, (Mss, 4 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        Assert.Equal(RecoveryState.Recovery, net.Tcb.Recovery);
        Assert.Equal(5 * Mss, net.Tcb.SsThresh);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpFastRecoveries]);
    }

    [Fact]
    public void TwoHoles_BothAreSentAgainWithinTheReduction()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (3 * Mss, 4 * Mss), (Mss, 2 * Mss));
        net.PeerSack(0, (3 * Mss, 6 * Mss), (Mss, 2 * Mss));
        net.PeerSack(0, (3 * Mss, 8 * Mss), (Mss, 2 * Mss));
        net.PeerSack(0, (3 * Mss, 10 * Mss), (Mss, 2 * Mss));
        Assert.Equal([0, 2], Numbers(net.ExpectAll()));
        net.Advance(Rtt);
        net.PeerSack(10 * Mss);
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
        Assert.Equal(5 * Mss, net.Tcb.Cwnd);
        Assert.Equal(2, net.Tcb.TotalRetransmissions);
    }

    [Fact]
    public void Reduction_SendsAboutOneSegmentForTwoDelivered()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.Send(20 * Mss);
        net.ExpectAll();
        int sent = 0;
        for (int i = 2; i <= 10; i++)
        {
            net.PeerSack(0, (Mss, i * Mss));
            sent += net.ExpectAll().Count;
        }

        // RFC 6937: ssthresh / RecoverFS = 1/2 of nine segments, the forced retransmission included.
        Assert.InRange(sent, 4, 6);
        Assert.InRange(net.Tcb.Pipe, 4 * Mss, 6 * Mss);
    }

    [Fact]
    public void SomeReordering_WithinAQuarterOfTheRoundTrip_SendsNothingAgain()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 2 * Mss));
        net.PeerSack(0, (Mss, 3 * Mss));
        net.Advance(5);
        net.PeerSack(3 * Mss);
        Assert.Empty(Numbers(net.ExpectAll()));
        Assert.True(net.Tcb.Has(TcbFlags.ReorderingSeen));
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
        net.PeerSack(10 * Mss);

        // The path is known to reorder: now three segments above a hole are no proof, time is.
        net.Send(10 * Mss);
        net.ExpectAll();
        net.Advance(Rtt);
        net.ExpectAll();
        net.PeerSack(10 * Mss, (11 * Mss, 13 * Mss));
        Assert.Empty(Numbers(net.ExpectAll()));
        net.Advance(12);
        Assert.Equal([10], Numbers(net.ExpectAll()));
    }

    [Fact]
    public void ReorderingTimer_SendsAgainWithoutFurtherAcknowledgment()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 2 * Mss));
        Assert.Empty(Numbers(net.ExpectAll()));
        net.Advance(12);
        Assert.Equal([0], Numbers(net.ExpectAll()));
    }

    [Fact]
    public void RetransmissionIsLostToo_IsFoundByTimeWithoutTheTimer()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 8 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        net.Send(10 * Mss);
        int[] fresh = Numbers(net.ExpectAll());
        net.Advance(Rtt);
        net.ExpectAll();
        net.PeerSack(0, (Mss, 10 * Mss));
        fresh = [.. fresh, .. Numbers(net.ExpectAll())];
        Assert.NotEmpty(fresh);
        net.Advance(Rtt + 12);
        net.ExpectAll();
        net.PeerSack(0, (Mss, (10 + fresh.Length) * Mss));
        Assert.Contains(0, Numbers(net.ExpectAll()));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpTimeouts]);
    }

    [Fact]
    public void TailIsLost_ProbeAfterTwoRoundTrips()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        Instant sent = net.ExpectAll()[^1].Time;
        SentSegment probe = net.ExpectWithin(Duration.FromSeconds(1));
        Assert.Equal(4, probe.Seq / Mss);
        Assert.InRange((probe.Time - sent).Milliseconds, 2 * Rtt, (2 * Rtt) + 4);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpLossProbes]);
        Assert.Equal(0, net.Stack.Counters[Counter.TcpTimeouts]);
    }

    [Fact]
    public void TailProbe_DrawsASackThatStartsRecovery()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.ExpectWithin(Duration.FromSeconds(1));
        net.Advance(Rtt);
        net.ExpectAll();
        net.PeerSack(2 * Mss, (4 * Mss, 5 * Mss));
        net.Advance(12);
        Assert.Equal([2, 3], Numbers(net.ExpectAll()));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpTimeouts]);
    }

    [Fact]
    public void TailProbeRepairsTheLoss_CountsAsCongestion()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.ExpectWithin(Duration.FromSeconds(1));
        net.Advance(Rtt);
        net.PeerSack(5 * Mss);
        int before = net.Tcb.Cwnd;
        net.Send(Mss);
        net.Expect();
        net.PeerSack(6 * Mss);
        Assert.True(net.Tcb.Cwnd < before);
    }

    [Fact]
    public void TailProbeWasNeedless_DsackSaysSo_WindowStays()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.ExpectWithin(Duration.FromSeconds(1));
        net.PeerSack(5 * Mss);
        net.PeerSack(5 * Mss, (4 * Mss, 5 * Mss));
        int before = net.Tcb.Cwnd;
        net.Send(Mss);
        net.Expect();
        net.PeerSack(6 * Mss);
        Assert.True(net.Tcb.Cwnd >= before);
    }

    [Fact]
    public void TimeoutWasNeedless_EchoOfTheOriginal_WindowComesBack()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        IReadOnlyList<SentSegment> originals = net.ExpectAll();
        int window = net.Tcb.Cwnd;
        while (net.Tcb.Recovery != RecoveryState.Loss)
        {
            net.Advance(10);
        }

        net.ExpectAll();
        var options = new TcpOptions
        {
            HasTimestamps = true, TimestampValue = net.PeerClock, TimestampEcho = originals[0].Options.TimestampValue,
        };
        net.Peer(TcpFlags.Ack, ack: 2 * Mss, options: options);
        Assert.Equal(window, net.Tcb.Cwnd);
        Assert.NotEqual(RecoveryState.Loss, net.Tcb.Recovery);
        Assert.Equal(0, net.Tcb.LostBytes);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpUndos]);
    }

    [Fact]
    public void EveryRetransmissionIsCalledDuplicate_WindowComesBack()
    {
        using TcpFixture net = OpenWithFlight(10);
        int window = net.Tcb.Cwnd;
        net.PeerSack(0, (Mss, 4 * Mss));
        net.PeerSack(0, (Mss, 10 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        Assert.True(net.Tcb.SsThresh < window);
        net.PeerSack(10 * Mss, (0, Mss));
        Assert.Equal(window, net.Tcb.Cwnd);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpUndos]);
    }

    [Theory]
    [InlineData(-100 * Mss, 10 * Mss)] // before the first byte
    [InlineData(-1_000_000_000, 3 * Mss)]
    [InlineData(3 * Mss, 3 * Mss)] // empty
    [InlineData(4 * Mss, 3 * Mss)] // reversed
    [InlineData(0, 11 * Mss)] // beyond what was sent
    [InlineData(5 * Mss, 10 * Mss)] // on both sides of the acknowledgment
    public void LossRecovered_DsackOfWhatWasNeverSent_NothingIsUndone(int left, int right)
    {
        using TcpFixture net = OpenWithFlight(10);
        int window = net.Tcb.Cwnd;
        net.PeerSack(0, (4 * Mss, 10 * Mss));
        net.PeerSack(0, (4 * Mss, 10 * Mss));
        Assert.Equal([0, 1, 2], Numbers(net.ExpectAll()).Take(3));
        int multiplier = net.Tcb.RackWindowMultiplier;
        net.PeerSack(9 * Mss, (left, right));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpUndos]);
        Assert.True(net.Tcb.Cwnd < window);
        Assert.Equal(multiplier, net.Tcb.RackWindowMultiplier);
    }

    [Fact]
    public void EarlierLosses_DsackFromBeforeTheEpisode_CountsOnlyWhatIsOfIt()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(6 * Mss);
        net.PeerSack(6 * Mss, (9 * Mss, 10 * Mss));
        while (net.Tcb.Recovery != RecoveryState.Loss && net.Tcb.Recovery != RecoveryState.Recovery)
        {
            net.Advance(10);
        }

        while (net.Tcb.UndoRetransmissions < 2)
        {
            net.Advance(10);
        }

        int before = net.Tcb.UndoRetransmissions;
        net.PeerSack(7 * Mss, (0, 7 * Mss));
        Assert.InRange(net.Tcb.UndoRetransmissions, before - 1, int.MaxValue);
        Assert.Equal(0, net.Stack.Counters[Counter.TcpUndos]);
    }

    [Fact]
    public void TimeoutAfterSack_SackedSegmentsAreNotSentAgain()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (2 * Mss, 3 * Mss));
        while (net.Tcb.Recovery != RecoveryState.Loss)
        {
            net.Advance(10);
        }

        net.ExpectAll();
        for (int i = 0; i < 10; i++)
        {
            net.PeerSack(net.Tcb.SndUna - net.OurOrigin + Mss + (i == 1 ? Mss : 0), i == 0 ? [(2 * Mss, 3 * Mss)] : []);
            Assert.DoesNotContain(2, Numbers(net.ExpectAll()));
            if (net.Tcb.FlightSize == 0)
            {
                break;
            }
        }
    }

    [Fact]
    public void PeerForgetsWhatItReported_TimeoutSendsItAgain()
    {
        using TcpFixture net = OpenWithFlight(4);
        net.PeerSack(0, (Mss, 2 * Mss), (2 * Mss, 3 * Mss));
        net.ExpectAll();
        net.PeerSack(Mss);
        net.Advance(Duration.FromSeconds(2));
        Assert.Contains(1, Numbers(net.ExpectAll()));
        Assert.Equal(0, net.Tcb.SackedBytes);
    }

    [Fact]
    public void ImplausibleBlocks_AreIgnored()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (5 * Mss, 5 * Mss), (30 * Mss, 31 * Mss), (7 * Mss, 6 * Mss), (9 * Mss, 90 * Mss));
        Assert.Equal(0, net.Tcb.SackedBytes);
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
    }

    [Fact]
    public void DataWithoutALoss_HighestSackedNumberKeepsUp()
    {
        // Left behind, it would seem to lie ahead after two gigabytes, and every segment would look reordered.
        using TcpFixture net = Open();
        for (int i = 0; i < 4; i++)
        {
            net.Send(3 * Mss);
            net.ExpectAll();
            net.Peer(TcpFlags.Ack);
            Assert.Equal(net.Tcb.SndUna, net.Tcb.HighSacked);
        }

        Assert.False(net.Tcb.Has(TcbFlags.ReorderingSeen));
    }

    [Fact]
    public void BlocksOfOneAcknowledgmentInAnyOrder_AreNoReordering()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (8 * Mss, 9 * Mss), (3 * Mss, 4 * Mss));
        Assert.False(net.Tcb.Has(TcbFlags.ReorderingSeen));
    }

    [Fact]
    public void TailProbe_SendsWhatIsNewBeforeItRepeats()
    {
        using TcpFixture net = Open();
        net.Send(15 * Mss);
        Assert.Equal(10, net.ExpectAll().Count);
        SentSegment probe = net.ExpectWithin(Duration.FromSeconds(1));
        Assert.Equal(10, probe.Seq / Mss);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpLossProbes]);
        Assert.Equal(0, net.Tcb.TotalRetransmissions);
    }

    [Fact]
    public void TailProbeIsNotAnswered_TheTimeoutFollows_NotASecondProbe()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.ExpectWithin(Duration.FromSeconds(1));

        // Progress, but not of what was probed for.
        net.PeerSack(2 * Mss);
        SentSegment next = net.ExpectWithin(Duration.FromSeconds(2));
        Assert.Equal(2, next.Seq / Mss);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpLossProbes]);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpTimeouts]);
    }

    [Fact]
    public void FlightOfOneSegment_IsNotProbed()
    {
        using TcpFixture net = Open();
        net.Send(Mss);
        net.ExpectAll();
        net.ExpectWithin(Duration.FromSeconds(2));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpLossProbes]);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpTimeouts]);
    }

    [Fact]
    public void RecoveryBegins_NoTailProbeInIt()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 2 * Mss));
        net.Advance(12);
        Assert.Equal([0], Numbers(net.ExpectAll()));
        net.Advance(3 * Rtt);
        Assert.Empty(Numbers(net.ExpectAll()));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpLossProbes]);
    }

    [Fact]
    public void Reduction_AboveTheThreshold_SendsTheShareOfRfc6937()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.Send(20 * Mss);
        net.ExpectAll();
        net.PeerSack(0, (Mss, 4 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        var sent = new List<int>();
        var pipe = new List<int>();
        for (int i = 5; i <= 9; i++)
        {
            net.PeerSack(0, (Mss, i * Mss));
            sent.Add(net.ExpectAll().Count);
            pipe.Add(net.Tcb.Pipe / Mss);
        }

        // Half of four delivered is the retransmission and one; then nothing, until the flight is at the threshold; there
        // one goes out for one that arrived.
        Assert.Equal([1, 0, 0, 1, 1], sent);
        Assert.Equal([7, 6, 5, 5, 5], pipe);
    }

    [Fact]
    public void Reduction_BelowTheThreshold_GrowsByOneSegmentForEachDelivered()
    {
        // Seven of ten are lost: less is in flight than the threshold, and the rate may not jump (PRR-SSRB).
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (7 * Mss, 8 * Mss));
        net.PeerSack(0, (7 * Mss, 9 * Mss));
        net.PeerSack(0, (7 * Mss, 10 * Mss));
        Assert.Equal([0, 1], Numbers(net.ExpectAll()));
        net.Advance(Rtt);
        net.ExpectAll();
        net.PeerSack(Mss, (7 * Mss, 10 * Mss));
        Assert.Equal([2, 3], Numbers(net.ExpectAll()));
        net.PeerSack(2 * Mss, (7 * Mss, 10 * Mss));
        Assert.Equal([4, 5], Numbers(net.ExpectAll()));
    }
}
