// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class IpAddressTests
{
    [Property]
    public bool Ipv4_AsTextAndBack_IsTheSame(uint number)
    {
        IpAddress address = IpAddress.FromIpv4(number);
        return address.IsIpv4 && address.ToIpv4() == number && IpAddress.Parse(address.ToString()) == address;
    }

    [Property(MaxTest = 500)]
    public bool Ipv6_AsTextAndBack_IsTheSameAndLikeTheFrameworks(ulong high, ulong low, byte zeroGroups)
    {
        // Random groups are rarely zero, and runs of zeros are what the text form is about: blank the groups of a random mask.
        for (int group = 0; group < 8; group++)
        {
            ulong mask = 0xFFFFul << (16 * (group & 3));
            bool blank = (zeroGroups & (1 << group)) != 0;
            high = blank && group < 4 ? high & ~mask : high;
            low = blank && group >= 4 ? low & ~mask : low;
        }

        var address = new IpAddress(high | (0x2001ul << 48), low);
        byte[] octets = new byte[16];
        address.WriteIpv6(octets);
        return IpAddress.Parse(address.ToString()) == address
            && IpAddress.ReadIpv6(octets) == address
            && IPAddress.Parse(address.ToString()).Equals(new IPAddress(octets));
    }

    [Theory]
    [InlineData("10.0.0.2", "10.0.0.2")]
    [InlineData("::ffff:10.0.0.2", "10.0.0.2")]
    [InlineData("::", "::")]
    [InlineData("::1", "::1")]
    [InlineData("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1")]
    [InlineData("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1")]
    [InlineData("2001:0db8::0001", "2001:db8::1")]
    [InlineData("fe80:0:0:0:0:0:0:0", "fe80::")]
    [InlineData("1:0:0:2:0:0:0:3", "1:0:0:2::3")]
    [InlineData("64:ff9b::192.0.2.33", "64:ff9b::c000:221")]
    [InlineData("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0")]
    [InlineData("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8")]
    public void Text_Parsed_FormatsCanonically(string text, string canonical)
    {
        Assert.Equal(canonical, IpAddress.Parse(text).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("10.0.0")]
    [InlineData("10.0.0.256")]
    [InlineData("10.0.0.01")]
    [InlineData("10.0.0.1.")]
    [InlineData("10..0.1")]
    [InlineData(" 10.0.0.1")]
    [InlineData("4294967306.0.0.1")]
    [InlineData(":")]
    [InlineData(":::")]
    [InlineData("1::2::3")]
    [InlineData("1:2:3:4:5:6:7")]
    [InlineData("1:2:3:4:5:6:7:8:9")]
    [InlineData("1:2:3:4:5:6:7:8::")]
    [InlineData("12345::")]
    [InlineData(":1::")]
    [InlineData("1::2:")]
    [InlineData("1.2.3.4::")]
    [InlineData("::1.2.3.4:5")]
    [InlineData("fe80::1%eth0")]
    public void Text_ThatIsNoAddress_IsRefused(string text)
    {
        Assert.False(IpAddress.TryParse(text, out _));
        Assert.Throws<FormatException>(() => IpAddress.Parse(text));
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.255.255.254", true)]
    [InlineData("128.0.0.1", false)]
    [InlineData("::1", true)]
    [InlineData("::2", false)]
    public void Address_AskedForLoopback_Tells(string text, bool expected) =>
        Assert.Equal(expected, IpAddress.Parse(text).IsLoopback);

    [Theory]
    [InlineData("224.0.0.1", true)]
    [InlineData("239.255.255.255", true)]
    [InlineData("240.0.0.1", false)]
    [InlineData("223.255.255.255", false)]
    [InlineData("ff02::1", true)]
    [InlineData("fe80::1", false)]
    public void Address_AskedForMulticast_Tells(string text, bool expected) =>
        Assert.Equal(expected, IpAddress.Parse(text).IsMulticast);

    [Fact]
    public void SpecialAddresses_Asked_KnowThemselves()
    {
        Assert.True(IpAddress.AnyIpv4.IsAny && IpAddress.AnyIpv4.IsIpv4);
        Assert.True(IpAddress.AnyIpv6.IsAny && !IpAddress.AnyIpv6.IsIpv4);
        Assert.True(IpAddress.Parse("255.255.255.255").IsBroadcast);
        Assert.False(IpAddress.Parse("10.0.0.255").IsBroadcast);
        Assert.NotEqual(IpAddress.AnyIpv4, IpAddress.AnyIpv6);
    }

    [Fact]
    public void Destination_TooShortForTheText_IsRefused()
    {
        IpAddress address = IpAddress.Parse("10.0.0.2");
        Span<char> text = stackalloc char[8];
        Assert.False(address.TryFormat(text[..7], out int none));
        Assert.Equal(0, none);
        Assert.True(address.TryFormat(text, out int written));
        Assert.Equal("10.0.0.2", text[..written].ToString());
    }
}
