// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>Whatever is wrong is a problem that names object and field, and what is right beside it is served.</summary>
public sealed class ServiceValidationTests
{
    private static readonly ServicePort[] s_good = [new() { Name = "good", Port = 81 }];

    [Theory]
    [InlineData(0, "spec.ports[0].port")]
    [InlineData(-1, "spec.ports[0].port")]
    [InlineData(70000, "spec.ports[0].port")]
    public void PortOutOfRange_IsNotServed_TheOthersAre(int port, string field)
    {
        ServiceState state = Resolve(new ServiceSpec { Ports = [new ServicePort { Name = "bad", Port = port }, .. s_good] });

        AssertProblem(state, field);
        Assert.Equal("good", Assert.Single(state.Ports).Name.Port);
    }

    [Fact]
    public void UnknownProtocol_IsNotServed_TheOthersAre()
    {
        ServiceState state = Resolve(
            new ServiceSpec { Ports = [new ServicePort { Name = "bad", Port = 80, Protocol = "QUIC" }, .. s_good] });

        AssertProblem(state, "spec.ports[0].protocol");
        Assert.Equal("good", Assert.Single(state.Ports).Name.Port);
    }

    [Fact]
    public void PortThatIsNull_IsNotServed_TheOthersAre()
    {
        ServiceState state = Resolve(new ServiceSpec { Ports = [null!, .. s_good] });

        AssertProblem(state, "spec.ports[0]");
        Assert.Equal("good", Assert.Single(state.Ports).Name.Port);
    }

    [Fact]
    public void SamePortAndProtocolTwice_TheFirstCounts()
    {
        ServiceState state = Resolve(
            new ServiceSpec { Ports = [new ServicePort { Name = "a", Port = 80 }, new ServicePort { Name = "b", Port = 80 }] });

        AssertProblem(state, "spec.ports[1].port");
        Assert.Equal("a", Assert.Single(state.Ports).Name.Port);
    }

    [Fact]
    public void SameNameTwice_TheFirstCounts()
    {
        ServiceState state = Resolve(new ServiceSpec { Ports = [new ServicePort { Port = 80 }, new ServicePort { Port = 81 }] });

        AssertProblem(state, "spec.ports[1].name");
        Assert.Equal(80, Assert.Single(Assert.Single(state.Ports).Frontends).Key.Port);
    }

    [Theory]
    [InlineData("NodePort", 70000)]
    [InlineData("NodePort", -5)]
    [InlineData("ClusterIP", 30080)]
    public void NodePortThatCannotBe_IsLeftOut_ThePortIsServed(string type, int nodePort)
    {
        ServiceState state = Resolve(new ServiceSpec { Type = type, Ports = [new ServicePort { Port = 80, NodePort = nodePort }] });

        AssertProblem(state, "spec.ports[0].nodePort");
        Assert.Equal(FrontendKind.ClusterIp, Assert.Single(Assert.Single(state.Ports).Frontends).Kind);
    }

    [Fact]
    public void NodePortTwice_IsOfTheFirstPort()
    {
        ServiceState state = Resolve(new ServiceSpec
        {
            Type = "NodePort",
            Ports =
            [
                new ServicePort { Name = "a", Port = 80, NodePort = 30080 },
                new ServicePort { Name = "b", Port = 81, NodePort = 30080 },
                new ServicePort { Name = "c", Port = 80, NodePort = 30080, Protocol = "UDP" },
            ],
        });

        AssertProblem(state, "spec.ports[1].nodePort");
        Assert.Equal([2, 1, 2], state.Ports.Select(port => port.Frontends.Length));
    }

