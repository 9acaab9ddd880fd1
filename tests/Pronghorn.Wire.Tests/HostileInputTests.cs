// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Xunit;

namespace Pronghorn.Wire.Tests;

/// <summary>Whatever octets arrive, no reader throws, and every accessor works after a successful read.</summary>
public sealed class HostileInputTests
{
    private const int Rounds = 20_000;

    [Fact]
    public void RandomOctets_ReadAsEveryFormat_NeverThrow()
    {
        var random = new Random(9293);
        byte[] octets = new byte[128];
        long accepted = 0;
        for (int round = 0; round < Rounds; round++)
        {
            Span<byte> packet = octets.AsSpan(0, random.Next(octets.Length + 1));
            random.NextBytes(packet);
            accepted += ReadAll(packet);
        }

        Assert.True(accepted > 0);
    }

    [Fact]
    public void ValidPacket_WithRandomOctetsChanged_NeverThrows()
    {
        var random = new Random(791);
        byte[] original = ValidPacket();
        byte[] packet = new byte[original.Length];
        long accepted = 0;
        for (int round = 0; round < Rounds; round++)
        {
            original.CopyTo(packet, 0);
            for (int changes = random.Next(4); changes > 0; changes--)
            {
                packet[random.Next(packet.Length)] = (byte)random.Next(256);
            }

            Seal(packet);
            accepted += ReadAll(packet.AsSpan(0, random.Next(2) == 0 ? packet.Length : random.Next(packet.Length)));
        }

        Assert.True(accepted > Rounds);
    }

    [Fact]
    public void ValidPacket_TruncatedAnywhere_NeverThrows()
    {
        byte[] packet = ValidPacket();
        for (int length = 0; length <= packet.Length; length++)
        {
            ReadAll(packet.AsSpan(0, length));
        }
    }

    private static byte[] ValidPacket()
    {
        var header = new TcpHeader { SourcePort = 40000, DestinationPort = 6379, Flags = TcpFlags.Ack };
        header.Options.HasTimestamps = true;
        header.Options.TryAddSackBlock(new SackBlock(new SeqNumber(1), new SeqNumber(2)));
        byte[] packet = new byte[20 + header.HeaderLength + 16];
        Ipv4Header.Write(
            packet, IpAddress.Parse("10.0.0.1"), IpAddress.Parse("10.0.0.2"), IpProtocol.Tcp, packet.Length - 20, 1, 64, 0, true);
        header.Write(packet.AsSpan(20));
        return packet;
    }

    private static void Seal(Span<byte> packet)
    {
        int length = Math.Min((packet[0] & 15) * 4, packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], Checksum.Finish(Checksum.Sum(packet[..length])));
    }

    /// <summary>Reads the octets in every way and touches every accessor; returns how many readers took them.</summary>
    private static long ReadAll(ReadOnlySpan<byte> octets)
    {
        long accepted = ReadLink(octets) + ReadIp(octets) + ReadTcp(octets) + ReadOptions(octets);
        if (UdpView.TryParse(octets, out UdpView udp, out _))
        {
            _ = udp.HasValidChecksum(IpAddress.AnyIpv4, IpAddress.AnyIpv4);
            accepted += udp.Payload.Length + udp.SourcePort + udp.DestinationPort > 0 ? 1 : 0;
        }

        if (Icmpv4View.TryParse(octets, out Icmpv4View icmp, out _))
        {
            accepted += icmp.Payload.Length + icmp.Code + icmp.RestOfHeader + (icmp.IsError ? 1 : 0) > 0 ? 1 : 0;
        }

        return accepted;
    }

    private static int ReadLink(ReadOnlySpan<byte> octets)
    {
        int accepted = 0;
        if (EthernetView.TryParse(octets, out EthernetView frame))
        {
            accepted += frame.Payload.Length + (int)frame.Type + (frame.Source == frame.Destination ? 1 : 0) >= 0 ? 1 : 0;
        }

        if (ArpView.TryParse(octets, out ArpView arp))
        {
            accepted += arp.SenderIp == arp.TargetIp && arp.SenderMac == arp.TargetMac && arp.Operation != 0 ? 1 : 0;
        }

        return accepted;
    }

    private static int ReadIp(ReadOnlySpan<byte> octets)
    {
        int accepted = 0;
        if (Ipv4View.TryParse(octets, out Ipv4View packet, out _))
        {
            Assert.Equal(packet.TotalLength, 20 + packet.Options.Length + packet.Payload.Length);
            _ = packet.FragmentOffset + packet.Ttl + packet.Tos + packet.Identification;
            accepted = 1 + ReadTcp(packet.Payload);
        }

        if (Ipv4View.TryParseQuoted(octets, out Ipv4View quoted))
        {
            _ = quoted.Options.Length + quoted.Payload.Length;
            _ = TcpView.TryParseQuoted(quoted.Payload, out _, out _, out _);
        }

        return accepted;
    }

    private static int ReadTcp(ReadOnlySpan<byte> octets)
    {
        if (!TcpView.TryParse(octets, out TcpView segment, out _))
        {
            return 0;
        }

        Assert.Equal(octets.Length, 20 + segment.Options.Length + segment.Payload.Length);
        TcpHeader header = segment.ToHeader();
        Assert.InRange(header.HeaderLength, 20, 60);
        _ = segment.HasValidChecksum(IpAddress.AnyIpv4, IpAddress.AnyIpv4);
        return 1;
    }

    private static int ReadOptions(ReadOnlySpan<byte> octets)
    {
        bool readable = TcpOptions.TryParse(octets, out TcpOptions options);
        Assert.InRange(options.WindowScale, -1, TcpOptions.MaximumWindowScale);
        Assert.InRange(options.SackBlockCount, 0, SackBlocks.Capacity);
        Span<byte> written = stackalloc byte[TcpOptions.MaximumLength];
        Assert.Equal(options.WrittenLength, options.Write(written));
        return readable ? 1 : 0;
    }
}
