// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Steering;

/// <summary>The ends of a TCP segment in an Ethernet frame, as bpf/common/handoff_packet.h reads them.</summary>
internal static class SegmentEnds
{
    private const int Ipv4Source = 12;
    private const int Ipv6Length = 40;
    private const int Ipv6Source = 8;
    private const int Ports = 4;

    /// <summary>Reads them off a frame that came in.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="local">Its destination.</param>
    /// <param name="remote">Its source.</param>
    /// <returns>Whether it is a segment, with its ports.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> frame, out TcpEnd local, out TcpEnd remote)
    {
        (local, remote) = (default, default);
        if (!EthernetView.TryParse(frame, out EthernetView ethernet) || ethernet.Payload.IsEmpty)
        {
            return false;
        }

        ReadOnlySpan<byte> ip = ethernet.Payload;
        bool isIpv6 = ethernet.Type == EtherType.Ipv6;
        int length = isIpv6 ? Ipv6Length : (ip[0] & 0xf) * 4;
        int address = isIpv6 ? IpAddress.Ipv6Length : IpAddress.Ipv4Length;
        int source = isIpv6 ? Ipv6Source : Ipv4Source;
        if ((!isIpv6 && ethernet.Type != EtherType.Ipv4) || length < source + (2 * address) || ip.Length < length + Ports)
        {
            return false;
        }

        ReadOnlySpan<byte> ports = ip[length..];
        remote = new TcpEnd(Read(ip.Slice(source, address)), BinaryPrimitives.ReadUInt16BigEndian(ports));
        local = new TcpEnd(Read(ip.Slice(source + address, address)), BinaryPrimitives.ReadUInt16BigEndian(ports[2..]));
        return true;
    }

    private static IpAddress Read(ReadOnlySpan<byte> bytes) =>
        bytes.Length == IpAddress.Ipv4Length ? IpAddress.ReadIpv4(bytes) : IpAddress.ReadIpv6(bytes);
}
