// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Lab.Cdn.Topology;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Topology;

/// <summary>pop_struct.conf, and what is wrong in it.</summary>
public sealed class PopStructureTests
{
    [Fact]
    public void Lines_AreRead()
    {
        var read = PopStructure.Parse(
            ["# nodes", "virtual_nodes = 20", "node = a 10.0.0.1:8000 2", "", "node=b fd00::2", "node = c [fd00::3]:90 # third"], "f");
        Assert.Equal(20, read.VirtualNodes);
        Assert.Equal(
            [
                new PopNode("a", new TcpEnd(IpAddress.Parse("10.0.0.1"), 8000), 2),
                new PopNode("b", new TcpEnd(IpAddress.Parse("fd00::2"), 0)),
                new PopNode("c", new TcpEnd(IpAddress.Parse("fd00::3"), 90)),
            ],
            read.Nodes);
    }

    [Theory]
    [InlineData("f:2: \"nodes\" is none of node, virtual_nodes", "nodes = a 10.0.0.9")]
    [InlineData("f:2: node = NAME ADDRESS[:PORT] [WEIGHT]", "node = b")]
    [InlineData("f:2: \"10.0.0.x\" is no address", "node = b 10.0.0.x")]
    [InlineData("f:2: \"10.0.0.2:0\" is no address", "node = b 10.0.0.2:0")]
    [InlineData("f:2: a weight is a number from 1 to 100, not \"0\"", "node = b 10.0.0.2 0")]
    [InlineData("f:2: there are two nodes \"a\"", "node = a 10.0.0.2")]
    [InlineData("f:2: two nodes are at 10.0.0.1", "node = b 10.0.0.1")]
    [InlineData("f:2: \"node = \\x1b[2J 10.0.0.2\" has control characters", "node = \u001b[2J 10.0.0.2")]
    [InlineData("f:2: virtual_nodes is a number from 1 to 10000, not \"many\"", "virtual_nodes = many")]
    public void Mistake_IsToldWithItsLine(string message, string line)
    {
        PopStructureException mistake =
            Assert.Throws<PopStructureException>(() => PopStructure.Parse(["node = a 10.0.0.1", line], "f"));
        Assert.StartsWith(message, mistake.Message, System.StringComparison.Ordinal);
    }

    [Fact]
    public void NoNode_IsAMistake() => Assert.Throws<PopStructureException>(() => PopStructure.Parse(["# nothing"], "f"));
}
