// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>A frame by its parts: built with every checksum right, read with every checksum verified.</summary>
internal sealed record TestFrame
{
    public const byte Syn = 2;
    public const byte Rst = 4;
    public const byte Ack = 16;
    public const int Ethernet = 14;
    private const ushort DontFragment = 0x4000;
    private const int TcpLength = 20;

    public ulong DestinationMac { get; init; } = 0x02aaaaaaaaaa;

    public ulong SourceMac { get; init; } = 0x02bbbbbbbbbb;

    public required TcpEnd Source { get; init; }

    public required TcpEnd Destination { get; init; }

    public int HopLimit { get; init; } = 64;

    /// <summary>Of what is neither TCP nor ICMP all behind the network header is payload.</summary>
    public IpProtocol Protocol { get; init; } = IpProtocol.Tcp;

    public byte Flags { get; init; } = Ack;

    public uint Sequence { get; init; } = 0x12345678;

    public byte IcmpType { get; init; }

    public byte IcmpCode { get; init; }

    public uint IcmpRest { get; init; }

    public byte[] Payload { get; init; } = [];

    /// <summary>Octets of IPv4 options.</summary>
    public int OptionLength { get; init; }

    /// <summary>The field of the IPv4 header with the flags and the offset.</summary>
    public ushort Fragment { get; init; } = DontFragment;

    public bool IsIpv6 => !Source.Address.IsIpv4;

    private bool IsIcmp => Protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;

    /// <summary>The same packet the other way.</summary>
    public TestFrame Turned => this with { Source = Destination, Destination = Source };

    /// <summary>An error about a packet, from a router to its source.</summary>
    public static TestFrame Error(TestFrame about, byte type, byte code, uint rest, int quoted = 100) => new()
    {
        Source = new TcpEnd(IpAddress.Parse(about.IsIpv6 ? "2001:db8::fe" : "192.0.2.254"), 0),
        Destination = about.Source with { Port = 0 },
        Protocol = about.IsIpv6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp,
        IcmpType = type,
        IcmpCode = code,
        IcmpRest = rest,
        Payload = about.BuildPacket()[..Math.Min(quoted, about.BuildPacket().Length)],
    };

