// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.LoadBalancer.Tests.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Explain;

public sealed class FlowExplainerTests
{
    private static readonly ServiceSpec s_local = new()
    {
        Type = "LoadBalancer",
        ExternalTrafficPolicy = "Local",
        HealthCheckNodePort = 31000,
        LoadBalancerSourceRanges = ["203.0.113.0/24", "192.168.0.0/24"],
        SessionAffinity = "ClientIP",
        Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
    };

    [Fact]
    public void Forwarded_NamesClientFrontendPolicyAndEveryEndpoint()
    {
        FlowExplanation told = Explain(
            "203.0.113.9 -> 192.168.0.2:30080", s_local, "10.0.1.1@here", "10.0.1.2@there", "10.0.1.3@here terminating", "10.0.1.4 dead");

        Assert.Equal(("forward", "external", "shop/cart"), (told.Outcome, told.Client, told.Service));
        Assert.Equal(("NodePort", "*:30080"), (told.Frontend, told.FrontendAddress));
        Assert.Equal(["10.0.1.1:8080"], told.Backends);
        Assert.Contains(told.Reasons, reason => reason.StartsWith("externalTrafficPolicy Local: only", StringComparison.Ordinal));
        Assert.Contains(told.Reasons, reason => reason.Contains("10800 s", StringComparison.Ordinal));
        Assert.Equal(
            [
                "True 10.0.1.1:8080 ready, on this node",
                "False 10.0.1.2:8080 ready, on node there",
                "False 10.0.1.3:8080 terminating while others are ready, on this node",
                "False 10.0.1.4:8080 not ready, node not known",
            ],
            told.Endpoints.Select(endpoint => $"{endpoint.Used} {endpoint.Address} {endpoint.Reason}"));
    }

    [Fact]
    public void ClientInside_IsToldThatTheLocalPolicyIsNotForIt()
    {
        FlowExplanation told = Explain("10.9.9.9 -> 192.168.0.2:30080", s_local, "10.0.1.2@there");

        Assert.Equal(("forward", "pod"), (told.Outcome, told.Client));
        Assert.Contains(told.Reasons, reason => reason.Contains("client is inside", StringComparison.Ordinal));
        Assert.False(told.Masquerades);
    }

