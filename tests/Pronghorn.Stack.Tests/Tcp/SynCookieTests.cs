// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>A listener whose queue of handshakes is full goes on by cookie (RFC 4987 3.6), as Linux with tcp_syncookies=1.</summary>
public sealed class SynCookieTests
{
    private const ushort RealPort = 9999;

    /// <summary>A listener whose queue of handshakes is full: backlog and one more, as measured of Linux 6.18.</summary>
    private static TcpFixture Flooded(out int listener, int backlog = 4, SocketSettings? settings = null)
    {
        var net = new TcpFixture();
        listener = net.Tcp.Listen(
            TcpFixture.OurAddress, TcpFixture.OurPort, backlog, 9, settings ?? SocketSettings.Default, out _);
        for (int i = 0; i <= backlog; i++)
        {
            Syn(net, (ushort)(2000 + i));
        }

        Assert.Equal(backlog + 1, net.ExpectAll().Count);
        Assert.Equal(0, net.Stack.Counters[Counter.TcpSynCookiesSent]);
        net.RemotePort = RealPort;
        return net;
    }

    private static void Syn(TcpFixture net, ushort port)
    {
        net.RemotePort = port;
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
    }

    /// <summary>The peer acknowledges a SYN-ACK.</summary>
    private static void Acknowledge(
        TcpFixture net,
        SentSegment answer,
        int sequenceOff = 0,
        int acknowledgmentOff = 0,
        TcpOptions options = default,
        byte[]? payload = null)
    {
        TcpHeader header = default;
        header.SourcePort = answer.DestinationPort;
        header.DestinationPort = answer.SourcePort;
        header.Sequence = net.PeerOrigin + sequenceOff;
        header.Acknowledgment = answer.RawSequence + 1 + acknowledgmentOff;
        header.Flags = TcpFlags.Ack;
        header.Window = net.PeerWindow;
        header.Options = options;
        net.Inject(header, payload);
    }

    private static SentSegment AskForCookie(TcpFixture net, TcpOptions options)
    {
        long before = net.Stack.Counters[Counter.TcpSynCookiesSent];
        net.Peer(TcpFlags.Syn, -1, options: options);
        Assert.Equal(before + 1, net.Stack.Counters[Counter.TcpSynCookiesSent]);
        return net.Expect();
    }

