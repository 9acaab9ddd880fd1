// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Tests;

/// <summary>Packets for the steering program, which reads no checksum.</summary>
internal static class PacketBuilder
{
    public const byte Icmp = 1;
    public const byte Tcp = 6;
    public const byte Udp = 17;

    public const ushort MoreFragments = 0x2000;

    /// <summary>An Ethernet frame around a payload.</summary>
    public static byte[] Ethernet(ushort type, ReadOnlySpan<byte> payload)
    {
        byte[] frame = new byte[Math.Max(14 + payload.Length, 14)];
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), type);
        payload.CopyTo(frame.AsSpan(14));
        return frame;
    }

    /// <summary>An IPv4 packet, with options of zero bytes or more.</summary>
    public static byte[] Ipv4(
        byte protocol,
        IpAddress source,
        IpAddress destination,
        ReadOnlySpan<byte> payload,
        ushort fragment = 0,
        int optionLength = 0)
    {
        byte[] packet = new byte[20 + optionLength + payload.Length];
        packet[0] = (byte)(0x40 | ((20 + optionLength) / 4));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), fragment);
        packet[8] = 64;
        packet[9] = protocol;
        source.WriteIpv4(packet.AsSpan(12));
        destination.WriteIpv4(packet.AsSpan(16));
        payload.CopyTo(packet.AsSpan(20 + optionLength));
        return packet;
    }

    /// <summary>A TCP header of 20 bytes.</summary>
    public static byte[] TcpSegment(int source, int destination, byte flags)
    {
        byte[] segment = new byte[20];
        BinaryPrimitives.WriteUInt16BigEndian(segment, (ushort)source);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), (ushort)destination);
        segment[12] = 0x50;
        segment[13] = flags;
        return segment;
    }

    /// <summary>An ICMP message about a packet.</summary>
    public static byte[] IcmpError(byte type, ReadOnlySpan<byte> quoted)
    {
        byte[] message = new byte[8 + quoted.Length];
        message[0] = type;
        quoted.CopyTo(message.AsSpan(8));
        return message;
    }
}
