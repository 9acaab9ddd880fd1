// SPDX-License-Identifier: Apache-2.0
using Pronghorn.LoadBalancer.Explain;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Explain;

public sealed class FlowTests
{
    [Theory]
    [InlineData("10.0.0.2 -> 172.30.0.41:80/tcp", "10.0.0.2 -> 172.30.0.41:80/TCP")]
    [InlineData("10.0.0.2->172.30.0.41:53/UDP", "10.0.0.2 -> 172.30.0.41:53/UDP")]
    [InlineData("  10.0.0.2   172.30.0.41:80 ", "10.0.0.2 -> 172.30.0.41:80/TCP")]
    [InlineData("fd00::2 -> [fd00:172::1]:80/sctp", "fd00::2 -> [fd00:172::1]:80/SCTP")]
    public void Text_IsRead(string text, string expected)
    {
        Assert.True(Flow.TryParse(text, out Flow? flow, out _));
        Assert.Equal(expected, flow.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("10.0.0.2")]
    [InlineData("10.0.0.2 -> 172.30.0.41")]
    [InlineData("10.0.0.2 -> 172.30.0.41:")]
    [InlineData("10.0.0.2 -> 172.30.0.41:0")]
    [InlineData("10.0.0.2 -> 172.30.0.41:65536")]
    [InlineData("10.0.0.2 -> 172.30.0.41:+80")]
    [InlineData("10.0.0.2 -> 172.30.0.41:80/icmp")]
    [InlineData("10.0.0.2 -> web:80")]
    [InlineData("web -> 10.0.0.2:80")]
    [InlineData("10.0.0.2 -> [fd00::1]:80")]
    [InlineData("fd00::2 -> fd00::1:80")]
    [InlineData("fd00::2 -> [fd00::1:80")]
    [InlineData("10.0.0.2 -> 172.30.0.41:80 extra")]
    public void OtherText_IsRefusedWithAReason(string text)
    {
        Assert.False(Flow.TryParse(text, out Flow? flow, out string? mistake));
        Assert.Null(flow);
        Assert.NotEmpty(mistake);
    }
}
