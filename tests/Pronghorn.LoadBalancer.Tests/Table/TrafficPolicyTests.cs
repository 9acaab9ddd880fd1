// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

public sealed class TrafficPolicyTests
{
    [Fact]
    public void ClusterIp_WithTwoEndpoints_ForwardsEverybodyToBoth()
    {
        ServiceState state = World.Resolve(World.Service(), World.Slice("10.0.1.2@there", "10.0.1.1@here"));

        ServicePortState port = Assert.Single(state.Ports);
        Assert.Equal("10.0.1.1:8080 10.0.1.2:8080", port.ClusterBackends.Text());
        Assert.Equal([true, false], port.ClusterBackends.Select(backend => backend.IsLocal));
        Frontend frontend = Assert.Single(port.Frontends);
        Assert.Equal(FrontendKind.ClusterIp, frontend.Kind);
        Assert.Equal(new FrontendView(FrontendAction.Forward, EndpointScope.Cluster), frontend.Pod);
        Assert.Equal(new FrontendView(FrontendAction.Forward, EndpointScope.Cluster, Masquerade: true), frontend.External);
        Assert.Equal(frontend.External, frontend.Node);
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData("", FrontendAction.Reject)]
    [InlineData("10.0.1.1@here notready", FrontendAction.Reject)]
    [InlineData("10.0.1.1@here dead", FrontendAction.Reject)]
    [InlineData("10.0.1.1@there", FrontendAction.Drop)]
    [InlineData("10.0.1.1@there terminating", FrontendAction.Drop)]
    [InlineData("10.0.1.1@here", FrontendAction.Forward)]
    [InlineData("10.0.1.1@here terminating", FrontendAction.Forward)]
    public void InternalPolicyLocal_ByEndpoints_RefusesDropsOrForwards(string endpoint, FrontendAction expected)
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { InternalTrafficPolicy = "Local" }),
            World.Slice(endpoint.Length == 0 ? [] : [endpoint]));

        Frontend frontend = state.Frontend("172.30.0.1", 80);
        Assert.Equal(expected, frontend.Pod.Action);
        Assert.Equal(expected, frontend.Node.Action);
        Assert.Equal(expected, frontend.External.Action);
    }

    [Fact]
    public void ExternalPolicyLocal_ShortCutsClientsInsideAndKeepsTheSourceOfThoseOutside()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec
            {
                Type = "NodePort",
                ExternalTrafficPolicy = "Local",
                Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
            }),
            World.Slice("10.0.1.1@here", "10.0.1.2@there"));

        Frontend frontend = state.Frontend("0.0.0.0", 30080);
        Assert.Equal(FrontendKind.NodePort, frontend.Kind);
        Assert.Equal(new FrontendView(FrontendAction.Forward, EndpointScope.Cluster), frontend.Pod);
        Assert.Equal(new FrontendView(FrontendAction.Forward, EndpointScope.Cluster, Masquerade: true), frontend.Node);
        Assert.Equal(new FrontendView(FrontendAction.Forward, EndpointScope.Local), frontend.External);
        Assert.Equal("10.0.1.1:8080", Assert.Single(state.Ports).LocalBackends.Text());
    }

    [Fact]
    public void ExternalPolicyLocal_WithoutEndpointHere_DropsOnlyThoseOutside()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { ExternalIPs = ["198.51.100.1"], ExternalTrafficPolicy = "Local" }),
            World.Slice("10.0.1.2@there"));

        Frontend frontend = state.Frontend("198.51.100.1", 80);
        Assert.Equal(FrontendAction.Forward, frontend.Pod.Action);
        Assert.Equal(FrontendAction.Forward, frontend.Node.Action);
        Assert.Equal(FrontendAction.Drop, frontend.External.Action);
    }

    [Fact]
    public void ExternalPolicyLocal_NoRangesOfPodsKnown_PodsAreServedAsClientsOutside()
    {
        Service service = World.Service(new ServiceSpec
        {
            Type = "NodePort",
            ExternalTrafficPolicy = "Local",
            Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
        });
        EndpointSlice slice = World.Slice("10.0.1.1@here", "10.0.1.2@there");

        Frontend known = World.Resolve(service, slice).Frontend("0.0.0.0", 30080);
        Frontend unknown = ServiceResolver.Resolve(service, [slice], World.Node with { PodRanges = [] }).Frontend("0.0.0.0", 30080);

        Assert.Equal(EndpointScope.Cluster, known.Pod.Scope);
        Assert.Equal(EndpointScope.Local, unknown.Pod.Scope);
        Assert.Equal(unknown.External, unknown.Pod);
    }
}
