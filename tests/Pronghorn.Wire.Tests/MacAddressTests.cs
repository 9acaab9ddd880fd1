// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class MacAddressTests
{
    [Fact]
    public void Octets_ReadAndWritten_KeepTheirOrder()
    {
        byte[] octets = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
        MacAddress address = MacAddress.Read(octets);
        byte[] written = new byte[6];
        address.Write(written);

        Assert.Equal(0x0211_2233_4455ul, address.Value);
        Assert.Equal(octets, written);
        Assert.Equal("02:11:22:33:44:55", address.ToString());
    }

    [Property]
    public bool Address_AsTextAndBack_IsTheSame(ulong value)
    {
        var address = new MacAddress(value);
        return MacAddress.Parse(address.ToString()) == address
            && MacAddress.Parse(address.ToString().ToUpperInvariant().Replace(':', '-')) == address;
    }

    [Theory]
    [InlineData("ff:ff:ff:ff:ff:ff", true, true)]
    [InlineData("01:00:5e:00:00:01", true, false)]
    [InlineData("02:00:00:00:00:01", false, false)]
    public void Address_AskedForItsKind_Tells(string text, bool multicast, bool broadcast)
    {
        MacAddress address = MacAddress.Parse(text);
        Assert.Equal(multicast, address.IsMulticast);
        Assert.Equal(broadcast, address.IsBroadcast);
        Assert.Equal(broadcast, address == MacAddress.Broadcast);
    }

    [Theory]
    [InlineData("")]
    [InlineData("02:00:00:00:00")]
    [InlineData("02:00:00:00:00:0")]
    [InlineData("02:00:00:00:00:0g")]
    [InlineData("02:00-00:00:00:01")]
    [InlineData("02 00 00 00 00 01")]
    [InlineData("02:00:00:00:00:01:")]
    public void Text_ThatIsNoAddress_IsRefused(string text)
    {
        Assert.False(MacAddress.TryParse(text, out _));
        Assert.Throws<FormatException>(() => MacAddress.Parse(text));
    }
}
