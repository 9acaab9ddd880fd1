// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>
/// Follows the kernel's interfaces, and its IPv4 addresses, routes and neighbours (rtnetlink(7)): a snapshot first, then each change.
/// When changes come faster than they are read, the kernel drops some and says so; the monitor then starts over with a
/// new snapshot by itself. It does so too where the kernel announces a change incompletely.
/// </summary>
/// <remarks>
/// One thread at a time; nothing blocks. After <see cref="Open"/> no member allocates managed memory. Draining
/// <see cref="TryReceive"/> until it returns false always brings a snapshot that has begun to its end, because the kernel
/// answers a dump while it is read.
/// </remarks>
public sealed unsafe class RouteMonitor : IDisposable
{
    private const int BufferLength = 65536;
    private const int ReceiveQueueBytes = 1 << 20;
    private const int ProtocolRoute = 0;
    private const uint GroupLink = 1;
    private const uint GroupNeighbor = 4;
    private const uint GroupIpv4Address = 0x10;
    private const uint GroupIpv4Route = 0x40;
    private const uint GroupIpv6Address = 0x100;
    private const ushort NewNeighbor = 28;
    private const byte NeighborUse = 1;

    private readonly byte* _buffer;
    private int _position;
    private int _length;
    private uint _sequence;
    private DumpPhase _phase;
    private bool _restartWanted;
    private bool _interrupted;
    private RouteMonitorStatistics _statistics;

    private RouteMonitor(int fd)
    {
        FileDescriptor = fd;
        _buffer = (byte*)NativeMemory.Alloc(BufferLength);
        _restartWanted = true;
    }

    /// <summary>What a snapshot asks for, in this order; the kernel answers one dump at a time.</summary>
    private enum DumpPhase : byte
    {
        Idle,
        Links,
        Addresses,
        Routes,
        Neighbors,
    }

    /// <summary>The netlink socket, readable when something has changed; -1 once disposed.</summary>
    public int FileDescriptor { get; private set; }

    /// <summary>What was counted.</summary>
    public ref readonly RouteMonitorStatistics Statistics => ref _statistics;

    /// <summary>Opens a monitor in the calling thread's network namespace. The snapshot begins with the first read.</summary>
    /// <param name="monitor">The monitor on success, null otherwise.</param>
    /// <param name="announcesIpv6Addresses">
    /// Whether changes of IPv6 addresses are told too. They are in no snapshot: for whom it is enough to know that there was one.
    /// </param>
    /// <returns>0 or the negative error number.</returns>
    public static int Open(out RouteMonitor? monitor, bool announcesIpv6Addresses = false)
    {
        monitor = null;
        int fd = Libc.Socket(
            Constants.AddressFamilyNetlink,
            Constants.SocketRaw | Constants.SocketCloseOnExec | Constants.SocketNonBlocking,
            ProtocolRoute);
        if (fd < 0)
        {
            return fd;
        }

        _ = Libc.SetSocketOption(
            fd, Constants.SocketLevel, Constants.SocketReceiveBufferForce, ReceiveQueueBytes);
        var address = new NetlinkAddress
        {
            Family = Constants.AddressFamilyNetlink,
            Groups = GroupLink | GroupNeighbor | GroupIpv4Address | GroupIpv4Route | (announcesIpv6Addresses ? GroupIpv6Address : 0),
        };
        int result = Libc.Bind(fd, address);
        if (result < 0)
        {
            _ = Libc.Close(fd);
            return result;
        }

        monitor = new RouteMonitor(fd);
        return 0;
    }

    /// <summary>Takes the next event.</summary>
    /// <returns>False when there is none now; the descriptor becomes readable when there is.</returns>
    public bool TryReceive(out NetlinkEvent item)
    {
        while (true)
        {
            if (_restartWanted && _phase == DumpPhase.Idle && TryStartSnapshot())
            {
                item = new NetlinkEvent { Kind = NetlinkEventKind.SnapshotStarted };
                return true;
            }

            if (TryTakeBuffered(out item))
            {
                return true;
            }

            if (!Fill())
            {
                item = default;
                return false;
            }
        }
    }

