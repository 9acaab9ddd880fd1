// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

public sealed class NodeFactsTests
{
    [Theory]
    [InlineData("192.168.0.2", ClientClass.Node)]
    [InlineData("192.168.1.2", ClientClass.Node)]
    [InlineData("127.0.0.1", ClientClass.Node)]
    [InlineData("127.8.9.10", ClientClass.Node)]
    [InlineData("::1", ClientClass.Node)]
    [InlineData("10.1.2.3", ClientClass.Pod)]
    [InlineData("fd00:10::7", ClientClass.Pod)]
    [InlineData("192.168.0.3", ClientClass.External)]
    [InlineData("203.0.113.1", ClientClass.External)]
    [InlineData("2001:db8::2", ClientClass.External)]
    public void Source_HasTheClassOfItsAddress(string source, ClientClass expected) =>
        Assert.Equal(expected, World.Node.ClassOf(IpAddress.Parse(source)));

    [Fact]
    public void NodeAddressInThePodsRange_IsTheNodes()
    {
        NodeFacts node = World.Node with { Addresses = [IpAddress.Parse("10.0.0.1")] };

        Assert.Equal(ClientClass.Node, node.ClassOf(IpAddress.Parse("10.0.0.1")));
    }

    [Fact]
    public void WithoutRangesOfPods_APodIsExternal() =>
        Assert.Equal(ClientClass.External, (World.Node with { PodRanges = [] }).ClassOf(IpAddress.Parse("10.1.2.3")));

    [Theory]
    [InlineData("", true, "192.168.0.2 192.168.1.2 127.0.0.1 127.0.0.9 2001:db8::1")]
    [InlineData("", false, "192.168.0.2 192.168.1.2 2001:db8::1")]
    [InlineData("192.168.0.0/24", true, "192.168.0.2 2001:db8::1")]
    [InlineData("192.168.0.0/24 127.0.0.0/8", true, "192.168.0.2 127.0.0.1 127.0.0.9 2001:db8::1")]
    [InlineData("192.168.0.0/24 127.0.0.0/8", false, "192.168.0.2 2001:db8::1")]
    [InlineData("192.168.0.0/24 2001:db9::/32", true, "192.168.0.2")]
    [InlineData("127.0.0.1/32", true, "127.0.0.1 127.0.0.9 2001:db8::1")]
    [InlineData("127.0.0.8/29", true, "2001:db8::1")]
    [InlineData("::1/128", true, "192.168.0.2 192.168.1.2 127.0.0.1 127.0.0.9")]
    public void NodePorts_AreServedOnAddressesInTheRangesOfTheirFamily(string ranges, bool localhost, string expected)
    {
        NodeFacts node = World.Node with
        {
            NodePortRanges = [.. ranges.Split(' ', System.StringSplitOptions.RemoveEmptyEntries).Select(World.Range)],
            LocalhostNodePorts = localhost,
        };
        string[] candidates = ["192.168.0.2", "192.168.1.2", "192.168.0.3", "127.0.0.1", "127.0.0.9", "::1", "2001:db8::1"];

        Assert.Equal(expected, string.Join(' ', candidates.Where(text => node.ServesNodePortsOn(IpAddress.Parse(text)))));
    }

    [Fact]
    public void NodeObject_TellsZoneAddressesAndPods()
    {
        NodeFacts facts = new NodeFacts { Name = "here", Addresses = [IpAddress.Parse("192.168.9.9")] }.With(new Node
        {
            Metadata = new Metadata { Labels = new Dictionary<string, string> { ["topology.kubernetes.io/zone"] = "b" } },
            Spec = new NodeSpec { PodCIDRs = ["10.4.0.0/24", "nonsense"] },
            Status = new NodeStatus
            {
                Addresses =
                [
                    new NodeAddress { Type = "Hostname", Address = "here" },
                    new NodeAddress { Type = "InternalIP", Address = "192.168.0.2" },
                    new NodeAddress { Type = "InternalIP", Address = "2001:db8::1" },
                    new NodeAddress { Type = "ExternalIP", Address = "198.51.100.7" },
                ],
            },
        });

        Assert.Equal("b", facts.Zone);
        Assert.Equal("192.168.0.2 2001:db8::1", string.Join(' ', facts.PrimaryAddresses));
        Assert.Equal("192.168.9.9 192.168.0.2 2001:db8::1 198.51.100.7", string.Join(' ', facts.Addresses));
        Assert.Equal("10.4.0.0/24", string.Join(' ', facts.PodRanges));
    }

    [Fact]
    public void ConfiguredPods_GoBeforeThoseOfTheNodeObject() => Assert.Equal(
        World.Node.PodRanges, World.Node.With(new Node { Spec = new NodeSpec { PodCIDRs = ["10.4.0.0/24"] } }).PodRanges);
}