    [Theory]
    [InlineData("203.0.113.9 -> 192.168.0.2:30080", "10.0.1.2@there", "drop", "some elsewhere")]
    [InlineData("203.0.113.9 -> 192.168.0.2:30080", "10.0.1.2 dead", "reject", "refused")]
    [InlineData("198.51.100.9 -> 203.0.113.5:80", "10.0.1.1@here", "drop", "198.51.100.9 is not in loadBalancerSourceRanges")]
    [InlineData("10.9.9.9 -> 203.0.113.5:80", "10.0.1.1@here", "drop", "10.9.9.9 is not in loadBalancerSourceRanges")]
    [InlineData("203.0.113.9 -> 203.0.113.5:80", "10.0.1.1@here", "forward", "203.0.113.9 is in loadBalancerSourceRanges")]
    [InlineData("192.168.0.2 -> 203.0.113.5:80", "10.0.1.1@here", "forward", "has this node's address")]
    [InlineData("192.168.1.2 -> 203.0.113.5:80", "10.0.1.1@here", "forward", "has this node's address")]
    [InlineData("203.0.113.9 -> 192.168.0.2:31000", "10.0.1.1@here", "accept", "health check of shop/cart")]
    [InlineData("10.9.9.9 -> 172.30.0.1:81", "10.0.1.1@here", "pass", "172.30.0.1 is an address of shop/cart, which serves 80/TCP")]
    [InlineData("10.9.9.9 -> 192.168.0.77:30080", "10.0.1.1@here", "pass", "192.168.0.77 is not an address of node here")]
    [InlineData("10.9.9.9 -> 8.8.8.8:53/udp", "10.0.1.1@here", "pass", "no service has this address")]
    [InlineData("10.0.1.1 -> 172.30.0.1:80", "10.0.1.1@here", "forward", "when the client itself is chosen")]
    [InlineData("10.9.9.9 -> 172.30.0.1:80", "10.0.1.1@here terminating", "forward", "serve while they terminate")]
    public void Outcome_HasItsReason(string flow, string endpoint, string outcome, string reason)
    {
        FlowExplanation told = Explain(flow, s_local, endpoint);

        Assert.Equal(outcome, told.Outcome);
        Assert.Contains(told.Reasons, one => one.Contains(reason, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("192.168.0.2")]
    [InlineData("192.168.1.2")]
    public void NodeWithASecondaryAddressInARange_IsNotAdmittedByIt(string source)
    {
        ServiceSpec spec = s_local with { LoadBalancerSourceRanges = ["192.168.1.0/24"] };

        FlowExplanation told = Explain($"{source} -> 203.0.113.5:80", spec, "10.0.1.1@here");

        Assert.Equal("drop", told.Outcome);
        Assert.Contains(told.Reasons, reason => reason.Contains("no address of this node that it is known by", StringComparison.Ordinal));
    }

    [Fact]
    public void EndpointOfAnotherZone_IsToldToBe()
    {
        FlowExplanation told = Explain(
            "10.9.9.9 -> 172.30.0.1:80", new ServiceSpec(), "10.0.1.1 forzone=a", "10.0.1.2 forzone=b forzone=c");

        Assert.Contains("hints narrow them to those for zone a", told.Reasons[1], StringComparison.Ordinal);
        Assert.Equal("ready, node not known, meant for zone b, c", told.Endpoints[1].Reason);
        Assert.Equal("ClusterIP", told.Frontend);
    }

    [Fact]
    public void ProblemsOfTheService_AreTold()
    {
        FlowExplanation told = Explain("10.9.9.9 -> 172.30.0.1:80", new ServiceSpec { SessionAffinity = "Cookie" }, "10.0.1.1");

        Assert.Contains("Service shop/cart: spec.sessionAffinity", Assert.Single(told.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void ServiceThatGoesMeanwhile_IsToldToBeGoing()
    {
        ServiceState state = World.Resolve(World.Service(), World.Slice("10.0.1.1"));

        FlowExplanation told = new FlowExplainer([state], World.Node, _ => null).Explain(ReadFlow("10.9.9.9 -> 172.30.0.1:80"));

        Assert.Equal(["shop/cart is being removed"], told.Reasons);
    }

    [Fact]
    public void PortThatGoesMeanwhile_HasNoEndpointsAnyMore()
    {
        ServiceState state = World.Resolve(World.Service(), World.Slice("10.0.1.1"));
        Service changed = World.Service(new ServiceSpec { Ports = [new ServicePort { Name = "new", Port = 81 }] });

        FlowExplanation told = new FlowExplainer([state], World.Node, _ => (changed, [World.Slice("10.0.1.1")]))
            .Explain(ReadFlow("10.9.9.9 -> 172.30.0.1:80"));

        Assert.Equal("forward", told.Outcome);
        Assert.Empty(told.Endpoints);
    }

    [Fact]
    public void TwoServicesWithOneAddress_TheOlderAnswers()
    {
        Service cart = World.Service();
        Service older = cart with
        {
            Metadata = new Metadata { Namespace = "shop", Name = "old", CreationTimestamp = DateTimeOffset.UnixEpoch },
        };
        ClusterState cluster = new();
        cluster.Apply(new ServicesListed([cart, older]));

        FlowExplanation told = new FlowExplainer(cluster, World.Node).Explain(ReadFlow("10.9.9.9 -> 172.30.0.1:80"));

        Assert.Equal("shop/old", told.Service);
        Assert.StartsWith("shop/cart claims the same", told.Reasons[0], StringComparison.Ordinal);
    }

    private static FlowExplanation Explain(string flow, ServiceSpec spec, params string[] endpoints)
    {
        ClusterState cluster = new();
        cluster.Apply(new ServicesListed([World.Service(spec).WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" })]));
        cluster.Apply(new EndpointSlicesListed([World.Slice(endpoints)]));
        return new FlowExplainer(cluster, World.Node).Explain(ReadFlow(flow));
    }

    private static Flow ReadFlow(string text)
    {
        Assert.True(Flow.TryParse(text, out Flow? flow, out string? mistake), mistake);
        return flow;
    }
}
