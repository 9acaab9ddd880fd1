// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

public sealed class NodePlannerTests
{
    private static readonly NodeFacts s_facts = new()
    {
        Name = "node-1",
        PrimaryAddresses = [IpAddress.Parse("192.168.0.2"), IpAddress.Parse("fd00::2")],
        Addresses = [IpAddress.Parse("192.168.0.2"), IpAddress.Parse("10.1.0.2"), IpAddress.Parse("fd00::2"), IpAddress.Parse("127.0.0.5")],
        PodRanges = [new AddressRange(IpAddress.Parse("10.244.0.0"), 16)],
        NodePortRanges = [new AddressRange(IpAddress.Parse("192.168.0.0"), 24), new AddressRange(IpAddress.Parse("127.0.0.0"), 8)],
    };

    private readonly MemoryMapStore _store = new();

    [Fact]
    public void Facts_EmptyMaps_AddressesWithTheirUsesRangesAndSettings()
    {
        Run(s_facts);

        const NodeAddressFlags Both = NodeAddressFlags.Source | NodeAddressFlags.Ports;
        Assert.Equal(
            [
                ("10.1.0.2", NodeAddressFlags.Source), ("127.0.0.1", Both), ("192.168.0.2", Both),
                ("::1", NodeAddressFlags.Source), ("fd00::2", Both),
            ],
            _store.Content.NodeAddresses.Select(pair => (pair.Key.Value.ToString(), pair.Value)).Order());
        Assert.Equal([AddressRangeKey.From(s_facts.PodRanges[0])], _store.Content.PodRanges);
        Assert.Equal(112u, _store.Content.PodRanges.Single().PrefixLength);
        Assert.Equal(7ul, _store.Content.Settings.NodeNetnsCookie);
        Assert.Equal("192.168.0.2", _store.Content.Settings.NodeIpv4.Value.ToString());
        Assert.Equal(SettingFlags.Ipv4 | SettingFlags.Ipv6, _store.Content.Settings.Flags);
        Assert.Equal(120u, _store.Content.Settings.UdpTimeout);
    }

    [Fact]
    public void SameFactsAfterRestart_NoWrite()
    {
        Run(s_facts);

        Assert.Empty(new NodePlanner(_store.Read(), 7, 251, new ConnectionSettings()).Apply(s_facts));
    }

    [Fact]
    public void AddressAndRangeGone_TheyAreRemovedAndNothingElse()
    {
        Run(s_facts);
        var planner = new NodePlanner(_store.Read(), 7, 251, new ConnectionSettings());

        var writes = planner.Apply(s_facts with { Addresses = s_facts.Addresses.RemoveAt(1), PodRanges = [] });

        Assert.Equal(
            [(ServiceMap.NodeAddresses, true), (ServiceMap.PodRanges, true)], writes.Select(write => (write.Map, write.IsDelete)));
    }

    [Fact]
    public void LocalhostNodePortsOff_LoopbackIsASourceOnly()
    {
        Run(s_facts with { LocalhostNodePorts = false });

        Assert.Equal(NodeAddressFlags.Source, _store.Content.NodeAddresses[IpAddress.Parse("127.0.0.1")]);
    }

    private void Run(NodeFacts facts) =>
        new MapWriter(_store).Execute(new NodePlanner(_store.Read(), 7, 251, new ConnectionSettings()).Apply(facts));
}
