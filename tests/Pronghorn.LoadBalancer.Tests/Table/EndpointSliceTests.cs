// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

public sealed class EndpointSliceTests
{
    private static readonly EndpointPort[] s_ports = [new() { Port = 8080 }];

    [Fact]
    public void SeveralSlices_AreMergedWithoutDuplicates_InOneOrder()
    {
        EndpointSlice first = World.Slice("cart-1", s_ports, "10.0.1.9", "10.0.1.1");
        EndpointSlice second = World.Slice("cart-2", s_ports, "10.0.1.1", "10.0.1.10");

        string forwards = Assert.Single(World.Resolve(World.Service(), first, second).Ports).ClusterBackends.Text();
        string backwards = Assert.Single(World.Resolve(World.Service(), second, first).Ports).ClusterBackends.Text();

        Assert.Equal("10.0.1.1:8080 10.0.1.9:8080 10.0.1.10:8080", forwards);
        Assert.Equal(forwards, backwards);
    }

    [Theory]
    [InlineData("10.0.1.1 notready", "10.0.1.1")]
    [InlineData("10.0.1.1 dead", "10.0.1.1 terminating")]
    [InlineData("10.0.1.1 terminating", "10.0.1.1")]
    public void EndpointInTwoSlices_HasTheBetterCondition_WhicheverIsReadFirst(string worse, string better)
    {
        EndpointSlice first = World.Slice("cart-1", s_ports, worse);
        EndpointSlice second = World.Slice("cart-2", s_ports, better);

        Assert.Equal("10.0.1.1:8080", Assert.Single(World.Resolve(World.Service(), first, second).Ports).ClusterBackends.Text());
        Assert.Equal("10.0.1.1:8080", Assert.Single(World.Resolve(World.Service(), second, first).Ports).ClusterBackends.Text());
    }

    [Fact]
    public void EndpointInTwoSlices_IsLocalIfEitherSaysSo()
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice("cart-1", s_ports, "10.0.1.1@here notready"),
            World.Slice("cart-2", s_ports, "10.0.1.1"));

        Assert.True(Assert.Single(Assert.Single(state.Ports).ClusterBackends).IsLocal);
    }

    [Fact]
    public void PortWithoutNumber_IsPassedOver()
    {
        ServiceState state = World.Resolve(
            World.Service(), World.Slice("cart-1", [new EndpointPort(), new EndpointPort { Port = 0 }], "10.0.1.1"));

        Assert.Equal(FrontendAction.Reject, state.Frontend("172.30.0.1", 80).Pod.Action);
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void PortsOfOneName_WithDifferentNumbers_AreAllUsed()
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice("cart-1", [new EndpointPort { Port = 8080 }], "10.0.1.1"),
            World.Slice("cart-2", [new EndpointPort { Port = 9090 }], "10.0.1.1", "10.0.1.2"));

        Assert.Equal("10.0.1.1:8080 10.0.1.1:9090 10.0.1.2:9090", Assert.Single(state.Ports).ClusterBackends.Text());
    }

    [Theory]
    [InlineData("other", "TCP")]
    [InlineData("", "UDP")]
    [InlineData("", "SCTP")]
    public void PortOfAnotherNameOrProtocol_IsNotUsed(string name, string protocol)
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice("cart-1", [new EndpointPort { Name = name, Protocol = protocol, Port = 8080 }], "10.0.1.1"));

        Assert.Empty(Assert.Single(state.Ports).ClusterBackends);
    }

    [Fact]
    public void EndpointWithSeveralAddresses_IsUsedByTheFirst()
    {
        EndpointSlice slice = World.Slice("10.0.1.1") with
        {
            Endpoints = [new Endpoint { Addresses = ["10.0.1.1", "10.0.1.2"] }],
        };

        Assert.Equal("10.0.1.1:8080", Assert.Single(World.Resolve(World.Service(), slice).Ports).ClusterBackends.Text());
    }

    [Fact]
    public void NamesForDns_ArePassedOverWithoutProblem()
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice() with { AddressType = "FQDN", Endpoints = [new Endpoint { Addresses = ["a.example"] }] });

        Assert.Empty(state.Problems);
    }

    [Fact]
    public void LocalEndpoint_NeedsTheNamesOfBoth()
    {
        NodeFacts nameless = World.Node with { Name = "" };
        ServiceState state = ServiceResolver.Resolve(World.Service(), [World.Slice("10.0.1.1", "10.0.1.2@here")], nameless);

        Assert.All(Assert.Single(state.Ports).ClusterBackends, backend => Assert.False(backend.IsLocal));
        Assert.Equal(
            [false, true],
            Assert.Single(World.Resolve(World.Service(), World.Slice("10.0.1.1", "10.0.1.2@here")).Ports)
                .ClusterBackends.Select(backend => backend.IsLocal));
    }

    [Theory]
    [InlineData("IPv4", "10.0.1.256", "endpoints[1].addresses[0]")]
    [InlineData("IPv4", "fd00::1", "endpoints[1].addresses[0]")]
    [InlineData("IPv4", "0.0.0.0", "endpoints[1].addresses[0]")]
    [InlineData("IPv4", "127.0.0.1", "endpoints[1].addresses[0]")]
    [InlineData("IPv4", "224.0.0.1", "endpoints[1].addresses[0]")]
    [InlineData("IPv4", "", "endpoints[1].addresses[0]")]
    public void EndpointThatIsWrong_IsAProblemOfTheSlice_AndTheOthersAreUsed(string type, string address, string field)
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice() with
            {
                AddressType = type,
                Endpoints = [World.Endpoint("10.0.1.1"), new Endpoint { Addresses = [address] }, World.Endpoint("10.0.1.2")],
            });

        Assert.Equal("10.0.1.1:8080 10.0.1.2:8080", Assert.Single(state.Ports).ClusterBackends.Text());
        Problem problem = Assert.Single(state.Problems);
        Assert.Equal(("EndpointSlice shop/cart-1", field), (problem.Subject, problem.Field));
    }

    [Fact]
    public void ThousandWrongEndpoints_AreAFewProblems()
    {
        ServiceState state = World.Resolve(
            World.Service(),
            World.Slice() with { Endpoints = [.. Enumerable.Repeat(new Endpoint { Addresses = ["x"] }, 1000)] });

        Assert.Equal(ProblemList.Limit + 1, state.Problems.Length);
        Assert.Contains("980 more", state.Problems[^1].Message, System.StringComparison.Ordinal);
    }

    [Fact]
    public void AddressWithLeadingZeros_IsReadAsDecimal_AsOldClustersHoldThem()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { ClusterIP = "172.030.000.001" }), World.Slice("010.000.001.001"));

        Assert.Equal("10.0.1.1:8080", Assert.Single(state.Ports).ClusterBackends.Text());
        Assert.Equal(FrontendAction.Forward, state.Frontend("172.30.0.1", 80).Pod.Action);
        Assert.Empty(state.Problems);
    }
}
