// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 7323: window scale, timestamps, PAWS; and the negotiation of SACK (RFC 2018).</summary>
public sealed class WindowScaleAndTimestampTests
{
    [Fact]
    public void Syn_OffersEverything()
    {
        using var net = new TcpFixture();
        SentSegment syn = net.StartConnect();
        Assert.Equal(1460, syn.Options.MaximumSegmentSize);
        Assert.True(syn.Options.SackPermitted);
        Assert.True(syn.Options.HasTimestamps);
        Assert.Equal(0u, syn.Options.TimestampEcho);
        Assert.Equal(7, syn.Options.WindowScale);
    }

    [Fact]
    public void PeerOffersNothing_WeUseNothing()
    {
        using TcpFixture net = new TcpFixture().Connect();
        Assert.Equal(TcbFlags.None, net.Tcb.Flags & (TcbFlags.Sack | TcbFlags.Timestamps | TcbFlags.WindowScale));
        net.Send(10);
        SentSegment data = net.Expect();
        Assert.False(data.Options.HasTimestamps);
        Assert.Equal(65535, data.Window);
        Assert.Equal(65535u, net.Tcb.SndWnd);
    }

    [Fact]
    public void SynAck_AnswersOnlyWhatWasOffered()
    {
        using TcpFixture net = new TcpFixture();
        net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, 1, 0, SocketSettings.Default, out _);
        net.Peer(TcpFlags.Syn, -1, options: new TcpOptions { MaximumSegmentSize = 1000, WindowScale = 3 });
        TcpOptions answer = net.Expect().Options;
        Assert.Equal(7, answer.WindowScale);
        Assert.False(answer.SackPermitted);
        Assert.False(answer.HasTimestamps);
    }

    [Fact]
    public void PeersWindow_IsScaledButNotInTheSyn()
    {
        using var net = new TcpFixture();
        net.PeerWindow = 1000;
        net.Accept(options: net.FullOptions());
        Assert.Equal(1000u << 7, net.Tcb.SndWnd);
        using var other = new TcpFixture();
        other.StartConnect();
        other.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, window: 1000, options: other.FullOptions());
        Assert.Equal(1000u, other.Tcb.SndWnd);
    }

    /// <summary>Found by a random seed: both ends sent far beyond what the other took, and neither heard the other any more.</summary>
    [Fact]
    public void PeersWindow_IsNotScaledInTheSynAckOfASimultaneousOpen()
    {
        using var net = new TcpFixture();
        net.StartConnect();
        net.Peer(TcpFlags.Syn, -1, window: 1000, options: net.FullOptions());
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, net.Expect().Flags);

        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, window: 1000, options: net.FullOptions());

        Assert.Equal((TcpState.Established, 1000u), (net.State, net.Tcb.SndWnd));
    }

    [Fact]
    public void PeerWithoutMssOption_Gets536()
    {
        using TcpFixture net = new TcpFixture().Accept(options: default(TcpOptions));
        Assert.Equal(536, net.Tcb.SendMss);
        net.Send(1000);
        Assert.Equal(536, net.Expect().Length);
    }

    [Theory]
    [InlineData(500, 500)]
    [InlineData(9000, 1460)]
    [InlineData(1, 48)]
    public void PeersMss_BoundsSegments(int offered, int used)
    {
        using TcpFixture net = new TcpFixture().Accept(options: TcpFixture.PlainOptions((ushort)offered));
        net.Send(20_000);
        Assert.Equal(used, net.ExpectAll()[0].Length);
    }

    [Fact]
    public void Timestamps_TakeTwelveBytesOfEachSegmentAndEchoThePeers()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        Assert.Equal(1448, net.Tcb.SendMss);
        net.Advance(100);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10), timestamp: 777_777);
        net.Send(5000);
        foreach (SentSegment segment in net.ExpectAll())
        {
            Assert.True(segment.Options.HasTimestamps);
            Assert.Equal(777_777u, segment.Options.TimestampEcho);
        }
    }

    [Fact]
    public void SegmentOutOfOrder_DoesNotChangeWhatIsEchoed()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        uint before = net.Tcb.TsRecent;
        net.Advance(10);
        net.Peer(TcpFlags.Ack, 100, payload: TcpFixture.Bytes(10), timestamp: before + 500);
        Assert.Equal(before, net.Expect().Options.TimestampEcho);
        net.Peer(TcpFlags.Ack, 0, payload: TcpFixture.Bytes(100), timestamp: before + 400);
        Assert.Equal(before + 400, net.Expect().Options.TimestampEcho);
    }

    [Fact]
    public void OldTimestamp_SegmentIsRefusedAndAnswered()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10), timestamp: net.PeerClock);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, net.PeerNext, payload: TcpFixture.Bytes(10), timestamp: net.PeerClock - 1);
        Assert.Equal(10, net.Expect().Ack);
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpPaws]);
        Assert.Equal(10, net.Tcb.ReceiveQueueBytes);
    }

    [Fact]
    public void OldTimestamp_ResetIsTakenAllTheSame()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        net.Peer(TcpFlags.Rst, timestamp: net.PeerClock - 10_000);
        Assert.Equal(TcpState.Closed, net.State);
    }

    [Fact]
    public void TimestampOlderThanTwentyFourDays_ProvesNothing()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        uint old = net.Tcb.TsRecent - 1000;
        net.Advance(Duration.FromSeconds(25L * 24 * 3600));
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10), timestamp: old);
        Assert.Equal(10, net.Tcb.ReceiveQueueBytes);
        Assert.Equal(old, net.Tcb.TsRecent);
    }

    [Fact]
    public void TimestampThatWraps_IsNewer()
    {
        using var net = new TcpFixture();
        TcpOptions options = net.FullOptions();
        options.TimestampValue = uint.MaxValue - 5;
        net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, 1, 0, SocketSettings.Default, out _);
        net.Peer(TcpFlags.Syn, -1, options: options);
        SentSegment answer = net.Expect();
        var next = new TcpOptions { HasTimestamps = true, TimestampValue = 3, TimestampEcho = answer.Options.TimestampValue };
        net.Peer(TcpFlags.Ack, 0, (answer.RawSequence + 1) - net.OurOrigin, TcpFixture.Bytes(1), options: next);
        Assert.Equal(0, net.Stack.Counters[DropReason.TcpPaws]);
        Assert.Equal(3u, net.ExpectAll()[^1].Options.TimestampEcho);
    }

    [Fact]
    public void EchoedTimestamp_GivesASampleInSpiteOfARetransmission()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        net.Send(10);
        net.Expect();
        SentSegment again = net.ExpectWithin(Duration.FromSeconds(2));
        net.Advance(50);
        Duration before = net.Tcb.SmoothedRtt;
        net.Peer(TcpFlags.Ack, echo: again.Options.TimestampValue);
        Assert.NotEqual(before, net.Tcb.SmoothedRtt);
        Assert.InRange(net.Tcb.SmoothedRtt.Milliseconds, 1, 60);
    }
}
