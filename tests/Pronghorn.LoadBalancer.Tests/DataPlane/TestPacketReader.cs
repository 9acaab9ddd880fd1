// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Reads frames that a program left, and fails on any checksum or length that is wrong.</summary>
internal static class TestPacketReader
{
    public static TestPacket Read(ReadOnlySpan<byte> frame)
    {
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
        int vlan = 0;
        int network = 14;
        if (type == 0x8100)
        {
            vlan = BinaryPrimitives.ReadUInt16BigEndian(frame[14..]) & 0xfff;
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[16..]);
            network = 18;
        }

        TestPacket packet = ReadPacket(frame[network..], complete: true);
        Assert.Equal(packet.IsIpv6 ? 0x86dd : 0x0800, type);
        return packet with { DestinationMac = ReadMac(frame), SourceMac = ReadMac(frame[6..]), Vlan = vlan };
    }

    /// <summary>Reads a packet from its network header on; one that is not complete is a quotation.</summary>
    public static TestPacket ReadPacket(ReadOnlySpan<byte> packet, bool complete)
    {
        TestPacket read = packet[0] >> 4 == 6 ? ReadIpv6(packet, out int header, out int total) : ReadIpv4(packet, out header, out total);
        if (complete)
        {
            Assert.Equal(packet.Length, total);
        }

        ReadOnlySpan<byte> transport = packet[header..Math.Min(total, packet.Length)];
        return read.FragmentOffset != 0 ? read with { Payload = transport.ToArray() }
            : ReadTransport(read, transport, total - header == transport.Length && !read.IsFragment);
    }

    private static TestPacket ReadIpv4(ReadOnlySpan<byte> packet, out int header, out int total)
    {
        header = (packet[0] & 15) * 4;
        total = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        Assert.True(Checksum.Finish(Checksum.Sum(packet[..header])) == 0, "the IPv4 header's checksum is wrong");
        int fragment = BinaryPrimitives.ReadUInt16BigEndian(packet[6..]);
        return new TestPacket
        {
            Source = IpAddress.ReadIpv4(packet[12..]),
            Destination = IpAddress.ReadIpv4(packet[16..]),
            HopLimit = packet[8],
            Protocol = (IpProtocol)packet[9],
            Identification = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]),
            FragmentOffset = (fragment & 0x1fff) * 8,
            MoreFragments = (fragment & 0x2000) != 0,
            OptionLength = header - 20,
        };
    }

    private static TestPacket ReadIpv6(ReadOnlySpan<byte> packet, out int header, out int total)
    {
        header = 40;
        total = 40 + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        var read = new TestPacket
        {
            Source = IpAddress.ReadIpv6(packet[8..]),
            Destination = IpAddress.ReadIpv6(packet[24..]),
            HopLimit = packet[7],
        };
        byte next = packet[6];
        if (next == 60)
        {
            next = packet[header];
            int length = (packet[header + 1] + 1) * 8;
            read = read with { OptionLength = length };
            header += length;
        }

        if (next == 44)
        {
            next = packet[header];
            int fragment = BinaryPrimitives.ReadUInt16BigEndian(packet[(header + 2)..]);
            read = read with
            {
                FragmentOffset = fragment & 0xfff8,
                MoreFragments = (fragment & 1) != 0,
                Identification = (int)BinaryPrimitives.ReadUInt32BigEndian(packet[(header + 4)..]),
            };
            header += 8;
        }

        return read with { Protocol = (IpProtocol)next };
    }

    private static TestPacket ReadTransport(TestPacket read, ReadOnlySpan<byte> bytes, bool isWhole)
    {
        switch (read.Protocol)
        {
            case IpProtocol.Tcp:
                Verify(read, bytes, isWhole, pseudo: true);
                return ReadPorts(read, bytes) with
                {
                    Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
                    Acknowledgment = bytes.Length < 12 ? 0 : BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
                    Flags = bytes.Length < 14 ? (byte)0 : bytes[13],
                    Payload = bytes.Length < 20 ? [] : bytes[20..].ToArray(),
                };
            case IpProtocol.Udp:
                bool without = bytes[6] == 0 && bytes[7] == 0;
                Verify(read, bytes, isWhole && !without, pseudo: true);
                return ReadPorts(read, bytes) with { Payload = bytes[8..].ToArray(), WithoutUdpChecksum = without };
            case IpProtocol.Sctp:
                VerifySctp(bytes, isWhole);
                return ReadPorts(read, bytes) with
                {
                    Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
                    Payload = bytes.Length < 12 ? [] : bytes[12..].ToArray(),
                };
            default:
                Verify(read, bytes, isWhole, pseudo: read.Protocol == IpProtocol.IcmpV6);
                return read with
                {
                    IcmpType = bytes[0],
                    IcmpCode = bytes[1],
                    IcmpRest = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]),
                    Payload = bytes[8..].ToArray(),
                };
        }
    }

    private static TestPacket ReadPorts(TestPacket read, ReadOnlySpan<byte> bytes) => read with
    {
        SourcePort = BinaryPrimitives.ReadUInt16BigEndian(bytes),
        DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
    };

    private static void Verify(TestPacket read, ReadOnlySpan<byte> bytes, bool isWhole, bool pseudo)
    {
        if (isWhole)
        {
            uint sum = pseudo ? Checksum.PseudoHeader(read.Source, read.Destination, (byte)read.Protocol, bytes.Length) : 0;
            Assert.True(Checksum.Finish(Checksum.Sum(bytes, sum)) == 0, $"the checksum of {read.Protocol} is wrong");
        }
    }

    private static void VerifySctp(ReadOnlySpan<byte> bytes, bool isWhole)
    {
        if (isWhole)
        {
            byte[] copy = bytes.ToArray();
            copy.AsSpan(8, 4).Clear();
            Assert.Equal(TestPacket.Crc32c(copy), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
        }
    }

    private static ulong ReadMac(ReadOnlySpan<byte> bytes)
    {
        Span<byte> eight = stackalloc byte[8];
        eight.Clear();
        bytes[..6].CopyTo(eight[2..]);
        return BinaryPrimitives.ReadUInt64BigEndian(eight);
    }
}
