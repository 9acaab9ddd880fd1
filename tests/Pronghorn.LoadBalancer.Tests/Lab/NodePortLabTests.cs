// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>What is reached from outside: node ports, load balancers' addresses and external addresses.</summary>
[Collection(TestCgroup.Collection)]
public sealed class NodePortLabTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    [Fact]
    public async Task FunctioningNodePort_ServesEverybody()
    {
        Service service = MakeNodePort();
        await world.ApplyAsync(service, 0, 1);

        Assert.Equal("ab", world.AskNodePort(world.Client, service));
        Assert.Equal("ab", world.AskNodePort(world.Node, service));
        Assert.Equal("ab", world.AskNodePort(world.Outside, service));
        Assert.Equal("ab", world.AskNodePort(world.Outside, service, IpProtocol.Udp));
        Assert.Equal("ab", world.Ask(world.Node, "127.0.0.1", service.Spec.Ports![0].NodePort));
        Assert.Equal("ab", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task TypeChanges_ExternalNameToNodePortAndBack_AreFollowed()
    {
        Service service = MakeNodePort();
        Service external = service with { Spec = new ServiceSpec { Type = "ExternalName", ExternalName = "example.org" } };
        await world.ApplyAsync(external, (int[])[]);
        Assert.Equal("REJECT", world.AskNodePort(world.Outside, service));

        await world.ApplyAsync(service, 0);
        Assert.Equal("a", world.AskNodePort(world.Outside, service));
        Assert.Equal("a", world.AskNodePort(world.Client, service));

        await world.ApplyAsync(service with { Spec = service.Spec with { Type = "ClusterIP" } }, 0);
        Assert.Equal("REJECT", world.AskNodePort(world.Outside, service));
        Assert.Equal("a", world.Ask(world.Client, service));

        await world.ApplyAsync(external, (int[])[]);
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));
    }

    [Fact]
    public async Task NoEndpoints_NodePort_IsRejected()
    {
        Service service = MakeNodePort();
        await world.ApplyAsync(service, (int[])[]);

        // Somebody listens there, so that the refusal is the service's.
        using Server server = world.Lab.Listen(
            world.Node, IpProtocol.Tcp, new IPEndPoint(IPAddress.Parse(ServiceNode.NodeAddress), service.Spec.Ports![0].NodePort));
        Assert.Equal("REJECT", world.AskNodePort(world.Outside, service));
        Assert.Equal("REJECT", world.AskNodePort(world.Client, service));
        Assert.Equal("REJECT", world.AskNodePort(world.Node, service));
    }

    [Fact]
    public async Task ExternalTrafficPolicyLocal_LocalEndpointAlone_SeesTheClientsAddress()
    {
        Service service = MakeNodePort(spec => spec with { ExternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, ServiceWorld.Ready(0), ServiceWorld.At(1, "node-2"));

        Assert.Equal("a", world.AskNodePort(world.Outside, service));
        Assert.Equal("ab", world.AskNodePort(world.Client, service));
        ProbeResult seen = world.Send(world.Outside, ServiceNode.NodeAddress, service.Spec.Ports![0].NodePort);
        Assert.Equal(ServiceNode.ExternalAddress, seen.Source!.Address.ToString());
    }

    [Fact]
    public async Task ExternalTrafficPolicyCluster_EndpointSeesTheNodesAddress()
    {
        Service service = MakeNodePort();
        await world.ApplyAsync(service, 0);

        ProbeResult seen = world.Send(world.Outside, ServiceNode.NodeAddress, service.Spec.Ports![0].NodePort);

        // The node's address towards that pod, as its routes choose it.
        Assert.Equal(ServiceNode.GatewayAddress, seen.Source!.Address.ToString());
    }

    [Fact]
    public async Task ExternalTrafficPolicyLocal_EndpointsElsewhereOnly_IsDroppedOutside()
    {
        Service service = MakeNodePort(spec => spec with { ExternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, ServiceWorld.At(1, "node-2"));

        Assert.Equal("DROP", world.AskNodePort(world.Outside, service));
        Assert.Equal("b", world.AskNodePort(world.Client, service));
    }

    [Theory]
    [InlineData("Cluster", "ab")]
    [InlineData("Local", "a")]
    public async Task OnlyTerminatingEndpoints_ExternalTrafficPolicy_TheyServe(string policy, string expected)
    {
        Service service = MakeNodePort(spec => spec with { ExternalTrafficPolicy = policy });
        await world.ApplyAsync(
            service, ServiceWorld.Terminating(0), ServiceWorld.At(1, "node-2", ready: false, serving: true, terminating: true));

        Assert.Equal(expected, world.AskNodePort(world.Outside, service));
    }

    [Fact]
    public async Task HealthCheckNodePort_OnlyTerminatingEndpoints_SaysUnavailable()
    {
        Service service = world.MakeLoadBalancer(spec => spec with { ExternalTrafficPolicy = "Local", HealthCheckNodePort = 32123 });
        string address = ServiceWorld.LoadBalancerAddressOf(service);
        await using var ports = new HealthCheckPorts(world.Problems);
        await world.ApplyAsync(service, ServiceWorld.Ready(0));
        await ports.UpdateAsync(world.Lab.Proxy.ReadServices());
        Assert.Equal(HttpStatusCode.OK, await CheckAsync());

        await world.ApplyAsync(service, ServiceWorld.Terminating(0));
        await ports.UpdateAsync(world.Lab.Proxy.ReadServices());

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await CheckAsync());
        Assert.Equal("a", world.Ask(world.Outside, address, 80));
    }

    [Fact]
    public async Task LoadBalancerSourceRanges_AreKept()
    {
        Service service = world.MakeLoadBalancer(spec => spec with { LoadBalancerSourceRanges = ["192.168.0.0/24"] });
        string address = ServiceWorld.LoadBalancerAddressOf(service);
        await world.ApplyAsync(service, 0);
        Assert.Equal("a", world.Ask(world.Outside, address, 80));
        Assert.Equal("DROP", world.Ask(world.Client, address, 80));
        Assert.Equal("a", world.Ask(world.Node, address, 80));

        await world.ApplyAsync(service with { Spec = service.Spec with { LoadBalancerSourceRanges = ["203.0.113.0/24"] } }, 0);
        Assert.Equal("DROP", world.Ask(world.Outside, address, 80));
        Assert.Equal("a", world.Ask(world.Client, service));

        await world.ApplyAsync(service with { Spec = service.Spec with { LoadBalancerSourceRanges = null } }, 0);
        Assert.Equal("a", world.Ask(world.Client, address, 80));
    }

    [Fact]
    public async Task Hairpin_ByPackets_PodReachesItselfAndSeesAnotherSource()
    {
        // With source ranges a pod's connection is left to the packets, which know its address.
        Service service = world.MakeLoadBalancer(spec => spec with { LoadBalancerSourceRanges = [ServiceNode.PodRange] });
        string address = ServiceWorld.LoadBalancerAddressOf(service);
        await world.ApplyAsync(service, 0);

        ProbeResult result = world.Send(world.Pod(0), address, 80);

        Assert.Equal("a", ServiceWorld.NameOf(result));
        Assert.NotEqual(ServiceNode.PodAddress(0), result.Source!.Address.ToString());
    }

    [Fact]
    public async Task ExternalIp_ServesInsideAndOutside()
    {
        Service service = world.MakeService(spec => spec with { ExternalIPs = ["1.2.4.1"] });
        await world.ApplyAsync(service, 0);

        Assert.Equal("a", world.Ask(world.Client, "1.2.4.1", 80));
        Assert.Equal("a", world.Ask(world.Node, "1.2.4.1", 80));
        Assert.Equal("a", world.Ask(world.Outside, "1.2.4.1", 80));
    }

    [Fact]
    public async Task Sctp_ThroughNodePort_ReachesItsServer()
    {
        Service service = MakeNodePort();
        await world.ApplyAsync(service, 0);

        Assert.Equal("a", world.AskNodePort(world.Outside, service, IpProtocol.Sctp));
    }

    private Service MakeNodePort(Func<ServiceSpec, ServiceSpec>? change = null) =>
        world.MakeService(spec => (change ?? (same => same))(spec with { Type = "NodePort" }));

    /// <summary>What the health check answers. It listens in this process's own namespace.</summary>
    private static async Task<HttpStatusCode> CheckAsync()
    {
        using var client = new HttpClient();
        using HttpResponseMessage answer = await client.GetAsync(new Uri("http://127.0.0.1:32123/healthz"));
        return answer.StatusCode;
    }
}
