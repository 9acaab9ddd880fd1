// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 9293 3.8.6.3, RFC 5681 4.2: when we acknowledge.</summary>
public sealed class DelayedAckTests
{
    private static TcpFixture Open(bool quick = false)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        settings.QuickAck = quick;
        TcpFixture net = new TcpFixture().Accept(settings);
        net.UseUpQuickAcks();
        return net;
    }

    [Fact]
    public void NewConnection_FirstSegmentsAreAcknowledgedAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        int atOnce = 0;
        for (int i = 0; i < 20; i++)
        {
            net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1));
            atOnce += net.ExpectAll().Count;
        }

        Assert.InRange(atOnce, 14, 16);
    }

    [Fact]
    public void OneSmallSegment_IsAcknowledgedAfterFortyMilliseconds()
    {
        using TcpFixture net = Open();
        Instant start = net.Now;
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.ExpectNothing();
        SentSegment ack = net.ExpectWithin(Duration.FromMilliseconds(100));
        Assert.InRange((ack.Time - start).Milliseconds, 40, 41);
        Assert.Equal(net.PeerNext, ack.Ack);
        net.Advance(1000);
        net.ExpectNothing();
    }

    [Fact]
    public void SecondFullSegment_IsAcknowledgedAtOnce()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1460));
        net.ExpectNothing();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1460));
        Assert.Equal(net.PeerNext, Assert.Single(net.ExpectAll()).Ack);
    }

    [Fact]
    public void Answer_CarriesTheAcknowledgment()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.ExpectNothing();
        net.Read();
        net.Send(20);
        SentSegment answer = Assert.Single(net.ExpectAll());
        Assert.Equal(net.PeerNext, answer.Ack);
        Assert.Equal(20, answer.Length);
        net.Peer(TcpFlags.Ack);
        net.Advance(1000);
        net.ExpectNothing();
    }

    [Fact]
    public void QuickAck_IsAcknowledgedAtOnce()
    {
        using TcpFixture net = Open(quick: true);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext, net.Expect().Ack);
    }

    [Fact]
    public void SegmentsOfOneBatch_AreAcknowledgedOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Assert.True(net.Tcb.QuickAcksLeft > 0);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Single(net.ExpectAll());
    }

    [Fact]
    public void UserReads_WindowThatIsAsLargeAsItGets_IsNotToldAgain()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.Read();
        net.ExpectNothing();
    }

    [Fact]
    public void SegmentThatFillsAHole_IsAcknowledgedAtOnce()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, net.PeerNext + 10, payload: TcpFixture.Bytes(10));
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, net.PeerNext, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext + 20, net.Expect().Ack);
    }

    private static int AcksForABatchOfFour(TcpFixture net)
    {
        net.PeerBatch(4, 1460);
        int acks = net.ExpectAll().Count;
        net.Read();
        net.ExpectAll();
        return acks;
    }

    [Fact]
    public void FourSegmentsInABatch_OneAcknowledgment_ButTwoWhereLossShowed()
    {
        using TcpFixture net = Open();
        Assert.Equal(1, AcksForABatchOfFour(net));

        // A hole and its repair; the acknowledgments that follow at once because of it are used up.
        net.Peer(TcpFlags.Ack, net.PeerNext + 10, payload: TcpFixture.Bytes(10));
        net.Peer(TcpFlags.Ack, net.PeerNext, payload: TcpFixture.Bytes(10));
        net.PeerNext += 20;
        net.UseUpQuickAcks();
        Assert.Equal(2, AcksForABatchOfFour(net));
        net.Advance(Limits.LossyPath);
        net.UseUpQuickAcks();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1));
        net.ExpectWithin(Duration.FromMilliseconds(100));
        net.UseUpQuickAcks();
        Assert.Equal(1, AcksForABatchOfFour(net));
    }

    [Fact]
    public void SenderRepeatsItself_NextSegmentIsAcknowledgedAtOnce_AlsoInADialogue()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.Read();
        net.Send(10);
        net.ExpectAll();
        Assert.True(net.Tcb.Has(TcbFlags.Interactive));

        // Half old, half new.
        net.Peer(TcpFlags.Ack, net.PeerNext - 10, payload: TcpFixture.Bytes(20));
        net.PeerNext += 10;
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext, net.Expect().Ack);
    }

    [Fact]
    public void PauseLongerThanTheTimeout_NextSegmentIsAcknowledgedAtOnce()
    {
        using TcpFixture net = Open();
        net.Advance(net.Tcb.RetransmissionTimeout + Duration.FromMilliseconds(1));
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext, net.Expect().Ack);
    }

    [Fact]
    public void HoleIsFilled_TheSegmentAfterItIsAcknowledgedAtOnceToo()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, net.PeerNext + 10, payload: TcpFixture.Bytes(10));
        net.Peer(TcpFlags.Ack, net.PeerNext, payload: TcpFixture.Bytes(10));
        net.PeerNext += 20;
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext, net.Expect().Ack);
    }

    [Fact]
    public void DialogueWithoutAnAnswer_IsNoneAnyMore()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.Read();
        net.Send(10);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, net.PeerNext + 10, payload: TcpFixture.Bytes(10));
        net.Peer(TcpFlags.Ack, net.PeerNext, payload: TcpFixture.Bytes(10));
        net.PeerNext += 20;
        net.ExpectAll();
        Assert.True(net.Tcb.Has(TcbFlags.Interactive) && net.Tcb.QuickAcksLeft > 1);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.ExpectNothing();
        net.ExpectWithin(Duration.FromMilliseconds(100));
        Assert.True(net.Tcb.QuickAcksLeft > 0);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(net.PeerNext, net.Expect().Ack);
    }
}
