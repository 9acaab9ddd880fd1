// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>The node is "here" in zone "a". Expected: the last parts of the addresses that are used.</summary>
public sealed class TopologyTests
{
    [Theory]
    [InlineData("every ready endpoint has a hint", "1 forzone=a | 2 forzone=b | 3 forzone=a", "1 3")]
    [InlineData("a hint may name several zones", "1 forzone=b forzone=a | 2 forzone=b | 3 forzone=c", "1")]
    [InlineData("one without a hint: none is followed", "1 forzone=a | 2 forzone=b | 3", "1 2 3")]
    [InlineData("one without a hint, but not ready", "1 forzone=a | 2 forzone=b | 3 notready", "1")]
    [InlineData("none for this zone: all", "1 forzone=b | 2 forzone=c", "1 2")]
    [InlineData("the one for this zone is not ready: all", "1 forzone=a notready | 2 forzone=b | 3 forzone=c", "2 3")]
    [InlineData("the one for this zone terminates: all ready ones", "1 forzone=a terminating | 2 forzone=b", "2")]
    [InlineData("none ready: all that serve, wherever", "1 forzone=a terminating | 2 forzone=b terminating", "1 2")]
    [InlineData("node hints go before zone hints", "1 fornode=here forzone=a | 2 fornode=there forzone=a", "1")]
    [InlineData("none for this node: this zone", "1 fornode=there forzone=a | 2 fornode=far forzone=b", "1")]
    [InlineData("none for this node, no zone hints: all", "1 fornode=there | 2 fornode=far", "1 2")]
    [InlineData("one without a node hint: this zone", "1 fornode=here forzone=a | 2 forzone=a | 3 forzone=b", "1 2")]
    [InlineData("no hints: all", "1 zone=a | 2 zone=b", "1 2")]
    public void Hints_NarrowTheClusterScope(string rule, string endpoints, string expected)
    {
        Assert.NotEmpty(rule);
        Assert.Equal(expected, Used(new ServiceSpec(), World.Node, endpoints));
    }

    [Theory]
    [InlineData("PreferClose", "1 zone=a | 2 zone=b", "1")]
    [InlineData("PreferSameZone", "1 zone=a | 2 zone=b", "1")]
    [InlineData("PreferSameZone", "1 zone=b | 2 zone=c", "1 2")]
    [InlineData("PreferSameZone", "1 zone=a | 2", "1 2")]
    [InlineData("PreferSameNode", "1@here zone=a | 2@there zone=a", "1")]
    [InlineData("PreferSameNode", "1@there zone=a | 2@far zone=b", "1")]
    [InlineData("PreferSameNode", "1@there zone=b | 2@far zone=b", "1 2")]
    [InlineData("PreferSameNode", "1@here zone=a notready | 2@there zone=a | 3@far zone=b", "2")]
    [InlineData("PreferSameZone", "1 zone=a forzone=b | 2 zone=b forzone=a", "2")]
    [InlineData("PreferSameZone", "1 zone=a | 2 zone=b forzone=b", "1 2")]
    public void TrafficDistribution_WithoutHints_MeansTheHintsThatTheControlPlaneWrites(
        string distribution, string endpoints, string expected) =>
        Assert.Equal(expected, Used(new ServiceSpec { TrafficDistribution = distribution }, World.Node, endpoints));

    [Fact]
    public void ZoneHints_OnANodeWithoutZone_AreNotFollowed() =>
        Assert.Equal("1 2", Used(new ServiceSpec(), World.Node with { Zone = "" }, "1 forzone=a | 2 forzone=b"));

    [Fact]
    public void Hints_DoNotNarrowTheLocalScope()
    {
        ServicePortState port = Assert.Single(World.Resolve(
            World.Service(new ServiceSpec { InternalTrafficPolicy = "Local" }),
            World.Slice("10.0.1.1@here forzone=b", "10.0.1.2@here forzone=a")).Ports);

        Assert.Equal("10.0.1.1:8080 10.0.1.2:8080", port.LocalBackends.Text());
        Assert.Empty(port.ClusterBackends);
    }

    private static string Used(ServiceSpec spec, NodeFacts node, string endpoints)
    {
        EndpointSlice slice = World.Slice([.. endpoints.Split(" | ").Select(text => "10.0.1." + text)]);
        ServiceState state = ServiceResolver.Resolve(World.Service(spec), [slice], node);
        return string.Join(' ', Assert.Single(state.Ports).ClusterBackends.Select(one => one.Address.ToString().Split('.')[3]));
    }
}
