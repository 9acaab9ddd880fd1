// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Memory;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests;

/// <summary>One stack, a clock that the test moves, and a peer whose every segment the test writes and reads.</summary>
public sealed class TcpFixture : IDisposable
{
    public const ushort OurPort = 6379;
    public const ushort PeerPort = 40000;
    public const int InterfaceId = 2;

    public static readonly IpAddress OurAddress = IpAddress.Parse("10.0.0.1");
    public static readonly IpAddress PeerAddress = IpAddress.Parse("10.0.0.2");
    public static readonly MacAddress OurMac = new(0x0200_0000_0001);
    public static readonly MacAddress PeerMac = new(0x0200_0000_0002);

    private readonly FrameDescriptor[] _batch = new FrameDescriptor[64];
    private readonly Queue<SentSegment> _sent = new();
    private uint _lastTimestamp;
    private bool _timestamps;

    public TcpFixture(
        StackOptions? options = null,
        uint peerIss = 1000,
        int frames = 1024,
        long startNanoseconds = 1_000_000_000,
        bool knowPeer = true)
    {
        Frames = FramePool.Create(2048, frames);
        Stack = new NetworkStack(options ?? new StackOptions { MaximumConnections = 64 }, Frames);
        PeerOrigin = new SeqNumber(peerIss) + 1;
        Now = new Instant(startNanoseconds);
        Stack.Interfaces.Update(new NetworkInterface { Id = InterfaceId, Mac = OurMac, Mtu = 1500, Up = true });
        Stack.Interfaces.AddAddress(InterfaceId, OurAddress, 24);
        Stack.Routes.Add(new Route
        {
            Destination = IpAddress.Parse("10.0.0.0"), PrefixLength = 24, InterfaceId = InterfaceId,
            Gateway = IpAddress.AnyIpv4, PreferredSource = OurAddress,
        });
        Stack.AttachDevice(InterfaceId);
        if (knowPeer)
        {
            Stack.Neighbors.Set(InterfaceId, PeerAddress, PeerMac);
        }
    }

    public NetworkStack Stack { get; }

    public TcpEngine Tcp => Stack.Tcp;

    public FramePool Frames { get; }

    public Instant Now { get; private set; }

    /// <summary>The sequence number of the peer's first byte.</summary>
    public SeqNumber PeerOrigin { get; set; }

    /// <summary>The sequence number of our first byte.</summary>
    public SeqNumber OurOrigin { get; private set; }

    /// <summary>What the peer sends next, counted from its first byte.</summary>
    public int PeerNext { get; set; }

    /// <summary>What the peer acknowledges unless told otherwise: all that it got.</summary>
    public int PeerAck { get; set; }

    public ushort PeerWindow { get; set; } = 65535;

    /// <summary>Our port of the connection under test.</summary>
    public ushort LocalPort { get; set; } = OurPort;

    public ushort RemotePort { get; set; } = PeerPort;

    public int Id { get; set; }

    public ref readonly TransmissionControlBlock Tcb => ref Tcp.Get(Id);

    public TcpState State => Tcp.GetState(Id);

    /// <summary>The peer's timestamp clock in milliseconds.</summary>
    public uint PeerClock => (uint)(Now.Nanoseconds / 1_000_000) + 5000;

    public void Dispose()
    {
        Stack.Dispose();
        Frames.Dispose();
    }

    /// <summary>A listener and a finished handshake, started by the peer.</summary>
    public TcpFixture Accept(SocketSettings? settings = null, TcpOptions? options = null, int backlog = 16)
    {
        int listener = Tcp.Listen(OurAddress, OurPort, backlog, 77, settings ?? SocketSettings.Default, out TcpError error);
        Assert.Equal(TcpError.None, error);
        HandshakeWithListener(options ?? PlainOptions());
        Assert.True(Tcp.TryAccept(listener, out int id));
        Id = id;
        Assert.Equal(TcpState.Established, State);
        ClearEvents();
        return this;
    }

    /// <summary>The peer's part of the handshake with a listener.</summary>
    public void HandshakeWithListener(TcpOptions options)
    {
        Peer(TcpFlags.Syn, -1, options: options);
        SentSegment answer = Expect();
        Assert.True(answer.Is(TcpFlags.Syn | TcpFlags.Ack), answer.ToString());
        OurOrigin = answer.RawSequence + 1;
        _timestamps = options.HasTimestamps && answer.Options.HasTimestamps;
        PeerNext = 0;
        PeerAck = 0;
        Peer(TcpFlags.Ack);
    }

