// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

public sealed class FrontendTests
{
    [Fact]
    public void LoadBalancer_WithEverything_HasAFrontendForEachAddress()
    {
        ServiceState state = World.Resolve(Everything(), World.Slice("10.0.1.1"));

        Assert.Equal(
            ["ClusterIp 172.30.0.1:80", "LoadBalancer 203.0.113.5:80", "ExternalIp 198.51.100.1:80", "NodePort 0.0.0.0:30080"],
            Texts(state));
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void ExternalPolicyCluster_MasqueradesEveryClassOnEveryExternalFrontend()
    {
        ServiceState state = World.Resolve(Everything(), World.Slice("10.0.1.1"));

        Assert.All(state.Ports.SelectMany(port => port.Frontends).Where(one => one.Kind != FrontendKind.ClusterIp), frontend =>
        {
            FrontendView expected = new(FrontendAction.Forward, EndpointScope.Cluster, Masquerade: true);
            Assert.Equal([expected, expected, expected], [frontend.Pod, frontend.Node, frontend.External]);
        });
    }

    [Theory]
    [InlineData(false, true, false, true)]
    [InlineData(true, true, true, true)]
    [InlineData(false, false, false, false)]
    [InlineData(true, false, true, true)]
    public void ClusterIp_MasqueradesThoseOutside_IfPodsAreKnown(bool all, bool knowsPods, bool pod, bool others)
    {
        NodeFacts node = World.Node with { MasqueradeAll = all, PodRanges = knowsPods ? World.Node.PodRanges : [] };
        Frontend frontend = ServiceResolver.Resolve(World.Service(), [World.Slice("10.0.1.1")], node).Frontend("172.30.0.1", 80);

        Assert.Equal(pod, frontend.Pod.Masquerade);
        Assert.Equal(others, frontend.Node.Masquerade);
        Assert.Equal(others, frontend.External.Masquerade);
    }

    [Fact]
    public void ClusterIpOfTheOtherFamily_IsNotMasqueradedByRangesOfOne()
    {
        NodeFacts node = World.Node with { PodRanges = [World.Range("10.0.0.0/8")] };
        Service service = World.Service(new ServiceSpec { ClusterIPs = ["fd00:172::1"] });

        Frontend frontend = ServiceResolver.Resolve(service, [World.Slice("fd00:10::1")], node).Frontend("fd00:172::1", 80);

        Assert.False(frontend.External.Masquerade);
    }

    [Theory]
    [InlineData("Proxy", false)]
    [InlineData("VIP", true)]
    [InlineData(null, true)]
    public void Ingress_OfAProxy_IsNotTranslated(string? mode, bool expected)
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { Type = "LoadBalancer" })
                .WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5", IpMode = mode }),
            World.Slice("10.0.1.1"));

        Assert.Equal(expected, Texts(state).Contains("LoadBalancer 203.0.113.5:80"));
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void Ingress_WithAHostNameOnly_IsNoFrontendAndNoProblem()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { Type = "LoadBalancer" }).WithIngress(new LoadBalancerIngress()), World.Slice("10.0.1.1"));

        Assert.Equal(["ClusterIp 172.30.0.1:80"], Texts(state));
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void StatusOfAServiceThatIsNoLoadBalancerAnyMore_IsNotServed()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { Type = "ClusterIP" }).WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" }),
            World.Slice("10.0.1.1"));

        Assert.Equal(["ClusterIp 172.30.0.1:80"], Texts(state));
    }

    [Fact]
    public void AddressNamedTwice_IsOneFrontendOfTheStricterKind()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec
            {
                Type = "LoadBalancer",
                ExternalIPs = ["203.0.113.5", "172.30.0.1", "203.0.113.5"],
                LoadBalancerSourceRanges = ["192.0.2.0/24"],
            }).WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" }, new LoadBalancerIngress { Ip = "203.0.113.5" }),
            World.Slice("10.0.1.1"));

        Assert.Equal(["ClusterIp 172.30.0.1:80", "LoadBalancer 203.0.113.5:80"], Texts(state));
        Assert.True(state.Frontend("203.0.113.5", 80).External.ChecksSource);
    }

    [Fact]
    public void OnePortWithThreeProtocols_HasThreeFrontendsWithTheirOwnEndpoints()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec
            {
                Ports =
                [
                    new ServicePort { Name = "dns-tcp", Port = 53 },
                    new ServicePort { Name = "dns", Port = 53, Protocol = "UDP" },
                    new ServicePort { Name = "sig", Port = 53, Protocol = "SCTP" },
                ],
            }),
            World.Slice(
                "cart-1",
                [
                    new EndpointPort { Name = "dns-tcp", Port = 5301 },
                    new EndpointPort { Name = "dns", Protocol = "UDP", Port = 5302 },
                    new EndpointPort { Name = "sig", Protocol = "SCTP", Port = 5303 },
                ],
                "10.0.1.1"));

        Assert.Equal(["10.0.1.1:5301", "10.0.1.1:5302", "10.0.1.1:5303"], state.Ports.Select(port => port.ClusterBackends.Text()));
        Assert.Equal(
            [IpProtocol.Tcp, IpProtocol.Udp, IpProtocol.Sctp], state.Ports.Select(port => port.Frontends.Single().Key.Protocol));
        Assert.All(state.Ports, port => Assert.Equal(port.Name.Protocol, port.ClusterBackends.Single().Protocol));
    }

    [Fact]
    public void DualStack_ServesEachFamilyFromItsOwnSlices()
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec
            {
                Type = "LoadBalancer",
                ClusterIPs = ["172.30.0.1", "fd00:172::1"],
                IpFamilies = ["IPv4", "IPv6"],
                ExternalIPs = ["198.51.100.1", "2001:db8:9::1"],
                Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
            }).WithIngress(new LoadBalancerIngress { Ip = "2001:db8:9::5" }),
            World.Slice("10.0.1.1"),
            World.Slice("cart-6", [new EndpointPort { Port = 8086 }], "fd00:10::1"));

        Assert.Equal(
            [
                "ClusterIp 172.30.0.1:80", "ExternalIp 198.51.100.1:80", "NodePort 0.0.0.0:30080",
                "ClusterIp fd00:172::1:80", "LoadBalancer 2001:db8:9::5:80", "ExternalIp 2001:db8:9::1:80", "NodePort :::30080",
            ],
            Texts(state));
        Assert.Equal(["10.0.1.1:8080", "fd00:10::1:8086"], state.Ports.Select(port => port.ClusterBackends.Text()));
        Assert.Equal([false, true], state.Ports.Select(port => port.Name.IsIpv6));
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void SingleFamilyService_DoesNotUseSlicesOfTheOther()
    {
        ServiceState state = World.Resolve(World.Service(), World.Slice("fd00:10::1"));

        Assert.Equal(FrontendAction.Reject, state.Frontend("172.30.0.1", 80).Pod.Action);
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData("ExternalName", "")]
    [InlineData("ClusterIP", "ClusterIp")]
    [InlineData("NodePort", "ClusterIp NodePort")]
    [InlineData("LoadBalancer", "ClusterIp LoadBalancer NodePort")]
    public void Type_SaysWhichFrontendsThereAre(string type, string expected)
    {
        int nodePort = type is "NodePort" or "LoadBalancer" ? 30080 : 0;
        Service service = World.Service(
            new ServiceSpec { Type = type, ExternalName = "a.example", Ports = [new ServicePort { Port = 80, NodePort = nodePort }] });

        ServiceState state = World.Resolve(service.WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" }), World.Slice("10.0.1.1"));

        Assert.Equal(expected, string.Join(' ', state.Ports.SelectMany(port => port.Frontends).Select(frontend => frontend.Kind)));
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData("LoadBalancer", "Local", 30001, 30001)]
    [InlineData("LoadBalancer", "Cluster", 30001, 0)]
    [InlineData("NodePort", "Local", 30001, 0)]
    [InlineData("LoadBalancer", "Local", 0, 0)]
    public void HealthCheck_IsOnlyOfLoadBalancersWithLocalPolicy(string type, string policy, int port, int expected)
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec { Type = type, ExternalTrafficPolicy = policy, HealthCheckNodePort = port }),
            World.Slice("10.0.1.1@here"));

        Assert.Equal(expected, state.HealthCheckNodePort);
    }

    [Theory]
    [InlineData("10.0.1.1@here | 10.0.1.2@here | 10.0.1.3@there", 2)]
    [InlineData("10.0.1.1@here terminating", 0)]
    [InlineData("10.0.1.1@here notready | 10.0.1.2@here", 1)]
    [InlineData("10.0.1.1@there", 0)]
    public void LocalReadyEndpoints_CountsReadyOnesHere_OnceForAllPorts(string endpoints, int expected)
    {
        ServiceState state = World.Resolve(
            World.Service(new ServiceSpec
            {
                Ports = [new ServicePort { Name = "a", Port = 80 }, new ServicePort { Name = "b", Port = 81 }],
            }),
            World.Slice(
                "cart-1",
                [new EndpointPort { Name = "a", Port = 8080 }, new EndpointPort { Name = "b", Port = 8081 }],
                endpoints.Split(" | ")));

        Assert.Equal(expected, state.LocalReadyEndpoints);
    }

    [Theory]
    [InlineData(null, null, 0)]
    [InlineData("None", 100, 0)]
    [InlineData("ClientIP", null, 10800)]
    [InlineData("ClientIP", 1, 1)]
    [InlineData("ClientIP", 86400, 86400)]
    public void Affinity_HasItsTimeoutOrTheDefault(string? affinity, int? timeout, int expected)
    {
        ServiceState state = World.Resolve(World.Service(new ServiceSpec
        {
            SessionAffinity = affinity,
            SessionAffinityConfig =
                timeout is null ? null : new SessionAffinityConfig { ClientIP = new ClientIPConfig { TimeoutSeconds = timeout } },
        }));

        Assert.Equal(expected, Assert.Single(state.Ports).AffinityTimeout.TotalSeconds);
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData(null, SelectionAlgorithm.Random, SelectionAlgorithm.Random)]
    [InlineData(null, SelectionAlgorithm.Maglev, SelectionAlgorithm.Maglev)]
    [InlineData("maglev", SelectionAlgorithm.Random, SelectionAlgorithm.Maglev)]
    [InlineData("random", SelectionAlgorithm.Maglev, SelectionAlgorithm.Random)]
    public void AlgorithmAnnotation_GoesBeforeTheNodesDefault(string? value, SelectionAlgorithm configured, SelectionAlgorithm expected)
    {
        Service service = World.Service(annotations: value is null ? null : new() { ["pronghorn.io/algorithm"] = value });

        ServiceState state = ServiceResolver.Resolve(service, [], World.Node with { DefaultAlgorithm = configured });

        Assert.Equal(expected, Assert.Single(state.Ports).Algorithm);
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData(null, false, false)]
    [InlineData(null, true, true)]
    [InlineData("dsr", false, true)]
    [InlineData("snat", true, false)]
    public void ForwardingModeAnnotation_GoesBeforeTheNodesDefault(string? value, bool configured, bool expected)
    {
        Service service = World.Service(annotations: value is null ? null : new() { ["pronghorn.io/forwarding-mode"] = value });

        ServiceState state = ServiceResolver.Resolve(service, [], World.Node with { DefaultDirectReturn = configured });

        Assert.Equal(expected, Assert.Single(state.Ports).DirectReturn);
        Assert.Empty(state.Problems);
    }

    private static Service Everything() => World.Service(new ServiceSpec
    {
        Type = "LoadBalancer",
        ExternalIPs = ["198.51.100.1"],
        Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
    }).WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" });

    private static string[] Texts(ServiceState state) =>
        [.. state.Ports.SelectMany(port => port.Frontends).Select(one => $"{one.Kind} {one.Key.Address}:{one.Key.Port}")];
}
