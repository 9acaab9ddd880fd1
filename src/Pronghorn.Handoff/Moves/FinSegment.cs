// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Threading;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// The peer's FIN, made again: TCP_REPAIR cannot restore that it has come, so the new socket gets it as a segment (the same is done by
/// CRIU's soccr). It never leaves the node.
/// </summary>
internal static class FinSegment
{
    /// <summary>Ethernet, IPv6 and TCP without options.</summary>
    internal const int MaximumLength = EthernetLength + Ipv6Length + TcpLength;

    // The segment arrives within its writing, or a little later where another processor takes it.
    private static readonly TimeSpan s_limit = TimeSpan.FromMilliseconds(100);

    private const int EthernetLength = 14;
    private const int Ipv4Length = 20;
    private const int Ipv6Length = 40;
    private const int TcpLength = 20;
    private const byte ProtocolTcp = 6;
    private const byte FinAndAck = 0x11;
    private const byte HopLimit = 64;

    /// <summary>Gives it to the socket, where the connection had come to that.</summary>
    /// <param name="image">The connection.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="node">The node.</param>
    /// <param name="fd">The socket, which works, and which nobody writes to yet.</param>
    internal static void Inject(ConnectionImage image, TcpEnd local, SteeredNode node, int fd)
    {
        if (image.State != KernelTcpState.CloseWait)
        {
            return;
        }

        Span<byte> frame = stackalloc byte[MaximumLength];
        var wait = default(SpinWait);
        for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < s_limit; wait.SpinOnce())
        {
            // The peer acknowledges meanwhile, and what is older by more than its largest window is not believed (RFC 5961, 5.2).
            int unacknowledged = TcpRepair.GetUnacknowledged(fd);
            uint sndUna = image.WriteSequence - (uint)Math.Max(unacknowledged, 0);
            node.Held.Inject(frame[..Write(image, local, sndUna, node.Mac, node.InterfaceIndex, frame)]);
            if (unacknowledged < 0 || TcpInformation.Query(fd, out TcpInformation now) < 0 || now.State != KernelTcpState.Established)
            {
                return;
            }
        }
    }

    /// <summary>Writes the frame.</summary>
    /// <param name="image">The connection, in CLOSE-WAIT.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="sndUna">SND.UNA of the socket.</param>
    /// <param name="mac">Hardware address of the interface by which it is to come in.</param>
    /// <param name="interfaceIndex">Index of that interface.</param>
    /// <param name="frame">At least <see cref="MaximumLength"/> bytes.</param>
    /// <returns>The frame's length.</returns>
    internal static int Write(ConnectionImage image, TcpEnd local, uint sndUna, MacAddress mac, int interfaceIndex, Span<byte> frame)
    {
        frame.Clear();
        bool isIpv4 = local.Address.IsIpv4;
        mac.Write(frame);
        Steering.HeldPackets.WriteSource(frame, interfaceIndex);
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], isIpv4 ? (ushort)0x0800 : (ushort)0x86dd);
        Span<byte> ip = frame[EthernetLength..];
        int ipLength = isIpv4 ? WriteIpv4(ip, image.Remote.Address, local.Address) : WriteIpv6(ip, image.Remote.Address, local.Address);
        Span<byte> tcp = ip.Slice(ipLength, TcpLength);
        BinaryPrimitives.WriteUInt16BigEndian(tcp, image.Remote.Port);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[2..], local.Port);
        BinaryPrimitives.WriteUInt32BigEndian(tcp[4..], image.RcvNxt - 1);

        // SND.UNA: it acknowledges nothing that is not acknowledged yet.
        BinaryPrimitives.WriteUInt32BigEndian(tcp[8..], sndUna);
        tcp[12] = TcpLength / 4 << 4;
        tcp[13] = FinAndAck;
        BinaryPrimitives.WriteUInt16BigEndian(tcp[14..], (ushort)Math.Min(image.Window.SndWnd >> image.SendScale, ushort.MaxValue));
        uint sum = Checksum.PseudoHeader(image.Remote.Address, local.Address, ProtocolTcp, TcpLength);
        BinaryPrimitives.WriteUInt16BigEndian(tcp[16..], Checksum.Finish(Checksum.Sum(tcp, sum)));
        return EthernetLength + ipLength + TcpLength;
    }

    private static int WriteIpv4(Span<byte> ip, IpAddress source, IpAddress destination)
    {
        ip[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(ip[2..], Ipv4Length + TcpLength);
        ip[8] = HopLimit;
        ip[9] = ProtocolTcp;
        source.WriteIpv4(ip[12..]);
        destination.WriteIpv4(ip[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(ip[10..], Checksum.Finish(Checksum.Sum(ip[..Ipv4Length])));
        return Ipv4Length;
    }

    private static int WriteIpv6(Span<byte> ip, IpAddress source, IpAddress destination)
    {
        ip[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(ip[4..], TcpLength);
        ip[6] = ProtocolTcp;
        ip[7] = HopLimit;
        source.WriteIpv6(ip[8..]);
        destination.WriteIpv6(ip[24..]);
        return Ipv6Length;
    }
}
