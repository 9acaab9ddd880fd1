// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>
/// What was sent again and had not been lost: how it is undone (RFC 3522, RFC 3708, RFC 9438 4.9), and what is learned of
/// the path's reordering (RFC 8985 6.2).
/// </summary>
public sealed class NeedlessRetransmissionTests
{
    private const int Mss = 1448;
    private const int Rtt = 40;

    private static TcpFixture Open(CongestionAlgorithm algorithm = CongestionAlgorithm.NewReno)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        settings.Congestion = algorithm;
        var net = new TcpFixture();
        net.StartConnect(settings);
        net.Advance(Rtt);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: net.FullOptions());
        net.PeerNext = 0;
        net.ExpectAll();
        net.ClearEvents();
        return net;
    }

    private static TcpFixture OpenWithFlight(int segments, CongestionAlgorithm algorithm = CongestionAlgorithm.NewReno)
    {
        TcpFixture net = Open(algorithm);
        net.Send(segments * Mss);
        Assert.Equal(segments, net.ExpectAll().Count);
        net.Advance(Rtt);
        net.ExpectAll();
        return net;
    }

    private static int[] Numbers(IEnumerable<SentSegment> segments) =>
        [.. segments.Where(s => s.Length > 0).Select(s => s.Seq / Mss)];

    private static void UntilTimeout(TcpFixture net)
    {
        while (net.Tcb.Recovery != RecoveryState.Loss)
        {
            net.Advance(10);
        }

        net.ExpectAll();
    }

    /// <summary>Two segments, the first lost and found so by time.</summary>
    private static void RecoverFast(TcpFixture net, bool needless = false)
    {
        int una = net.Tcb.SndUna - net.OurOrigin;
        net.Send(2 * Mss);
        net.ExpectAll();
        net.Advance(Rtt);
        net.PeerSack(una, (una + Mss, una + (2 * Mss)));
        net.Advance(2 * Rtt);
        Assert.Equal(RecoveryState.Recovery, net.Tcb.Recovery);
        net.ExpectAll();
        net.PeerSack(una + (2 * Mss), needless ? [(una, una + Mss)] : []);
        net.ExpectAll();
        Assert.True(net.Tcb.Recovery <= RecoveryState.Disorder);
    }

    private static void RecoverByTimeout(TcpFixture net)
    {
        int una = net.Tcb.SndUna - net.OurOrigin;
        net.Send(Mss);
        UntilTimeout(net);
        net.Advance(Rtt);
        net.PeerSack(una + Mss);
        net.ExpectAll();
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
    }

    [Fact]
    public void ReorderingWindow_SixteenRecoveriesWithoutADuplicate_IsNarrowAgain()
    {
        using TcpFixture net = Open();
        RecoverFast(net, needless: true);
        Assert.Equal(2, net.Tcb.RackWindowMultiplier);
        for (int i = 0; i < 15; i++)
        {
            RecoverFast(net);
            Assert.Equal(2, net.Tcb.RackWindowMultiplier);
        }

        RecoverFast(net);
        Assert.Equal(1, net.Tcb.RackWindowMultiplier);
    }

    [Fact]
    public void ReorderingWindow_DuplicateInBetween_LastsSixteenRecoveriesMore()
    {
        using TcpFixture net = Open();
        RecoverFast(net, needless: true);
        for (int i = 0; i < 10; i++)
        {
            RecoverFast(net);
        }

        RecoverFast(net, needless: true);
        Assert.Equal(3, net.Tcb.RackWindowMultiplier);
        for (int i = 0; i < 15; i++)
        {
            RecoverFast(net);
        }

        Assert.Equal(3, net.Tcb.RackWindowMultiplier);
        RecoverFast(net);
        Assert.Equal(1, net.Tcb.RackWindowMultiplier);
    }

    [Fact]
    public void ReorderingWindow_RecoveriesByTimeoutCountToo()
    {
        using TcpFixture net = Open();
        RecoverFast(net, needless: true);
        for (int i = 0; i < 15; i++)
        {
            RecoverByTimeout(net);
        }

        Assert.Equal(2, net.Tcb.RackWindowMultiplier);
        RecoverByTimeout(net);
        Assert.Equal(1, net.Tcb.RackWindowMultiplier);
    }

    [Fact]
    public void ReorderingWindow_TwoDuplicatesInARound_WidenItOnce()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (2 * Mss, 6 * Mss));
        net.PeerSack(0, (2 * Mss, 8 * Mss));
        Assert.Equal([0, 1], Numbers(net.ExpectAll()));
        net.Send(10 * Mss);
        net.PeerSack(6 * Mss, (0, Mss));
        net.PeerSack(6 * Mss, (Mss, 2 * Mss));
        Assert.Equal(2, net.Tcb.RackWindowMultiplier);
    }

    [Fact]
    public void DuplicateAfterAFastRetransmission_PathReorders()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (Mss, 4 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        net.PeerSack(10 * Mss);
        Assert.False(net.Tcb.Has(TcbFlags.ReorderingSeen));
        net.PeerSack(10 * Mss, (0, Mss));
        net.Send(Mss);
        net.PeerSack(11 * Mss, (0, Mss));
        Assert.True(net.Tcb.Has(TcbFlags.ReorderingSeen));
    }

    [Fact]
    public void DuplicateAfterATimeout_AcknowledgmentsWereLost_PathDoesNotReorder()
    {
        using TcpFixture net = OpenWithFlight(4);
        UntilTimeout(net);
        net.PeerSack(4 * Mss, (0, Mss));
        Assert.False(net.Tcb.Has(TcbFlags.ReorderingSeen));
    }

    [Fact]
    public void DuplicateAfterATailProbe_PathDoesNotReorder()
    {
        using TcpFixture net = Open();
        RecoverFast(net);
        int una = net.Tcb.SndUna - net.OurOrigin;
        net.Send(2 * Mss);
        net.ExpectAll();
        Assert.Equal(una + Mss, net.ExpectWithin(Duration.FromSeconds(1)).Seq);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpLossProbes]);
        net.PeerSack(una + (2 * Mss), (una + Mss, una + (2 * Mss)));
        Assert.False(net.Tcb.Has(TcbFlags.ReorderingSeen));
    }

    [Fact]
    public void OneBlockForTwoDuplicates_CallsBothNeedless()
    {
        using TcpFixture net = OpenWithFlight(10);
        int window = net.Tcb.Cwnd;
        net.PeerSack(0, (2 * Mss, 6 * Mss));
        net.PeerSack(0, (2 * Mss, 8 * Mss));
        Assert.Equal([0, 1], Numbers(net.ExpectAll()));
        net.PeerSack(10 * Mss, (0, 2 * Mss));
        Assert.Equal(1, net.Stack.Counters[Counter.TcpUndos]);
        Assert.Equal(window, net.Tcb.Cwnd);
    }

    [Fact]
    public void OneOfTwoWasNeedless_NothingIsUndone()
    {
        using TcpFixture net = OpenWithFlight(10);
        net.PeerSack(0, (2 * Mss, 6 * Mss));
        net.PeerSack(0, (2 * Mss, 8 * Mss));
        Assert.Equal([0, 1], Numbers(net.ExpectAll()));
        net.PeerSack(10 * Mss, (0, Mss));
        Assert.Equal(0, net.Stack.Counters[Counter.TcpUndos]);
        Assert.Equal(5 * Mss, net.Tcb.Cwnd);
    }

    [Fact]
    public void Undo_CubicGoesOnAsIfNothingHadBeen()
    {
        using TcpFixture net = OpenWithFlight(10, CongestionAlgorithm.Cubic);
        CubicState before = net.Tcb.Cubic;
        int threshold = net.Tcb.SsThresh;
        net.PeerSack(0, (Mss, 4 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        Assert.NotEqual(before, net.Tcb.Cubic);
        net.PeerSack(10 * Mss, (0, Mss));
        Assert.Equal(before, net.Tcb.Cubic);
        Assert.Equal(threshold, net.Tcb.SsThresh);
    }

    [Fact]
    public void LateOriginal_ItsEchoEndsTheRecovery_AndThePathReorders()
    {
        using TcpFixture net = Open();
        net.Send(10 * Mss);
        SentSegment original = net.ExpectAll()[0];
        int window = net.Tcb.Cwnd;
        net.Advance(Rtt);
        net.PeerSack(0, (Mss, 6 * Mss));
        Assert.Equal([0], Numbers(net.ExpectAll()));
        Assert.Equal(RecoveryState.Recovery, net.Tcb.Recovery);
        net.Advance(1);
        var options = new TcpOptions
        {
            HasTimestamps = true, TimestampValue = net.PeerClock, TimestampEcho = original.Options.TimestampValue,
        };
        net.Peer(TcpFlags.Ack, ack: 6 * Mss, options: options);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpUndos]);
        Assert.True(net.Tcb.Cwnd >= window);
        Assert.True(net.Tcb.Has(TcbFlags.ReorderingSeen));
        Assert.Equal(7, net.Tcb.Reordering);
    }

    [Fact]
    public void AnswerSoonAfterARetransmission_CondemnsNothing()
    {
        using TcpFixture net = Open();
        for (int i = 0; i < 8; i++)
        {
            // A queue stands: round trips are five times the least one.
            net.Send(Mss);
            net.ExpectAll();
            net.Advance(5 * Rtt);
            net.ExpectAll();
            net.Peer(TcpFlags.Ack);
        }

        int una = net.Tcb.SndUna - net.OurOrigin;
        net.Send(10 * Mss);
        net.ExpectAll();
        net.Advance(2 * Rtt);
        net.PeerSack(una, (una + Mss, una + (4 * Mss)));
        Assert.Equal([una / Mss], Numbers(net.ExpectAll()));

        // Later than the least round-trip time, yet of the first transmission.
        net.Advance(Rtt + 5);
        net.PeerSack(una + (4 * Mss));
        net.Advance(1);
        Assert.DoesNotContain(net.ExpectAll(), s => s.Length > 0 && s.Seq < una + (10 * Mss));
    }
}
