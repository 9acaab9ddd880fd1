// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>Endpoints that terminate are used when no ready one is left in the scope of the policy, and only while they serve.</summary>
public sealed class TerminatingEndpointTests
{
    [Theory]
    [InlineData("10.0.1.1@here | 10.0.1.2@there terminating", "10.0.1.1", "10.0.1.1")]
    [InlineData("10.0.1.1@here terminating | 10.0.1.2@there", "10.0.1.2", "10.0.1.1")]
    [InlineData("10.0.1.1@here terminating | 10.0.1.2@there terminating", "10.0.1.1 10.0.1.2", "10.0.1.1")]
    [InlineData("10.0.1.1@here dead | 10.0.1.2@there terminating", "10.0.1.2", "")]
    [InlineData("10.0.1.1@here notready | 10.0.1.2@there terminating", "10.0.1.2", "")]
    [InlineData("10.0.1.1@here dead | 10.0.1.2@there notready", "", "")]
    [InlineData("10.0.1.1@here | 10.0.1.2@here terminating | 10.0.1.3@there", "10.0.1.1 10.0.1.3", "10.0.1.1")]
    public void MixedEndpoints_AreChosenForEachScopeByItself(string endpoints, string cluster, string local)
    {
        ServicePortState port = Assert.Single(World.Resolve(
            World.Service(new ServiceSpec { ExternalIPs = ["198.51.100.1"], ExternalTrafficPolicy = "Local" }),
            World.Slice(endpoints.Split(" | "))).Ports);

        Assert.Equal(cluster, Addresses(port.ClusterBackends));
        Assert.Equal(local, Addresses(port.LocalBackends));
    }

    [Fact]
    public void ReadyAndTerminating_IsReady()
    {
        Endpoint endpoint = World.Endpoint("10.0.1.1") with
        {
            Conditions = new EndpointConditions { Ready = true, Serving = true, Terminating = true },
        };

        ServicePortState port = Assert.Single(World.Resolve(
            World.Service(), World.Slice() with { AddressType = "IPv4", Endpoints = [endpoint, World.Endpoint("10.0.1.2")] }).Ports);

        Assert.Equal("10.0.1.1 10.0.1.2", Addresses(port.ClusterBackends));
    }

    [Fact]
    public void ServingButNeitherReadyNorTerminating_IsNotUsed()
    {
        Endpoint endpoint = World.Endpoint("10.0.1.1") with { Conditions = new EndpointConditions { Ready = false, Serving = true } };

        ServiceState state = World.Resolve(World.Service(), World.Slice() with { AddressType = "IPv4", Endpoints = [endpoint] });

        Assert.Equal(FrontendAction.Reject, state.Frontend("172.30.0.1", 80).Pod.Action);
    }

    [Fact]
    public void NoConditions_IsReady()
    {
        Endpoint endpoint = World.Endpoint("10.0.1.1") with { Conditions = null };

        ServiceState state = World.Resolve(World.Service(), World.Slice() with { AddressType = "IPv4", Endpoints = [endpoint] });

        Assert.Equal(FrontendAction.Forward, state.Frontend("172.30.0.1", 80).Pod.Action);
    }

    [Fact]
    public void PublishNotReadyAddresses_MakesEveryEndpointReady()
    {
        ServicePortState port = Assert.Single(World.Resolve(
            World.Service(new ServiceSpec { PublishNotReadyAddresses = true }),
            World.Slice("10.0.1.1 notready", "10.0.1.2 dead", "10.0.1.3")).Ports);

        Assert.Equal("10.0.1.1 10.0.1.2 10.0.1.3", Addresses(port.ClusterBackends));
    }

    private static string Addresses(System.Collections.Generic.IEnumerable<Backend> backends) =>
        string.Join(' ', backends.Select(backend => backend.Address));
}