    /// <summary>A connection that we opened; the peer's SYN-ACK has arrived.</summary>
    public TcpFixture Connect(SocketSettings? settings = null, TcpOptions? options = null)
    {
        SentSegment syn = StartConnect(settings);
        TcpOptions answer = options ?? PlainOptions();
        _timestamps = answer.HasTimestamps && syn.Options.HasTimestamps;
        Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: answer);
        PeerNext = 0;
        SentSegment ack = Expect();
        Assert.Equal(TcpFlags.Ack, ack.Flags);
        Assert.Equal(TcpState.Established, State);
        ClearEvents();
        return this;
    }

    /// <summary>A connection in a state, the user still holding it, nothing in the queues.</summary>
    public static TcpFixture In(TcpState state, TcpOptions? options = null)
    {
        var net = new TcpFixture();
        if (state == TcpState.SynSent)
        {
            net.StartConnect();
            return net;
        }

        if (state == TcpState.SynReceived)
        {
            net.Tcp.Listen(OurAddress, OurPort, 16, 77, SocketSettings.Default, out _);
            net.Peer(TcpFlags.Syn, -1, options: options ?? PlainOptions());
            net.OurOrigin = net.Expect().RawSequence + 1;
            net.PeerAck = 0;
            net.Id = 1;
            return net;
        }

        net.Accept(options: options);
        if (state is TcpState.CloseWait or TcpState.LastAck)
        {
            net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        }

        if (state is not (TcpState.Established or TcpState.CloseWait))
        {
            net.Tcp.ShutdownSend(net.Id, net.Now);
        }

        if (state is TcpState.FinWait2 or TcpState.TimeWait)
        {
            net.ExpectAll();
            net.Peer(TcpFlags.Ack);
        }

        if (state is TcpState.Closing or TcpState.TimeWait)
        {
            net.Tick();
            net.Peer(TcpFlags.Fin | TcpFlags.Ack, ack: state == TcpState.Closing ? 0 : null);
        }

        net.ExpectAll();
        net.ClearEvents();
        Assert.Equal(state, net.State);
        return net;
    }

    /// <summary>A start time at which our next connection to the usual peer begins so many bytes before 2^32.</summary>
    public static long StartNearWrap(int bytesBefore)
    {
        using var probe = new TcpFixture();
        uint iss = probe.StartConnect().RawSequence.Value;
        uint distance = unchecked(0u - (uint)bytesBefore - iss);
        return 1_000_000_000 + (distance * 4000L);
    }

    /// <summary>Uses up the acknowledgments that a new connection sends at once.</summary>
    public void UseUpQuickAcks()
    {
        while (Tcb.QuickAcksLeft > 0)
        {
            Peer(TcpFlags.Ack, payload: Bytes(1));
            ExpectAll();
        }

        Read();
        ClearEvents();
    }

    /// <summary>Sends our SYN.</summary>
    public SentSegment StartConnect(SocketSettings? settings = null)
    {
        LocalPort = 50000;
        RemotePort = 80;
        Id = Tcp.Connect(
            OurAddress, LocalPort, PeerAddress, RemotePort, 5, settings ?? SocketSettings.Default, Now, out TcpError error);
        Assert.Equal(TcpError.None, error);
        SentSegment syn = Expect();
        Assert.Equal(TcpFlags.Syn, syn.Flags);
        OurOrigin = syn.RawSequence + 1;
        PeerAck = 0;
        return syn;
    }

    public static TcpOptions PlainOptions(ushort mss = 1460) => new() { MaximumSegmentSize = mss };

    /// <summary>All that a modern peer offers: MSS, SACK, timestamps, window scale 7.</summary>
    public TcpOptions FullOptions(ushort mss = 1460) => new()
    {
        MaximumSegmentSize = mss, SackPermitted = true, WindowScale = 7, HasTimestamps = true, TimestampValue = PeerClock,
    };

    public static TcpOptions SackOptions(ushort mss = 1460) => new() { MaximumSegmentSize = mss, SackPermitted = true };

    /// <summary>The peer sends a segment. Numbers count from the first byte of either side; -1 is the SYN.</summary>
    public void Peer(
        TcpFlags flags,
        int? seq = null,
        int? ack = null,
        ReadOnlySpan<byte> payload = default,
        int? window = null,
        TcpOptions? options = null,
        uint? timestamp = null,
        uint? echo = null)
    {
        TcpHeader header = default;
        header.SourcePort = RemotePort;
        header.DestinationPort = LocalPort;
        int relative = seq ?? PeerNext;
        header.Sequence = PeerOrigin + relative;
        header.Flags = flags;
        if ((flags & TcpFlags.Ack) != 0)
        {
            header.Acknowledgment = OurOrigin + (ack ?? PeerAck);
        }

        header.Window = (ushort)(window ?? PeerWindow);
        header.Options = options ?? default;
        if (_timestamps && !header.Options.HasTimestamps && timestamp != 0)
        {
            header.Options.HasTimestamps = true;
            header.Options.TimestampValue = timestamp ?? PeerClock;
            header.Options.TimestampEcho = echo ?? _lastTimestamp;
        }

        if (seq == null)
        {
            PeerNext += payload.Length + ((flags & TcpFlags.Fin) != 0 ? 1 : 0);
        }

        Inject(header, payload);
    }

    /// <summary>The peer acknowledges, with SACK blocks that count from our first byte.</summary>
    public void PeerSack(int ack, params (int Left, int Right)[] blocks)
    {
        TcpOptions options = default;
        if (_timestamps)
        {
            options.HasTimestamps = true;
            options.TimestampValue = PeerClock;
            options.TimestampEcho = _lastTimestamp;
        }

        foreach ((int left, int right) in blocks)
        {
            options.TryAddSackBlock(new SackBlock(OurOrigin + left, OurOrigin + right));
        }

        PeerAck = ack;
        Peer(TcpFlags.Ack, options: options);
    }

    /// <summary>Puts a frame with a TCP segment into the stack.</summary>
    public void Inject(in TcpHeader header, ReadOnlySpan<byte> payload, bool badChecksum = false) =>
        Receive(Build(header, payload, badChecksum));

    /// <summary>The peer sends so many segments, each of so many bytes, that arrive in one batch.</summary>
    public void PeerBatch(int segments, int length)
    {
        var batch = new FrameDescriptor[segments];
        for (int i = 0; i < segments; i++)
        {
            TcpHeader header = default;
            header.SourcePort = RemotePort;
            header.DestinationPort = LocalPort;
            header.Sequence = PeerOrigin + PeerNext;
            header.Acknowledgment = OurOrigin + PeerAck;
            header.Flags = TcpFlags.Ack;
            header.Window = PeerWindow;
            batch[i] = Build(header, Bytes(length));
            PeerNext += length;
        }

        Stack.Receive(batch, InterfaceId, Now);
        Collect();
    }

    private FrameDescriptor Build(in TcpHeader header, ReadOnlySpan<byte> payload, bool badChecksum = false)
    {
        Assert.True(Frames.TryRent(out int frame), "the pool has no frame for what arrives");
        Span<byte> span = Frames.GetSpan(frame)[256..];
        int length = header.HeaderLength + payload.Length;
        Span<byte> segment = span.Slice(34, length);
        payload.CopyTo(segment[header.HeaderLength..]);
        header.Write(segment);
        TcpHeader.WriteChecksum(segment, PeerAddress, OurAddress);
        if (badChecksum)
        {
            segment[16] ^= 1;
        }

        Ipv4Header.Write(span[14..], PeerAddress, OurAddress, IpProtocol.Tcp, length, 1, 64, 0, true);
        EthernetHeader.Write(span, OurMac, PeerMac, EtherType.Ipv4);
        return new FrameDescriptor(frame, 256, (ushort)(34 + length));
    }

    public void Receive(FrameDescriptor packet)
    {
        Stack.Receive(new ReadOnlySpan<FrameDescriptor>(in packet), InterfaceId, Now);
        Collect();
    }

    /// <summary>An ICMP error that quotes a segment of the connection.</summary>
    public void PeerIcmp(Icmpv4Type type, byte code, int quotedSeq, ushort mtu = 0)
    {
        Span<byte> quote = stackalloc byte[28];
        Ipv4Header.Write(quote, OurAddress, PeerAddress, IpProtocol.Tcp, 1460, 1, 64, 0, true);
        SeqNumber sequence = OurOrigin + quotedSeq;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(quote[20..], LocalPort);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(quote[22..], RemotePort);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(quote[24..], sequence.Value);
        Assert.True(Frames.TryRent(out int frame));
        Span<byte> span = Frames.GetSpan(frame)[256..];
        Span<byte> message = span.Slice(34, 8 + quote.Length);
        message.Clear();
        message[0] = (byte)type;
        message[1] = code;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(message[6..], mtu);
        quote.CopyTo(message[8..]);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt16BigEndian(message[2..], Checksum.Finish(Checksum.Sum(message)));
        Ipv4Header.Write(span[14..], PeerAddress, OurAddress, IpProtocol.Icmp, message.Length, 1, 64, 0, false);
        EthernetHeader.Write(span, OurMac, PeerMac, EtherType.Ipv4);
        Receive(new FrameDescriptor(frame, 256, (ushort)(34 + message.Length)));
    }

    /// <summary>Lets time pass, timers running at their times.</summary>
    public void Advance(Duration time)
    {
        Instant end = Now + time;
        Tick();
        while (Stack.NextDeadline <= end)
        {
            Now = Stack.NextDeadline > Now ? Stack.NextDeadline : Now;
            Tick();
        }

        Now = end;
        Tick();
    }

    public void Advance(int milliseconds) => Advance(Duration.FromMilliseconds(milliseconds));

    /// <summary>Lets time pass until the stack sends something, at most so long.</summary>
    public SentSegment ExpectWithin(Duration limit)
    {
        Instant end = Now + limit;
        Tick();
        while (_sent.Count == 0 && Stack.NextDeadline <= end)
        {
            Now = Stack.NextDeadline > Now ? Stack.NextDeadline : Now;
            Tick();
        }

        return Expect();
    }

    /// <summary>The next segment that the stack sent.</summary>
    public SentSegment Expect()
    {
        Tick();
        Assert.True(_sent.Count > 0, "the stack sent nothing");
        return _sent.Dequeue();
    }

    /// <summary>All segments that the stack sent and the test has not looked at.</summary>
    public IReadOnlyList<SentSegment> ExpectAll()
    {
        Tick();
        SentSegment[] all = [.. _sent];
        _sent.Clear();
        return all;
    }

    public void ExpectNothing()
    {
        Tick();
        Assert.True(_sent.Count == 0, "the stack sent " + string.Join("; ", _sent.Select(s => s.ToString())));
    }

    public int Send(int count, SendFlags flags = SendFlags.None) => Send(Bytes(count), flags);

    public int Send(ReadOnlySpan<byte> data, SendFlags flags = SendFlags.None)
    {
        int taken = Tcp.Send(Id, data, flags, Now, out TcpError error);
        Assert.True(error is TcpError.None or TcpError.WouldBlock, error.ToString());
        Tick();
        return taken;
    }

    public byte[] Read(int most = 65536)
    {
        byte[] buffer = new byte[most];
        int got = Tcp.Receive(Id, buffer, ReceiveFlags.None, Now, out _);
        Tick();
        return buffer[..got];
    }

    public TcpError ReadError()
    {
        Tcp.Receive(Id, new byte[1], ReceiveFlags.None, Now, out TcpError error);
        return error;
    }

    public void Close()
    {
        Tcp.Close(Id, Now);
        Tick();
    }

    public static byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++)
        {
            bytes[i] = (byte)(i * 7);
        }

        return bytes;
    }

    /// <summary>Takes the events that wait.</summary>
    public IReadOnlyList<TcpEvent> Events()
    {
        TcpEvent[] events = new TcpEvent[64];
        int count = Tcp.DequeueEvents(events);
        return events[..count];
    }

    public void ClearEvents() => Events();

    /// <summary>All frames are free, or held by a queue of a connection.</summary>
    public void AssertNothingHeld() => Assert.Equal(Frames.FrameCount, Frames.FreeCount);

    public void Tick()
    {
        Stack.Poll(Now);
        Collect();
        if (Tcp.IsActive(Id))
        {
            Assert.Null(Tcp.FindInconsistency(Id));
        }
    }

    private void Collect()
    {
        int count;
        while ((count = Stack.DequeueTransmit(_batch, InterfaceId)) > 0)
        {
            for (int i = 0; i < count; i++)
            {
                Collect(_batch[i]);
                Frames.Release(_batch[i].Frame);
            }
        }
    }

    private void Collect(in FrameDescriptor packet)
    {
        Assert.True(EthernetView.TryParse(Frames.GetSpan(packet), out EthernetView ethernet));
        if (ethernet.Type != EtherType.Ipv4)
        {
            return;
        }

        Assert.True(Ipv4View.TryParse(ethernet.Payload, out Ipv4View ip, out WireError error), error.ToString());
        Assert.Equal(OurAddress, ip.Source);
        Assert.True(TcpView.TryParse(ip.Payload, out TcpView tcp, out error), error.ToString());
        var segment = new SentSegment
        {
            Flags = tcp.Flags,
            Seq = tcp.Sequence - OurOrigin,
            Ack = tcp.Acknowledgment - PeerOrigin,
            Window = tcp.Window,
            Payload = tcp.Payload.ToArray(),
            Options = tcp.ParsedOptions,
            RawSequence = tcp.Sequence,
            RawAcknowledgment = tcp.Acknowledgment,
            SourcePort = tcp.SourcePort,
            DestinationPort = tcp.DestinationPort,
            Time = Now,
            ChecksumIsValid = tcp.HasValidChecksum(ip.Source, ip.Destination),
            Ttl = ip.Ttl,
            TypeOfService = ip.Tos,
        };
        Assert.True(segment.ChecksumIsValid);
        if (segment.Options.HasTimestamps)
        {
            _lastTimestamp = segment.Options.TimestampValue;
        }

        if (segment.SourcePort == LocalPort)
        {
            int end = segment.Seq + segment.Length + (segment.Is(TcpFlags.Fin) ? 1 : 0);
            PeerAck = Math.Max(PeerAck, end);
        }

        _sent.Enqueue(segment);
    }
}