    [Theory]
    [InlineData("172.30.0.300")]
    [InlineData("0.0.0.0")]
    [InlineData("127.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("ff02::1")]
    [InlineData("::")]
    public void ClusterAddressThatCannotBe_IsNotServed_TheOtherFamilyIs(string address)
    {
        string good = address.Contains(':') ? "172.30.0.1" : "fd00:172::1";
        ServiceState state = Resolve(new ServiceSpec { ClusterIPs = [address, good] });

        AssertProblem(state, "spec.clusterIPs[0]");
        Assert.Equal(good, Assert.Single(Assert.Single(state.Ports).Frontends).Key.Address.ToString());
    }

    [Fact]
    public void ClusterAddressAlone_ThatCannotBe_LeavesNothing()
    {
        ServiceState state = Resolve(new ServiceSpec { ClusterIP = "nonsense" });

        AssertProblem(state, "spec.clusterIP");
        Assert.Empty(state.Ports);
    }

    [Fact]
    public void TwoClusterAddressesOfOneFamily_TheFirstCounts()
    {
        ServiceState state = Resolve(new ServiceSpec { ClusterIPs = ["172.30.0.1", "172.30.0.2"] });

        AssertProblem(state, "spec.clusterIPs[1]");
        Assert.Equal("172.30.0.1", Assert.Single(Assert.Single(state.Ports).Frontends).Key.Address.ToString());
    }

    [Fact]
    public void FamiliesThatContradictTheAddresses_TheAddressesCount()
    {
        ServiceState state = Resolve(new ServiceSpec { ClusterIPs = ["172.30.0.1"], IpFamilies = ["IPv6"] });

        AssertProblem(state, "spec.ipFamilies[0]");
        Assert.False(Assert.Single(state.Ports).Name.IsIpv6);
    }

    [Fact]
    public void ClusterIpThatIsNotTheFirstOfTheList_TheListCounts()
    {
        ServiceState state = Resolve(new ServiceSpec { ClusterIP = "172.30.0.9", ClusterIPs = ["172.30.0.1"] });

        AssertProblem(state, "spec.clusterIP");
        Assert.Equal("172.30.0.1", Assert.Single(Assert.Single(state.Ports).Frontends).Key.Address.ToString());
    }

    [Theory]
    [InlineData("not-an-address")]
    [InlineData("0.0.0.0")]
    [InlineData("127.0.0.1")]
    [InlineData("2001:db8::9")]
    public void ExternalAddressThatCannotBe_IsLeftOut_TheOthersAreServed(string address)
    {
        ServiceState state = Resolve(new ServiceSpec { ExternalIPs = [address, "198.51.100.1"] });

        AssertProblem(state, "spec.externalIPs[0]");
        Assert.Equal("198.51.100.1", state.Frontend("198.51.100.1", 80).Key.Address.ToString());
    }

    [Fact]
    public void IngressThatCannotBe_IsLeftOut_TheOthersAreServed()
    {
        ServiceState state = World.Resolve(World.Service(new ServiceSpec { Type = "LoadBalancer" }).WithIngress(
            new LoadBalancerIngress { Ip = "203.0.113.x" }, new LoadBalancerIngress { Ip = "203.0.113.5", IpMode = "Odd" }));

        Assert.Equal(
            ["status.loadBalancer.ingress[0].ip", "status.loadBalancer.ingress[1].ipMode"],
            state.Problems.Select(problem => problem.Field));
        Assert.Equal(FrontendKind.LoadBalancer, state.Frontend("203.0.113.5", 80).Kind);
    }

    [Theory]
    [InlineData("internal")]
    [InlineData("external")]
    public void UnknownPolicy_IsTakenAsCluster(string which)
    {
        bool isInternal = which == "internal";
        ServiceState state = Resolve(new ServiceSpec
        {
            InternalTrafficPolicy = isInternal ? "Nearby" : null,
            ExternalTrafficPolicy = isInternal ? null : "Nearby",
        });

        AssertProblem(state, $"spec.{which}TrafficPolicy");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(86401)]
    public void AffinityTimeoutOutOfRange_IsTheDefault(int seconds)
    {
        ServiceState state = Resolve(new ServiceSpec
        {
            SessionAffinity = "ClientIP",
            SessionAffinityConfig = new SessionAffinityConfig { ClientIP = new ClientIPConfig { TimeoutSeconds = seconds } },
        });

        AssertProblem(state, "spec.sessionAffinityConfig.clientIP.timeoutSeconds");
        Assert.Equal(10800, Assert.Single(state.Ports).AffinityTimeout.TotalSeconds);
    }

    [Fact]
    public void UnknownAffinity_IsNone()
    {
        ServiceState state = Resolve(new ServiceSpec { SessionAffinity = "Cookie" });

        AssertProblem(state, "spec.sessionAffinity");
        Assert.Equal(0, Assert.Single(state.Ports).AffinityTimeout.TotalSeconds);
    }

    [Fact]
    public void UnknownType_IsServedAsClusterIp()
    {
        ServiceState state = Resolve(new ServiceSpec { Type = "Anycast" });

        AssertProblem(state, "spec.type");
        Assert.Equal(FrontendKind.ClusterIp, Assert.Single(Assert.Single(state.Ports).Frontends).Kind);
    }

    [Fact]
    public void UnknownTrafficDistribution_IsIgnored() =>
        AssertProblem(Resolve(new ServiceSpec { TrafficDistribution = "PreferCheap" }), "spec.trafficDistribution");

    [Theory]
    [InlineData(-1)]
    [InlineData(65536)]
    public void HealthCheckPortOutOfRange_IsNone(int port)
    {
        ServiceState state = Resolve(
            new ServiceSpec { Type = "LoadBalancer", ExternalTrafficPolicy = "Local", HealthCheckNodePort = port });

        AssertProblem(state, "spec.healthCheckNodePort");
        Assert.Equal(0, state.HealthCheckNodePort);
    }

    [Theory]
    [InlineData("pronghorn.io/algorithm", "rendezvous")]
    [InlineData("pronghorn.io/algorithm", "Maglev")]
    [InlineData("pronghorn.io/forwarding-mode", "")]
    public void AnnotationWithAnotherValue_IsTheDefault(string name, string value)
    {
        ServiceState state = World.Resolve(World.Service(annotations: new Dictionary<string, string> { [name] = value }));

        AssertProblem(state, $"metadata.annotations[{name}]");
        Assert.Equal(SelectionAlgorithm.Random, Assert.Single(state.Ports).Algorithm);
        Assert.False(Assert.Single(state.Ports).DirectReturn);
    }

    [Fact]
    public void NoPorts_IsAProblem() => AssertProblem(Resolve(new ServiceSpec { Ports = [] }), "spec.ports");

    [Fact]
    public void NoClusterAddress_IsAProblem()
    {
        ServiceState state = Resolve(new ServiceSpec { ClusterIPs = [] });

        AssertProblem(state, "spec.clusterIP");
        Assert.Empty(state.Ports);
    }

    [Fact]
    public void ExternalName_IsPassedOver() => AssertSkipped(new ServiceSpec { Type = "ExternalName", ExternalName = "a.example" });

    [Fact]
    public void Headless_IsPassedOver() => AssertSkipped(new ServiceSpec { ClusterIP = "None" });

    [Fact]
    public void HeadlessByList_IsPassedOver() => AssertSkipped(new ServiceSpec { ClusterIPs = ["None"] });

    [Theory]
    [InlineData("service.kubernetes.io/service-proxy-name", "other-proxy")]
    [InlineData("service.kubernetes.io/headless", "")]
    public void LabelThatLeavesItToOthers_IsPassedOver(string label, string value)
    {
        Service service = World.Service();
        ServiceState state = World.Resolve(
            service with { Metadata = service.Metadata with { Labels = new Dictionary<string, string> { [label] = value } } },
            World.Slice("10.0.1.1"));

        Assert.Empty(state.Ports);
        Assert.Empty(state.Problems);
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData(null, "mine", false)]
    [InlineData("mine", "mine", true)]
    [InlineData("mine", "theirs", false)]
    [InlineData("mine", null, false)]
    [InlineData(null, "", false)]
    public void ProxyName_SaysWhoseServicesAreServed(string? own, string? label, bool expected)
    {
        Service service = World.Service();
        Dictionary<string, string>? labels =
            label is null ? null : new() { ["service.kubernetes.io/service-proxy-name"] = label };
        service = service with { Metadata = service.Metadata with { Labels = labels } };

        ServiceState state = ServiceResolver.Resolve(service, [], World.Node with { ServiceProxyName = own });

        Assert.Equal(expected, state.Ports.Length == 1);
        Assert.Empty(state.Problems);
    }

    private static void AssertSkipped(ServiceSpec spec)
    {
        ServiceState state = World.Resolve(World.Service(spec), World.Slice("10.0.1.1"));

        Assert.Empty(state.Ports);
        Assert.Empty(state.Problems);
        Assert.Equal(new ObjectName("shop", "cart"), state.Name);
    }

    private static ServiceState Resolve(ServiceSpec spec) => World.Resolve(World.Service(spec));

    private static void AssertProblem(ServiceState state, string field)
    {
        Problem problem = Assert.Single(state.Problems);
        Assert.Equal(("Service shop/cart", field), (problem.Subject, problem.Field));
        Assert.NotEmpty(problem.Message);
    }
}
