// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.IO;
using System.Runtime.InteropServices;
using System.Threading;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>
/// What the kernel's connection tracking has of single TCP connections (nfnetlink, ctnetlink), in the network namespace of the thread
/// that asks first. Where the kernel tracks nothing, nothing is asked, as asking would load the modules.
/// </summary>
/// <remarks>Any thread may call. Needs CAP_NET_ADMIN. Entries of other zones than 0 are not found.</remarks>
public sealed class ConnectionTracking : IDisposable
{
    private const string Sign = "/proc/sys/net/netfilter/nf_conntrack_max";
    private const int ProtocolNetfilter = 12;
    private const ushort SubsystemConnections = 1 << 8;
    private const ushort TypeNew = SubsystemConnections | 0;
    private const ushort TypeDelete = SubsystemConnections | 2;
    private const ushort FlagAcknowledge = 4;
    private const ushort Nested = 0x8000;

    // CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_TUPLE_PROTO and what is in them.
    private const ushort Original = 1;
    private const ushort Addresses = 1;
    private const ushort Protocol = 2;
    private const ushort ProtocolNumber = 1;
    private const ushort SourcePort = 2;
    private const ushort DestinationPort = 3;

    // CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL and CTA_PROTOINFO_TCP_FLAGS_REPLY.
    private const ushort Information = 4;
    private const ushort InformationOfTcp = 1;
    private const ushort FlagsOriginal = 4;
    private const ushort FlagsReply = 5;
    private const byte BeLiberal = 8; // IP_CT_TCP_FLAG_BE_LIBERAL

    private const int LargestRequest = 256;

    private readonly Lock _lock = new();
    private readonly byte[] _answer = new byte[1024];
    private int _descriptor = -1;
    private uint _sequence;
    private bool _isDisposed;

    /// <summary>
    /// A connection that a peer opened is let through from now on whatever its numbers: others than those that were seen have gone by.
    /// </summary>
    /// <returns>0, or the negative error number: -ENOENT when it is not tracked.</returns>
    public int SetLiberal(TcpEnd local, TcpEnd remote) => Ask(TypeNew, local, remote, isLiberal: true);

    /// <summary>A connection that a peer opened is not there any more: without this its entry would stay for days.</summary>
    /// <returns>0, or the negative error number: -ENOENT when it is not tracked.</returns>
    public int Forget(TcpEnd local, TcpEnd remote) => Ask(TypeDelete, local, remote, isLiberal: false);

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            if (_descriptor >= 0)
            {
                _ = Libc.Close(_descriptor);
                _descriptor = -1;
            }
        }
    }

    private int Ask(ushort type, TcpEnd local, TcpEnd remote, bool isLiberal)
    {
        if (!File.Exists(Sign))
        {
            return -Errno.NoEntry;
        }

        Span<byte> request = stackalloc byte[LargestRequest];
        request.Clear();
        lock (_lock)
        {
            if (_isDisposed)
            {
                return -Errno.NoEntry;
            }

            if (_descriptor < 0)
            {
                _descriptor = Libc.Socket(
                    Constants.AddressFamilyNetlink, Constants.SocketRaw | Constants.SocketCloseOnExec, ProtocolNetfilter);
                if (_descriptor < 0)
                {
                    return _descriptor;
                }
            }

            int length = Write(request, type, local, remote, isLiberal, ++_sequence);
            long result = Libc.Send(_descriptor, request[..length], flags: 0);

            // The kernel answers before send(2) returns.
            return result < 0 ? (int)result : ReadAnswer();
        }
    }

    private int ReadAnswer()
    {
        while (true)
        {
            long length = Libc.Receive(_descriptor, _answer, Constants.MessageDontWait);
            if (length is -Errno.Interrupted)
            {
                continue;
            }

            if (length <= 0)
            {
                return length == 0 ? -Errno.Invalid : (int)length;
            }

            ReadOnlySpan<byte> rest = _answer.AsSpan(0, (int)length);
            while (NetlinkMessage.TryTake(ref rest, out NetlinkMessage message))
            {
                if (message.Sequence == _sequence && message.Type == NetlinkMessage.TypeError && message.Payload.Length >= sizeof(int))
                {
                    return Math.Min(MemoryMarshal.Read<int>(message.Payload), 0);
                }
            }
        }
    }

    internal static int Write(Span<byte> request, ushort type, TcpEnd local, TcpEnd remote, bool isLiberal, uint sequence)
    {
        // struct nfgenmsg: family, version, resource.
        bool isIpv4 = local.Address.IsIpv4;
        request[NetlinkMessage.HeaderLength] = (byte)(isIpv4 ? Constants.AddressFamilyInet : Constants.AddressFamilyInet6);
        var writer = new Writer(request, NetlinkMessage.HeaderLength + 4);
        int tuple = writer.Begin(Original);
        int addresses = writer.Begin(Addresses);
        writer.Add((ushort)(isIpv4 ? 1 : 3), remote.Address);
        writer.Add((ushort)(isIpv4 ? 2 : 4), local.Address);
        writer.End(addresses);
        int protocol = writer.Begin(Protocol);
        writer.Add(ProtocolNumber, [(byte)IpProtocol.Tcp]);
        writer.Add(SourcePort, remote.Port);
        writer.Add(DestinationPort, local.Port);
        writer.End(protocol);
        writer.End(tuple);
        if (isLiberal)
        {
            // Each flag with the mask of those that change.
            int information = writer.Begin(Information);
            int tcp = writer.Begin(InformationOfTcp);
            writer.Add(FlagsOriginal, [BeLiberal, BeLiberal]);
            writer.Add(FlagsReply, [BeLiberal, BeLiberal]);
            writer.End(tcp);
            writer.End(information);
        }

        RouteMonitor.WriteHeader(
            request, writer.Position, type, NetlinkMessage.FlagRequest | FlagAcknowledge, sequence);
        return writer.Position;
    }

    /// <summary>Attributes one after the other, and in each other.</summary>
    private ref struct Writer(Span<byte> bytes, int position)
    {
        private const int HeaderLength = 4;

        private readonly Span<byte> _bytes = bytes;

        public int Position { get; private set; } = position;

        public int Begin(ushort type)
        {
            int start = Position;
            WriteHeader(start, 0, (ushort)(type | Nested));
            Position += HeaderLength;
            return start;
        }

        public readonly void End(int start) => MemoryMarshal.Write(_bytes[start..], (ushort)(Position - start));

        public void Add(ushort type, scoped ReadOnlySpan<byte> value)
        {
            WriteHeader(Position, HeaderLength + value.Length, type);
            value.CopyTo(_bytes[(Position + HeaderLength)..]);
            Position += (HeaderLength + value.Length + 3) & ~3;
        }

        public void Add(ushort type, ushort port)
        {
            Span<byte> value = stackalloc byte[sizeof(ushort)];
            BinaryPrimitives.WriteUInt16BigEndian(value, port);
            Add(type, value);
        }

        public void Add(ushort type, IpAddress address)
        {
            Span<byte> value = stackalloc byte[IpAddress.Ipv6Length];
            if (address.IsIpv4)
            {
                address.WriteIpv4(value);
                value = value[..IpAddress.Ipv4Length];
            }
            else
            {
                address.WriteIpv6(value);
            }

            Add(type, value);
        }

        private readonly void WriteHeader(int at, int length, ushort type)
        {
            MemoryMarshal.Write(_bytes[at..], (ushort)length);
            MemoryMarshal.Write(_bytes[(at + 2)..], type);
        }
    }
}