    public byte[] Build()
    {
        byte[] packet = BuildPacket();
        byte[] frame = new byte[Ethernet + packet.Length];
        WriteMac(frame, DestinationMac);
        WriteMac(frame.AsSpan(6), SourceMac);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), IsIpv6 ? (ushort)0x86dd : (ushort)0x0800);
        packet.CopyTo(frame.AsSpan(Ethernet));
        return frame;
    }

    public byte[] BuildPacket()
    {
        byte[] transport = BuildTransport();
        int network = IsIpv6 ? 40 : 20 + OptionLength;
        byte[] packet = new byte[network + transport.Length];
        transport.CopyTo(packet.AsSpan(network));
        if (IsIpv6)
        {
            packet[0] = 0x60;
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)transport.Length);
            packet[6] = (byte)Protocol;
            packet[7] = (byte)HopLimit;
            Source.Address.WriteIpv6(packet.AsSpan(8));
            Destination.Address.WriteIpv6(packet.AsSpan(24));
            return packet;
        }

        packet[0] = (byte)(0x40 | (network / 4));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), Fragment);
        packet[8] = (byte)HopLimit;
        packet[9] = (byte)Protocol;
        Source.Address.WriteIpv4(packet.AsSpan(12));
        Destination.Address.WriteIpv4(packet.AsSpan(16));
        packet.AsSpan(20, OptionLength).Fill(1);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Checksum.Finish(Checksum.Sum(packet.AsSpan(0, network))));
        return packet;
    }

    /// <summary>Reads a frame that a program left.</summary>
    public static TestFrame Read(ReadOnlySpan<byte> frame)
    {
        TestFrame read = ReadPacket(frame[Ethernet..], isWhole: true);
        Assert.Equal(read.IsIpv6 ? 0x86dd : 0x0800, BinaryPrimitives.ReadUInt16BigEndian(frame[12..]));
        return read with { DestinationMac = ReadMac(frame), SourceMac = ReadMac(frame[6..]) };
    }

    /// <summary>Reads what an error quotes: of TCP the ports at least.</summary>
    public TestFrame ReadQuoted() => ReadPacket(Payload, isWhole: false);

    private static TestFrame ReadPacket(ReadOnlySpan<byte> packet, bool isWhole)
    {
        TestFrame read = packet[0] >> 4 == 6
            ? new TestFrame
            {
                Source = new TcpEnd(IpAddress.ReadIpv6(packet[8..]), 0),
                Destination = new TcpEnd(IpAddress.ReadIpv6(packet[24..]), 0),
                HopLimit = packet[7],
                Protocol = (IpProtocol)packet[6],
            }
            : ReadIpv4(packet);
        int network = read.IsIpv6 ? 40 : 20 + read.OptionLength;
        int total = BinaryPrimitives.ReadUInt16BigEndian(packet[(read.IsIpv6 ? 4 : 2)..]) + (read.IsIpv6 ? network : 0);
        ReadOnlySpan<byte> transport = packet[network..];
        if (isWhole)
        {
            Assert.Equal(total, packet.Length);
            uint pseudo = read.Protocol == IpProtocol.Icmp ? 0 : Pseudo(read, transport.Length);
            Assert.True(Checksum.Finish(Checksum.Sum(transport, pseudo)) == 0, $"the checksum of {read.Protocol} is wrong");
        }

        return read.IsIcmp
            ? read with
            {
                IcmpType = transport[0],
                IcmpCode = transport[1],
                IcmpRest = BinaryPrimitives.ReadUInt32BigEndian(transport[4..]),
                Payload = transport[8..].ToArray(),
            }
            : read with
            {
                Source = read.Source with { Port = BinaryPrimitives.ReadUInt16BigEndian(transport) },
                Destination = read.Destination with { Port = BinaryPrimitives.ReadUInt16BigEndian(transport[2..]) },
                Sequence = BinaryPrimitives.ReadUInt32BigEndian(transport[4..]),
                Flags = transport.Length < TcpLength ? (byte)0 : transport[13],
                Payload = transport.Length < TcpLength ? [] : transport[TcpLength..].ToArray(),
            };
    }

    private static TestFrame ReadIpv4(ReadOnlySpan<byte> packet)
    {
        int length = (packet[0] & 15) * 4;
        Assert.True(Checksum.Finish(Checksum.Sum(packet[..length])) == 0, "the checksum of an IPv4 header is wrong");
        return new TestFrame
        {
            Source = new TcpEnd(IpAddress.ReadIpv4(packet[12..]), 0),
            Destination = new TcpEnd(IpAddress.ReadIpv4(packet[16..]), 0),
            HopLimit = packet[8],
            Protocol = (IpProtocol)packet[9],
            Fragment = BinaryPrimitives.ReadUInt16BigEndian(packet[6..]),
            OptionLength = length - 20,
        };
    }

    private byte[] BuildTransport()
    {
        if (Protocol != IpProtocol.Tcp && !IsIcmp)
        {
            return Payload;
        }

        byte[] bytes = new byte[(IsIcmp ? 8 : TcpLength) + Payload.Length];
        Payload.CopyTo(bytes.AsSpan(bytes.Length - Payload.Length));
        if (IsIcmp)
        {
            bytes[0] = IcmpType;
            bytes[1] = IcmpCode;
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), IcmpRest);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(bytes, Source.Port);
            BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(2), Destination.Port);
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), Sequence);
            bytes[12] = TcpLength / 4 << 4;
            bytes[13] = Flags;
            BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(14), 64000);
        }

        uint pseudo = Protocol == IpProtocol.Icmp ? 0 : Pseudo(this, bytes.Length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(IsIcmp ? 2 : 16), Checksum.Finish(Checksum.Sum(bytes, pseudo)));
        return bytes;
    }

    private static uint Pseudo(TestFrame frame, int length) =>
        Checksum.PseudoHeader(frame.Source.Address, frame.Destination.Address, (byte)frame.Protocol, length);

    private static void WriteMac(Span<byte> bytes, ulong mac)
    {
        Span<byte> eight = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(eight, mac);
        eight[2..].CopyTo(bytes);
    }

    private static ulong ReadMac(ReadOnlySpan<byte> bytes) =>
        ((ulong)BinaryPrimitives.ReadUInt16BigEndian(bytes) << 32) | BinaryPrimitives.ReadUInt32BigEndian(bytes[2..]);
}
