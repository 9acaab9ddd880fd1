// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>A frame by its parts: built with every checksum right, read with every checksum verified.</summary>
internal sealed record TestPacket
{
    public const byte Fin = 1;
    public const byte Syn = 2;
    public const byte Rst = 4;
    public const byte Ack = 16;

    public ulong DestinationMac { get; init; }

    public ulong SourceMac { get; init; } = 0x0200000000fe;

    public int Vlan { get; init; }

    public required IpAddress Source { get; init; }

    public required IpAddress Destination { get; init; }

    public int HopLimit { get; init; } = 64;

    public IpProtocol Protocol { get; init; } = IpProtocol.Udp;

    public int SourcePort { get; init; }

    public int DestinationPort { get; init; }

    public byte Flags { get; init; }

    public uint Sequence { get; init; }

    public uint Acknowledgment { get; init; }

    public byte IcmpType { get; init; }

    public byte IcmpCode { get; init; }

    public uint IcmpRest { get; init; }

    public byte[] Payload { get; init; } = [];

    public int Identification { get; init; }

    /// <summary>In octets.</summary>
    public int FragmentOffset { get; init; }

    public bool MoreFragments { get; init; }

    /// <summary>Octets of IPv4 options, or of an IPv6 destination options header.</summary>
    public int OptionLength { get; init; }

    public bool WithoutUdpChecksum { get; init; }

    public bool IsIpv6 => !Source.IsIpv4;

    public bool IsFragment => FragmentOffset != 0 || MoreFragments;

    /// <summary>The same packet the other way.</summary>
    public TestPacket Answer() => this with
    {
        Source = Destination,
        Destination = Source,
        SourcePort = DestinationPort,
        DestinationPort = SourcePort,
        Flags = (byte)(Protocol == IpProtocol.Tcp ? Flags | Ack : 0),
        HopLimit = 64,
    };

    public byte[] Build()
    {
        byte[] transport = FragmentOffset == 0 ? BuildTransport() : Payload;
        return Frame(transport);
    }

    /// <summary>Two fragments; the first has this many octets of the transport header and payload.</summary>
    public (byte[] First, byte[] Second) BuildFragments(int first)
    {
        byte[] whole = BuildTransport();
        TestPacket one = this with { MoreFragments = true };
        TestPacket two = this with { FragmentOffset = first };
        return (one.Frame(whole.AsSpan(0, first)), two.Frame(whole.AsSpan(first)));
    }

    /// <summary>The packet from its network header on, cut off as an ICMP error may do.</summary>
    public byte[] Quote(int length = 576)
    {
        byte[] packet = Build()[(Vlan == 0 ? 14 : 18)..];
        return packet[..Math.Min(length, packet.Length)];
    }

    public byte[] BuildTransport()
    {
        int header = Protocol switch { IpProtocol.Tcp => 20, IpProtocol.Sctp => 12, _ => 8 };
        byte[] bytes = new byte[header + Payload.Length];
        Payload.CopyTo(bytes.AsSpan(header));
        switch (Protocol)
        {
            case IpProtocol.Tcp:
                WritePorts(bytes);
                BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), Sequence);
                BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), Acknowledgment);
                bytes[12] = 0x50;
                bytes[13] = Flags;
                BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(14), 64000);
                WriteChecksum(bytes, 16, pseudo: true);
                break;
            case IpProtocol.Udp:
                WritePorts(bytes);
                BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(4), (ushort)bytes.Length);
                if (!WithoutUdpChecksum)
                {
                    WriteChecksum(bytes, 6, pseudo: true);
                }

                break;
            case IpProtocol.Sctp:
                WritePorts(bytes);
                BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), Sequence);
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Crc32c(bytes));
                break;
            default:
                bytes[0] = IcmpType;
                bytes[1] = IcmpCode;
                BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), IcmpRest);
                WriteChecksum(bytes, 2, pseudo: Protocol == IpProtocol.IcmpV6);
                break;
        }

        return bytes;
    }

    private byte[] Frame(ReadOnlySpan<byte> transport)
    {
        int ethernet = Vlan == 0 ? 14 : 18;
        int network = IsIpv6 ? 40 + OptionLength + (IsFragment ? 8 : 0) : 20 + OptionLength;
        byte[] frame = new byte[ethernet + network + transport.Length];
        WriteMac(frame, DestinationMac);
        WriteMac(frame.AsSpan(6), SourceMac);
        ushort type = IsIpv6 ? (ushort)0x86dd : (ushort)0x0800;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), Vlan == 0 ? type : (ushort)0x8100);
        if (Vlan != 0)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), (ushort)(Vlan | 0x6000));
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(16), type);
        }

        if (IsIpv6)
        {
            WriteIpv6(frame.AsSpan(ethernet), network + transport.Length);
        }
        else
        {
            WriteIpv4(frame.AsSpan(ethernet, network), network + transport.Length);
        }

        transport.CopyTo(frame.AsSpan(ethernet + network));
        return frame;
    }

    private void WriteIpv4(Span<byte> header, int total)
    {
        header[0] = (byte)(0x40 | (header.Length / 4));
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)total);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)Identification);
        int fragment = (FragmentOffset / 8) | (MoreFragments ? 0x2000 : 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[6..], (ushort)fragment);
        header[8] = (byte)HopLimit;
        header[9] = (byte)Protocol;
        Source.WriteIpv4(header[12..]);
        Destination.WriteIpv4(header[16..]);
        header[20..].Fill(1);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], Checksum.Finish(Checksum.Sum(header)));
    }

    private void WriteIpv6(Span<byte> packet, int total)
    {
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)(total - 40));
        packet[7] = (byte)HopLimit;
        Source.WriteIpv6(packet[8..]);
        Destination.WriteIpv6(packet[24..]);
        int position = 40;
        int next = 6;
        if (OptionLength > 0)
        {
            packet[next] = 60;
            next = position;
            packet[position + 1] = (byte)((OptionLength / 8) - 1);
            packet[position + 2] = 1;
            packet[position + 3] = (byte)(OptionLength - 4);
            position += OptionLength;
        }

        if (IsFragment)
        {
            packet[next] = 44;
            next = position;
            BinaryPrimitives.WriteUInt16BigEndian(packet[(position + 2)..], (ushort)(FragmentOffset | (MoreFragments ? 1 : 0)));
            BinaryPrimitives.WriteUInt32BigEndian(packet[(position + 4)..], (uint)Identification);
        }

        packet[next] = (byte)Protocol;
    }

    private void WritePorts(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)DestinationPort);
    }

    private void WriteChecksum(Span<byte> bytes, int offset, bool pseudo)
    {
        uint sum = pseudo ? Checksum.PseudoHeader(Source, Destination, (byte)Protocol, bytes.Length) : 0;
        ushort checksum = Checksum.Finish(Checksum.Sum(bytes, sum));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[offset..], checksum == 0 && Protocol == IpProtocol.Udp ? (ushort)0xffff : checksum);
    }

    /// <summary>CRC32c, bit by bit (RFC 9260 appendix A).</summary>
    public static uint Crc32c(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte octet in bytes)
        {
            crc ^= octet;
            for (int i = 0; i < 8; i++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82f63b78);
            }
        }

        return ~crc;
    }

    private static void WriteMac(Span<byte> bytes, ulong mac)
    {
        Span<byte> eight = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(eight, mac);
        eight[2..].CopyTo(bytes);
    }
}
