// SPDX-License-Identifier: Apache-2.0
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

public sealed class AddressRangeTests
{
    [Theory]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("10.1.2.3/8", "10.0.0.0/8")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0")]
    [InlineData("192.0.2.1/32", "192.0.2.1/32")]
    [InlineData("fd00::1/16", "fd00::/16")]
    [InlineData("::/0", "::/0")]
    [InlineData(" 010.0.0.0/8 ", "10.0.0.0/8")]
    public void Text_IsReadWithoutHostBits(string text, string expected)
    {
        Assert.True(AddressRange.TryParse(text, out AddressRange range));
        Assert.Equal(expected, range.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("10.0.0.0")]
    [InlineData("10.0.0.0/")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/8/8")]
    [InlineData("fd00::/129")]
    [InlineData("10.0.0/8")]
    [InlineData("0000000000000000000000000000000000010.0.0.0/8")]
    public void OtherText_IsRefused(string? text) => Assert.False(AddressRange.TryParse(text, out _));

    [Theory]
    [InlineData("10.0.0.0/8", "10.255.0.1", true)]
    [InlineData("10.0.0.0/8", "11.0.0.1", false)]
    [InlineData("0.0.0.0/0", "255.1.2.3", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("::/0", "10.0.0.1", false)]
    [InlineData("::/0", "2001:db8::1", true)]
    [InlineData("192.0.2.1/32", "192.0.2.1", true)]
    [InlineData("192.0.2.1/32", "192.0.2.0", false)]
    public void Contains_LooksAtThePrefixAndTheFamily(string range, string address, bool expected) =>
        Assert.Equal(expected, World.Range(range).Contains(IpAddress.Parse(address)));
}