    /// <summary>
    /// Has the kernel resolve a neighbour, as if it had a packet for it (RTM_NEWNEIGH with NTF_USE); the outcome comes as an
    /// event, unless the kernel has a fresh answer already.
    /// </summary>
    /// <returns>0 or the negative error number.</returns>
    public int RequestNeighbor(int interfaceIndex, in IpAddress address)
    {
        const int Length = NetlinkMessage.HeaderLength + 12 + 4 + IpAddress.Ipv6Length;
        Span<byte> message = stackalloc byte[Length];
        message.Clear();
        bool ipv4 = address.IsIpv4;
        int addressLength = ipv4 ? IpAddress.Ipv4Length : IpAddress.Ipv6Length;
        int length = Length - IpAddress.Ipv6Length + addressLength;
        WriteHeader(message, length, NewNeighbor, NetlinkMessage.FlagRequest | NetlinkMessage.FlagCreate, sequence: 0);

        // struct ndmsg, then NDA_DST.
        Span<byte> body = message[NetlinkMessage.HeaderLength..];
        body[0] = (byte)(ipv4 ? Constants.AddressFamilyInet : Constants.AddressFamilyInet6);
        MemoryMarshal.Write(body[4..], interfaceIndex);
        body[10] = NeighborUse;
        MemoryMarshal.Write(body[12..], (ushort)(4 + addressLength));
        MemoryMarshal.Write(body[14..], (ushort)1);
        if (ipv4)
        {
            address.WriteIpv4(body[16..]);
        }
        else
        {
            address.WriteIpv6(body[16..]);
        }

        long result = Libc.Send(FileDescriptor, message[..length], Constants.MessageDontWait);
        return (int)Math.Min(result, 0);
    }

    /// <summary>Closes the socket.</summary>
    public void Dispose()
    {
        if (FileDescriptor >= 0)
        {
            _ = Libc.Close(FileDescriptor);
            FileDescriptor = -1;
            _length = 0;
            _position = 0;
            NativeMemory.Free(_buffer);
        }
    }

    /// <summary>Writes a netlink header.</summary>
    internal static void WriteHeader(Span<byte> message, int length, ushort type, int flags, uint sequence)
    {
        MemoryMarshal.Write(message, (uint)length);
        MemoryMarshal.Write(message[4..], type);
        MemoryMarshal.Write(message[6..], (ushort)flags);
        MemoryMarshal.Write(message[8..], sequence);
        MemoryMarshal.Write(message[12..], 0u);
    }

    private bool TryTakeBuffered(out NetlinkEvent item)
    {
        while (_position < _length)
        {
            var rest = new ReadOnlySpan<byte>(_buffer + _position, _length - _position);
            if (!NetlinkMessage.TryTake(ref rest, out NetlinkMessage message))
            {
                _statistics.Malformed++;
                _position = _length;
                break;
            }

            _position = _length - rest.Length;
            if (message.Type is NetlinkMessage.TypeDone or NetlinkMessage.TypeError)
            {
                if (TryFinishDump(message, out item))
                {
                    return true;
                }

                continue;
            }

            _interrupted |= (message.Flags & NetlinkMessage.FlagDumpInterrupted) != 0;
            switch (RouteMessageParser.Parse(message, out item))
            {
                case ParseOutcome.Parsed when IsFollowed(item):
                    _statistics.Events++;
                    _restartWanted |= TakesRoutesAlong(message, item);
                    return true;
                case ParseOutcome.Malformed:
                    _statistics.Malformed++;
                    break;
            }
        }

        item = default;
        return false;
    }

    /// <summary>Neighbours are announced for both families in one group; IPv6 is not followed yet.</summary>
    private static bool IsFollowed(in NetlinkEvent item) =>
        item.Kind is not (NetlinkEventKind.Neighbor or NetlinkEventKind.NeighborRemoved)
        || item.Neighbor.Address.IsIpv4;

    /// <summary>
    /// When an interface goes down or loses an address, the kernel removes the IPv4 routes that depended on it and announces
    /// none of that: only a new snapshot tells which are left.
    /// </summary>
    private static bool TakesRoutesAlong(in NetlinkMessage message, in NetlinkEvent item) =>
        (message.Flags & NetlinkMessage.FlagMultipart) == 0
        && ((item.Kind == NetlinkEventKind.Link && !item.Link.IsUp)
            || item.Kind is NetlinkEventKind.LinkRemoved or NetlinkEventKind.AddressRemoved);

