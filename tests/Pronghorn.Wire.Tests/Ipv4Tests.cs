// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class Ipv4Tests
{
    private static readonly IpAddress s_source = IpAddress.Parse("10.0.0.1");
    private static readonly IpAddress s_destination = IpAddress.Parse("10.0.0.2");

    [Fact]
    public void Header_Written_HasTheOctetsComputedByHand()
    {
        byte[] header = new byte[20];
        Ipv4Header.Write(header, s_source, s_destination, IpProtocol.Tcp, 20, 0x1234, 64, 0, dontFragment: true);

        // 4500+0028+1234+4000+4006+0A00+0001+0A00+0002 = EB65; its complement is 149A.
        Assert.Equal("45000028123440004006" + "149A" + "0A0000010A000002", Convert.ToHexString(header));
    }

    [Property]
    public bool Header_WrittenAndRead_IsTheSame(
        uint source, uint destination, byte protocol, ushort identification, byte ttl, byte tos, bool dontFragment, byte[] data)
    {
        byte[] packet = new byte[20 + data.Length + 9];
        data.CopyTo(packet, 20);
        IpAddress from = IpAddress.FromIpv4(source);
        IpAddress to = IpAddress.FromIpv4(destination);
        Ipv4Header.Write(packet, from, to, (IpProtocol)protocol, data.Length, identification, ttl, tos, dontFragment);

        return Ipv4View.TryParse(packet, out Ipv4View view, out WireError error)
            && error == WireError.None
            && view.Source == from && view.Destination == to
            && view.Protocol == (IpProtocol)protocol && view.Identification == identification
            && view.Ttl == ttl && view.Tos == tos && view.Ecn == (tos & 3)
            && view.DontFragment == dontFragment && !view.MoreFragments && view.FragmentOffset == 0 && !view.IsFragment
            && view.HeaderLength == 20 && view.TotalLength == 20 + data.Length
            && view.Options.IsEmpty && view.Payload.SequenceEqual(data);
    }

    [Theory]
    [InlineData(0, 0x55, WireError.BadVersion)]
    [InlineData(0, 0x44, WireError.BadHeaderLength)]
    [InlineData(0, 0x4F, WireError.BadHeaderLength)]
    [InlineData(3, 19, WireError.BadTotalLength)]
    [InlineData(3, 29, WireError.BadTotalLength)]
    [InlineData(8, 63, WireError.BadChecksum)]
    [InlineData(10, 0, WireError.BadChecksum)]
    public void Packet_WithAWrongOctet_IsRefusedForItsReason(int index, byte value, WireError expected)
    {
        byte[] packet = Packet(8);
        packet[index] = value;
        Assert.False(Ipv4View.TryParse(packet, out _, out WireError error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void Packet_TruncatedAnywhere_IsRefused()
    {
        byte[] packet = Packet(40);
        for (int length = 0; length < packet.Length; length++)
        {
            Assert.False(Ipv4View.TryParse(packet.AsSpan(0, length), out _, out WireError error));
            Assert.Equal(length < 20 ? WireError.TooShort : WireError.BadTotalLength, error);
        }
    }

    [Theory]
    [InlineData(0x2000, true, 0, true)]
    [InlineData(0x00B9, false, 1480, true)]
    [InlineData(0x20B9, true, 1480, true)]
    [InlineData(0x4000, false, 0, false)]
    [InlineData(0x1FFF, false, 65528, true)]
    public void FragmentField_Read_TellsOffsetAndMore(ushort field, bool more, int offset, bool fragment)
    {
        byte[] packet = Packet(8);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), field);
        Seal(packet);
        Assert.True(Ipv4View.TryParse(packet, out Ipv4View view, out _));
        Assert.Equal(more, view.MoreFragments);
        Assert.Equal(offset, view.FragmentOffset);
        Assert.Equal(fragment, view.IsFragment);
    }

    [Fact]
    public void HeaderWithOptions_Read_SeparatesOptionsFromPayload()
    {
        byte[] packet = Packet(12);
        packet[0] = 0x46;
        byte[] options = [1, 1, 1, 0];
        options.CopyTo(packet, 20);
        Seal(packet);
        Assert.True(Ipv4View.TryParse(packet, out Ipv4View view, out _));
        Assert.Equal(24, view.HeaderLength);
        Assert.True(view.Options.SequenceEqual(options));
        Assert.Equal(8, view.Payload.Length);
    }

    [Fact]
    public void QuotedPacket_CutByARouter_IsReadAsFarAsItGoes()
    {
        byte[] packet = Packet(1000);
        packet[8] = 1;
        for (int length = 0; length <= packet.Length; length++)
        {
            bool readable = Ipv4View.TryParseQuoted(packet.AsSpan(0, length), out Ipv4View view);
            Assert.Equal(length >= 20, readable);
            if (readable)
            {
                Assert.Equal(length - 20, view.Payload.Length);
                Assert.Equal(s_destination, view.Destination);
            }
        }

        packet[3] = 10;
        packet[2] = 0;
        Assert.False(Ipv4View.TryParseQuoted(packet, out _));
    }

    private static byte[] Packet(int payloadLength)
    {
        byte[] packet = new byte[20 + payloadLength];
        Ipv4Header.Write(packet, s_source, s_destination, IpProtocol.Udp, payloadLength, 7, 64, 0, dontFragment: false);
        return packet;
    }

    private static void Seal(byte[] packet)
    {
        Span<byte> header = packet.AsSpan(0, (packet[0] & 15) * 4);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], Checksum.Finish(Checksum.Sum(header)));
    }
}