    [Fact]
    public void HandshakeByCookie_HoldsNothing_ThenIsAConnectionLikeAnyOther()
    {
        using TcpFixture net = Flooded(out int listener);
        int records = net.Tcp.ConnectionCount;
        int frames = net.Frames.FreeCount;
        net.Peer(TcpFlags.Syn, -1, options: net.FullOptions());
        SentSegment answer = net.Expect();
        Assert.True(answer.Is(TcpFlags.Syn | TcpFlags.Ack));
        Assert.Equal(0, answer.Ack);
        Assert.Equal(1460, answer.Options.MaximumSegmentSize);
        Assert.Equal(records, net.Tcp.ConnectionCount);
        Assert.Equal(frames, net.Frames.FreeCount);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpSynCookiesSent]);

        net.Advance(20);
        net.ExpectAll();
        net.HandshakeWithListener(net.FullOptions());
        Assert.Equal(1, net.Stack.Counters[Counter.TcpSynCookiesReceived]);
        Assert.Equal(records + 1, net.Tcp.ConnectionCount);
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        net.Id = id;
        Assert.Equal(TcpState.Established, net.State);
        Assert.True(net.Tcb.Has(TcbFlags.Passive | TcbFlags.Sack | TcbFlags.Timestamps | TcbFlags.WindowScale));
        Assert.Equal(5, net.Tcp.GetListener(listener).SynCount);

        net.Peer(TcpFlags.Ack | TcpFlags.Psh, payload: TcpFixture.Bytes(1200));
        Assert.Equal(TcpFixture.Bytes(1200), net.Read());
        Assert.Equal(5000, net.Send(5000));
        net.ExpectAll();
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcb.FlightSize);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(7, true)]
    [InlineData(14, false)]
    [InlineData(-1, true)]
    [InlineData(-1, false)]
    public void OptionsOfTheSyn_AreRestoredFromTheTimestamp(int scale, bool sack)
    {
        using TcpFixture net = Flooded(out int listener);
        TcpOptions options = net.FullOptions();
        options.WindowScale = (sbyte)scale;
        options.SackPermitted = sack;
        net.HandshakeWithListener(options);
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        TransmissionControlBlock tcb = net.Tcp.Get(id);
        Assert.Equal(sack, tcb.Has(TcbFlags.Sack));
        Assert.Equal(scale >= 0, tcb.Has(TcbFlags.WindowScale));
        Assert.Equal(Math.Max(scale, 0), tcb.SndWindShift);
        Assert.Equal((uint)net.PeerWindow << tcb.SndWindShift, tcb.SndWnd);
        Assert.Equal(scale >= 0, tcb.RcvWindShift > 0);
        Assert.True(tcb.Has(TcbFlags.Timestamps));
        Assert.Equal(net.PeerClock, tcb.TsRecent);
    }

    [Fact]
    public void PeerWithoutTimestamps_OnlyTheSegmentSizeIsKept_AndNothingElseOffered()
    {
        using TcpFixture net = Flooded(out int listener);
        TcpOptions options = TcpFixture.SackOptions();
        options.WindowScale = 7;
        net.Peer(TcpFlags.Syn, -1, options: options);
        SentSegment answer = net.Expect();
        Assert.False(answer.Options.SackPermitted);
        Assert.Equal(-1, answer.Options.WindowScale);
        net.HandshakeWithListener(options);
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        Assert.False(net.Tcp.Get(id).Has(TcbFlags.Sack));
        Assert.False(net.Tcp.Get(id).Has(TcbFlags.WindowScale));
        Assert.Equal(1460, net.Tcp.Get(id).PeerMss);
    }

    [Theory]
    [InlineData(0, 536)]
    [InlineData(20, 48)]
    [InlineData(255, 48)]
    [InlineData(300, 256)]
    [InlineData(536, 536)]
    [InlineData(1299, 536)]
    [InlineData(1300, 1300)]
    [InlineData(1459, 1440)]
    [InlineData(1460, 1460)]
    [InlineData(9000, 8960)]
    public void SegmentSize_IsNeverMoreThanThePeerNamed(ushort named, int restored)
    {
        using TcpFixture net = Flooded(out int listener);
        net.HandshakeWithListener(TcpFixture.PlainOptions(named));
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        Assert.Equal(restored, net.Tcp.Get(id).PeerMss);
    }

    [Fact]
    public void FirstAcknowledgmentIsLost_DataFinishesTheHandshake()
    {
        using TcpFixture net = Flooded(out int listener);
        SentSegment answer = AskForCookie(net, TcpFixture.PlainOptions());
        Acknowledge(net, answer, payload: TcpFixture.Bytes(100));
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        net.Id = id;
        Assert.Equal(TcpFixture.Bytes(100), net.Read());
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(-1, 0)]
    [InlineData(0x0100_0000, 0)]
    [InlineData(0, 1)]
    [InlineData(0, -1)]
    public void WrongCookie_IsResetAndCounted(int acknowledgmentOff, int sequenceOff)
    {
        using TcpFixture net = Flooded(out int listener);
        SentSegment answer = AskForCookie(net, TcpFixture.PlainOptions());
        int records = net.Tcp.ConnectionCount;
        Acknowledge(net, answer, sequenceOff, acknowledgmentOff);
        SentSegment reset = net.Expect();
        Assert.Equal(TcpFlags.Rst, reset.Flags);
        Assert.Equal(answer.RawSequence + 1 + acknowledgmentOff, reset.RawSequence);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
        Assert.Equal(records, net.Tcp.ConnectionCount);
        Assert.False(net.Tcp.TryAccept(listener, out _));
    }

    [Fact]
    public void CookieOfAnotherPort_IsReset()
    {
        using TcpFixture net = Flooded(out _);
        SentSegment answer = AskForCookie(net, TcpFixture.PlainOptions());
        Acknowledge(net, answer with { DestinationPort = RealPort + 1 });
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
    }

    [Fact]
    public void StampWithAnUnknownBit_IsReset()
    {
        using TcpFixture net = Flooded(out _);
        SentSegment answer = AskForCookie(net, net.FullOptions());

        // The sixth bit, which is never set, whatever is added for the connection.
        var options = new TcpOptions
        {
            HasTimestamps = true, TimestampValue = net.PeerClock, TimestampEcho = answer.Options.TimestampValue + 32,
        };
        Acknowledge(net, answer, options: options);
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
    }

    [Theory]
    [InlineData(59, true)]
    [InlineData(120, false)]
    public void CookieIsTakenInTheNextMinute_NotLater(int seconds, bool taken)
    {
        using TcpFixture net = Flooded(out int listener);
        SentSegment answer = AskForCookie(net, TcpFixture.PlainOptions());
        net.Advance(Duration.FromSeconds(seconds));
        net.ExpectAll();
        Acknowledge(net, answer);
        Assert.Equal(taken, net.Tcp.TryAccept(listener, out _));
        Assert.Equal(taken ? 0 : 1, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
    }

    [Fact]
    public void NoCookieGivenOutLately_AcknowledgmentIsNotLookedAt()
    {
        using TcpFixture net = Flooded(out _);
        net.Peer(TcpFlags.Ack, 0, 12345);
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        Assert.Equal(0, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        net.Advance(Duration.FromSeconds(121));
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, 0, 12345);
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        Assert.Equal(0, net.Stack.Counters[Counter.TcpSynCookiesFailed]);
    }

    [Fact]
    public void AcceptQueueIsFull_CookieIsDropped_AndTakenOnceThereIsRoom()
    {
        using TcpFixture net = Flooded(out int listener, backlog: 0);
        SentSegment answer = AskForCookie(net, TcpFixture.PlainOptions());
        net.RemotePort++;
        net.HandshakeWithListener(TcpFixture.PlainOptions());
        Assert.Equal(1, net.Tcp.AcceptQueueLength(listener));
        int records = net.Tcp.ConnectionCount;
        Acknowledge(net, answer);
        net.ExpectNothing();
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpAcceptQueueFull]);
        Assert.Equal(records, net.Tcp.ConnectionCount);
        Assert.True(net.Tcp.TryAccept(listener, out _));
        Acknowledge(net, answer);
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        Assert.Equal(RealPort, net.Tcp.Get(id).RemotePort);
    }

    [Fact]
    public void WindowOfTheCookie_IsGrantedToTheConnection()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.ReceiveBuffer = 8192;
        using TcpFixture net = Flooded(out int listener, settings: settings);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        Assert.Equal(8192, net.Expect().Window);
        net.HandshakeWithListener(TcpFixture.PlainOptions());
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        Assert.Equal(8192u, net.Tcp.Get(id).RcvWnd);
        net.Id = id;
        for (int i = 0; i < 8; i++)
        {
            net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1024));
        }

        Assert.Equal(8192, net.Read().Length);
    }

    [Fact]
    public void StampOfTheCookie_IsNeverAheadOfTheClock()
    {
        for (uint clock = 0xffff_ff80; clock != 0x100; clock++)
        {
            var offered = new TcpOptions { SackPermitted = true, WindowScale = 14 };
            uint stamp = SynCookies.StampOptions(clock, offered);
            Assert.InRange((int)(clock - stamp), 0, (1 << SynCookies.StampBits) - 1);
            TcpOptions restored = default;
            Assert.True(SynCookies.TryReadStamp(stamp, ref restored));
            Assert.Equal(14, restored.WindowScale);
            Assert.True(restored.SackPermitted);
        }
    }

    [Fact]
    public void HundredThousandSyns_MemoryStaysAsItIs_AndARealClientConnects()
    {
        using TcpFixture net = Flooded(out int listener, backlog: 16);
        int records = net.Tcp.ConnectionCount;
        int frames = net.Frames.FreeCount;
        for (int i = 0; i < 100_000; i++)
        {
            net.PeerOrigin += 64001;
            net.RemotePort = (ushort)(3000 + (i % 60_000));
            if (net.RemotePort == RealPort)
            {
                continue;
            }

            net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
            if (i % 64 == 0)
            {
                net.ExpectAll();
            }
        }

        net.ExpectAll();
        Assert.Equal(records, net.Tcp.ConnectionCount);
        Assert.Equal(frames, net.Frames.FreeCount);
        Assert.InRange(net.Stack.Counters[Counter.TcpSynCookiesSent], 99_990, 100_000);

        net.RemotePort = RealPort;
        net.HandshakeWithListener(net.FullOptions());
        Assert.True(net.Tcp.TryAccept(listener, out int id));
        Assert.Equal(RealPort, net.Tcp.Get(id).RemotePort);
    }
}