    /// <summary>Goes on to the next dump of a snapshot when one has ended.</summary>
    private bool TryFinishDump(in NetlinkMessage message, out NetlinkEvent item)
    {
        item = default;
        if (_phase == DumpPhase.Idle || message.Sequence != _sequence)
        {
            _statistics.RequestErrors += message.Type == NetlinkMessage.TypeError ? 1 : 0;
            return false;
        }

        // A dump that the kernel could not make consistent, or that was ended by an error, is made again.
        _restartWanted |= _interrupted || message.Type == NetlinkMessage.TypeError;
        _interrupted = false;
        if (_restartWanted || _phase == DumpPhase.Neighbors)
        {
            _phase = DumpPhase.Idle;
            if (_restartWanted)
            {
                return false;
            }

            item.Kind = NetlinkEventKind.SnapshotCompleted;
            _statistics.Snapshots++;
            return true;
        }

        _phase++;
        if (!SendDump())
        {
            _phase = DumpPhase.Idle;
            _restartWanted = true;
        }

        return false;
    }

    private bool TryStartSnapshot()
    {
        DiscardQueued();
        _phase = DumpPhase.Links;
        _interrupted = false;
        if (SendDump())
        {
            _restartWanted = false;
            return true;
        }

        _phase = DumpPhase.Idle;
        return false;
    }

    /// <summary>
    /// Throws away what waits to be read. The snapshot has all of it; and a route whose addition waits while its removal was
    /// lost would be told for ever.
    /// </summary>
    private void DiscardQueued()
    {
        _position = 0;
        _length = 0;
        long result;
        do
        {
            result = Libc.Receive(
                FileDescriptor, new Span<byte>(_buffer, NetlinkMessage.HeaderLength), Constants.MessageDontWait);
            _statistics.Overruns += result == -Errno.NoBuffers ? 1 : 0;
        }
        while (result is > 0 or -Errno.NoBuffers or -Errno.Interrupted);
    }

    private bool SendDump()
    {
        // RTM_GETLINK, GETADDR, GETROUTE, GETNEIGH with the fixed header of each, of which only the family matters.
        (ushort type, int header, byte family) = _phase switch
        {
            DumpPhase.Links => ((ushort)18, 16, (byte)0),
            DumpPhase.Addresses => ((ushort)22, 8, (byte)Constants.AddressFamilyInet),
            DumpPhase.Routes => ((ushort)26, 12, (byte)Constants.AddressFamilyInet),
            _ => ((ushort)30, 12, (byte)Constants.AddressFamilyInet),
        };
        Span<byte> message = stackalloc byte[NetlinkMessage.HeaderLength + 16];
        message.Clear();
        int length = NetlinkMessage.HeaderLength + header;
        _sequence = _sequence == uint.MaxValue ? 1 : _sequence + 1;
        WriteHeader(message, length, type, NetlinkMessage.FlagRequest | NetlinkMessage.FlagDump, _sequence);
        message[NetlinkMessage.HeaderLength] = family;
        return Libc.Send(FileDescriptor, message[..length], Constants.MessageDontWait) == length;
    }

    /// <summary>Reads the next datagram. Returns false when there is none.</summary>
    private bool Fill()
    {
        while (true)
        {
            long result = Libc.Receive(
                FileDescriptor,
                new Span<byte>(_buffer, BufferLength),
                Constants.MessageDontWait | Constants.MessageTruncate);
            if (result == -Errno.Interrupted)
            {
                continue;
            }

            if (result == -Errno.NoBuffers)
            {
                // Changes were lost. A dump in progress goes on undisturbed, and is then made again.
                _statistics.Overruns++;
                _restartWanted = true;
                if (_phase != DumpPhase.Idle)
                {
                    continue;
                }

                _position = 0;
                _length = 0;
                return true;
            }

            if (result <= 0)
            {
                return false;
            }

            if (result > BufferLength)
            {
                _statistics.Malformed++;
                _restartWanted = true;
                result = 0;
            }

            _position = 0;
            _length = (int)result;
            return true;
        }
    }
}

/// <summary>What a <see cref="RouteMonitor"/> has counted.</summary>
public struct RouteMonitorStatistics
{
    /// <summary>Events given out, of snapshots and changes.</summary>
    public long Events;

    /// <summary>Snapshots completed.</summary>
    public long Snapshots;

    /// <summary>Times that the kernel dropped changes because they were not read in time.</summary>
    public long Overruns;

    /// <summary>Messages that made no sense.</summary>
    public long Malformed;

    /// <summary>Requests, as of a neighbour, that the kernel refused.</summary>
    public long RequestErrors;
}
