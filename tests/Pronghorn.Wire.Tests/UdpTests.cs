// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class UdpTests
{
    private static readonly IpAddress s_source = IpAddress.Parse("192.0.2.1");
    private static readonly IpAddress s_destination = IpAddress.Parse("192.0.2.2");

    [Property]
    public bool Datagram_WrittenAndRead_IsTheSame(ushort sourcePort, ushort destinationPort, byte[] data)
    {
        byte[] packet = new byte[UdpHeader.Length + data.Length + 3];
        data.CopyTo(packet, UdpHeader.Length);
        UdpHeader.Write(packet.AsSpan(..^3), s_source, s_destination, sourcePort, destinationPort);

        return UdpView.TryParse(packet, out UdpView view, out WireError error)
            && error == WireError.None
            && view.SourcePort == sourcePort && view.DestinationPort == destinationPort
            && view.Length == UdpHeader.Length + data.Length && view.Payload.SequenceEqual(data)
            && view.Checksum != 0 && view.HasValidChecksum(s_source, s_destination);
    }

    [Fact]
    public void Datagram_WhoseSumIsZero_CarriesAllOnes()
    {
        byte[] datagram = new byte[10];
        UdpHeader.Write(datagram, s_source, s_destination, 0, 0);
        Assert.True(UdpView.TryParse(datagram, out UdpView first, out _));
        ushort missing = first.Checksum;
        datagram[8] = (byte)(missing >> 8);
        datagram[9] = (byte)missing;
        UdpHeader.Write(datagram, s_source, s_destination, 0, 0);
        Assert.True(UdpView.TryParse(datagram, out UdpView second, out _));
        Assert.Equal(0xFFFF, second.Checksum);
        Assert.True(second.HasValidChecksum(s_source, s_destination));
    }

    [Fact]
    public void Datagram_WithoutChecksum_IsValidOverIpv4Only()
    {
        byte[] datagram = new byte[8];
        datagram[5] = 8;
        Assert.True(UdpView.TryParse(datagram, out UdpView view, out _));
        Assert.True(view.HasValidChecksum(s_source, s_destination));
        Assert.False(view.HasValidChecksum(IpAddress.Parse("2001:db8::1"), IpAddress.Parse("2001:db8::2")));
    }

    [Theory]
    [InlineData(7, 8, WireError.TooShort)]
    [InlineData(8, 7, WireError.BadTotalLength)]
    [InlineData(8, 9, WireError.BadTotalLength)]
    [InlineData(20, 0, WireError.BadTotalLength)]
    public void Datagram_OfAWrongLength_IsRefused(int octets, byte lengthField, WireError expected)
    {
        byte[] datagram = new byte[octets];
        datagram[5] = lengthField;
        Assert.False(UdpView.TryParse(datagram, out _, out WireError error));
        Assert.Equal(expected, error);
    }

    [Fact]
    public void Datagram_LongerThanTheLengthFieldCanSay_IsRefused()
    {
        byte[] datagram = new byte[65536];
        Assert.Throws<ArgumentOutOfRangeException>(() => UdpHeader.Write(datagram, s_source, s_destination, 1, 2));
    }
}
