// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Tests.Moves;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What passes a namespace's interface, both ways, and a way to send frames that are no socket's (packet(7)).</summary>
internal sealed class ClientWire : IDisposable
{
    private const int EthernetLength = 14;
    private const int LargestFrame = 1 << 17;
    private const int SocketLevel = 1;
    private const int ReceiveBufferForce = 33; // SO_RCVBUFFORCE
    private const int Room = 32 << 20;
    private const int PollMicroseconds = 50_000;

    private readonly Socket _socket;
    private readonly PacketEnd _end;
    private readonly Thread _reader;
    private readonly Lock _lock = new();
    private readonly List<WireSegment> _segments = [];
    private volatile bool _stopped;

    public ClientWire(NetworkNamespace place)
    {
        string index = place.Run("cat", $"/sys/class/net/{HandoffWorld.Interface}/ifindex").Trim();
        Mac = MacAddress.Parse(place.Run("cat", $"/sys/class/net/{HandoffWorld.Interface}/address").Trim());
        _end = new PacketEnd(int.Parse(index, CultureInfo.InvariantCulture));
        _socket = NamespaceThread.Run(place, () => new Socket(AddressFamily.Packet, SocketType.Raw, 0));
        Assert.Equal(0, Libc.SetSocketOption((int)_socket.Handle, SocketLevel, ReceiveBufferForce, Room));
        _socket.Bind(_end);
        _reader = new Thread(ReadUntilStopped) { IsBackground = true, Name = "wire" };
        _reader.Start();
    }

    public MacAddress Mac { get; }

    /// <summary>All TCP segments so far.</summary>
    public WireSegment[] Segments
    {
        get
        {
            lock (_lock)
            {
                return [.. _segments];
            }
        }
    }

    public void Send(ReadOnlySpan<byte> frame) => Assert.Equal(frame.Length, _socket.SendTo(frame, _end));

    public Task WaitAsync(Func<WireSegment, bool> isIt, string what) => SceneBytes.WaitAsync(() => Segments.Any(isIt), what);

    public void Dispose()
    {
        _stopped = true;
        _reader.Join();
        _socket.Dispose();
    }

    private void ReadUntilStopped()
    {
        byte[] buffer = new byte[LargestFrame];
        while (!_stopped)
        {
            if (_socket.Poll(PollMicroseconds, SelectMode.SelectRead)
                && TryRead(buffer.AsSpan(0, _socket.Receive(buffer)), out WireSegment? segment))
            {
                lock (_lock)
                {
                    _segments.Add(segment!);
                }
            }
        }
    }

    private static bool TryRead(ReadOnlySpan<byte> frame, out WireSegment? segment)
    {
        segment = null;
        ReadOnlySpan<byte> packet = frame[EthernetLength..];
        bool isIpv6 = packet[0] >> 4 == 6;
        int network = isIpv6 ? 40 : (packet[0] & 15) * 4;
        if ((!isIpv6 && packet[0] >> 4 != 4) || packet[isIpv6 ? 6 : 9] != (byte)IpProtocol.Tcp
            || !TcpView.TryParse(packet[network..], out TcpView view, out _))
        {
            return false;
        }

        IpAddress from = isIpv6 ? IpAddress.ReadIpv6(packet[8..]) : IpAddress.ReadIpv4(packet[12..]);
        IpAddress to = isIpv6 ? IpAddress.ReadIpv6(packet[24..]) : IpAddress.ReadIpv4(packet[16..]);
        TcpOptions options = view.ParsedOptions;
        segment = new WireSegment(
            new TcpEnd(from, view.SourcePort), new TcpEnd(to, view.DestinationPort), view.Flags, view.Payload.Length,
            options.HasTimestamps ? options.TimestampValue : null, frame.ToArray(), EthernetLength + network);
        return true;
    }
}

/// <summary>A segment that passed.</summary>
internal sealed record WireSegment(
    TcpEnd Source, TcpEnd Destination, TcpFlags Flags, int Length, uint? Timestamp, byte[] Frame, int TransportOffset)
{
    public bool IsReset => (Flags & TcpFlags.Rst) != 0;

    public bool IsBareAck => Length == 0 && (Flags & ~TcpFlags.Ack) == 0;

    /// <summary>The same once more: the kernel leaves the checksum of what it sends to the interface.</summary>
    public byte[] Copy()
    {
        byte[] frame = (byte[])Frame.Clone();
        TcpHeader.WriteChecksum(frame.AsSpan(TransportOffset), Source.Address, Destination.Address);
        return frame;
    }
}
