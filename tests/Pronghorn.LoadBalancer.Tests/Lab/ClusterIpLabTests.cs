// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>Services as clients inside the node see them; the names are those of the Kubernetes network tests.</summary>
[Collection(TestCgroup.Collection)]
public sealed class ClusterIpLabTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    [Fact]
    public async Task ClusterIp_ServesPodsAndNode()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0, 1);

        Assert.Equal("ab", world.Ask(world.Client, service));
        Assert.Equal("ab", world.Ask(world.Node, service));
    }

    [Fact]
    public async Task SourcePodIp_ThroughClusterIp_IsPreserved()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0);

        ProbeResult result = world.Send(world.Client, service.Spec.ClusterIP!, 80);

        Assert.Equal("a", ServiceWorld.NameOf(result));
        Assert.Equal(ServiceNode.PodAddress(2), result.Source!.Address.ToString());
    }

    [Fact]
    public async Task Hairpin_PodReachesItselfThroughItsService()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0);

        Assert.Equal("a", world.Ask(world.Pod(0), service));
        Assert.Equal("a", world.Ask(world.Pod(0), service, IpProtocol.Udp));
    }

    [Fact]
    public async Task SamePort_DifferentProtocols_EachHasItsOwnServer()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0);

        Assert.Equal("a", world.Ask(world.Client, service));
        Assert.Equal("a", world.Ask(world.Client, service, IpProtocol.Udp));

        await world.ApplyAsync(service with { Spec = service.Spec with { Ports = [service.Spec.Ports![1]] } }, 0);

        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));
        Assert.Equal("a", world.Ask(world.Client, service, IpProtocol.Udp));
    }

    [Fact]
    public async Task NoEndpoints_ClusterIp_IsRejected()
    {
        Service service = world.MakeService();
        await world.Lab.ApplyAsync(new ServiceApplied(service));

        Assert.Equal("REJECT", world.Ask(world.Client, service));
        Assert.Equal("REJECT", world.Ask(world.Node, service));
        Assert.Equal("REJECT", world.Ask(world.Client, service, IpProtocol.Udp));
    }

    [Fact]
    public async Task AllEndpointsEvicted_ClusterIp_IsRejected()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0, 1);
        Assert.Equal("ab", world.Ask(world.Client, service));

        await world.ApplyAsync(service, (int[])[]);

        Assert.Equal("REJECT", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task ServicesBroughtUpAndDownAndUpAgain_AnswerAccordingly()
    {
        Service first = world.MakeService();
        Service second = world.MakeService();
        Service third = world.MakeService();
        await world.ApplyAsync(first, 0);
        await world.ApplyAsync(second, 1);
        Assert.Equal("a", world.Ask(world.Client, first));
        Assert.Equal("b", world.Ask(world.Client, second));

        await world.Lab.ApplyAsync(
            new ServiceRemoved(first.Metadata.FullName), new EndpointSliceRemoved(ServiceWorld.MakeSlice(first, 0).Metadata.FullName));
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, first));
        Assert.Equal("b", world.Ask(world.Client, second));

        await world.ApplyAsync(third, 0);
        await world.ApplyAsync(first, 1);
        Assert.Equal("b", world.Ask(world.Client, first));
        Assert.Equal("a", world.Ask(world.Client, third));
        Assert.Equal("b", world.Ask(world.Client, second));
    }

    [Theory]
    [InlineData("service.kubernetes.io/service-proxy-name", "another")]
    [InlineData("service.kubernetes.io/headless", "")]
    public async Task LabelOfServicesForOthers_IsSetAndTakenAway_IsFollowed(string label, string value)
    {
        Service service = world.MakeService();
        Service labelled = service with
        {
            Metadata = service.Metadata with { Labels = new Dictionary<string, string> { [label] = value } },
        };
        await world.ApplyAsync(labelled, 0);
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));

        await world.ApplyAsync(service, 0);
        Assert.Equal("a", world.Ask(world.Client, service));

        await world.ApplyAsync(labelled, 0);
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));
    }

    [Fact]
    public async Task PublishNotReadyAddresses_IsSet_NotReadyEndpointsServe()
    {
        Endpoint notReady = ServiceWorld.At(0, ServiceWorld.NodeName, ready: false, serving: false);
        Service service = world.MakeService();
        await world.ApplyAsync(service, notReady);
        Assert.Equal("REJECT", world.Ask(world.Client, service));

        // With the field set, the cluster's controller publishes them as ready.
        Service published = service with { Spec = service.Spec with { PublishNotReadyAddresses = true } };
        await world.ApplyAsync(published, notReady with { Conditions = new EndpointConditions { Ready = true } });

        Assert.Equal("a", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task InternalTrafficPolicyLocal_LocalEndpoint_IsTheOnlyOneChosen()
    {
        Service service = world.MakeService(spec => spec with { InternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, ServiceWorld.Ready(0), ServiceWorld.At(1, "node-2"));

        Assert.Equal("a", world.Ask(world.Client, service));
        Assert.Equal("a", world.Ask(world.Node, service));
    }

    [Fact]
    public async Task InternalTrafficPolicyLocal_EndpointsElsewhereOnly_IsDropped()
    {
        Service service = world.MakeService(spec => spec with { InternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, ServiceWorld.At(0, "node-2"), ServiceWorld.At(1, "node-2"));

        Assert.Equal("DROP", world.Ask(world.Client, service));
        Assert.Equal("DROP", world.Ask(world.Node, service));
    }

    [Fact]
    public async Task InternalTrafficPolicyLocal_NoEndpointAnywhere_IsRejected()
    {
        Service service = world.MakeService(spec => spec with { InternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, (int[])[]);

        Assert.Equal("REJECT", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task OnlyTerminatingEndpoints_InternalTrafficPolicyCluster_TheyServe()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, ServiceWorld.Ready(0), ServiceWorld.Terminating(1));
        Assert.Equal("a", world.Ask(world.Client, service));

        await world.ApplyAsync(service, ServiceWorld.Terminating(0), ServiceWorld.Terminating(1));
        Assert.Equal("ab", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task OnlyTerminatingEndpoints_InternalTrafficPolicyLocal_LocalOnesServe()
    {
        Service service = world.MakeService(spec => spec with { InternalTrafficPolicy = "Local" });
        await world.ApplyAsync(service, ServiceWorld.Terminating(0), ServiceWorld.At(1, "node-2"));

        Assert.Equal("a", world.Ask(world.Client, service));
    }

    [Fact]
    public async Task TypeChanges_ExternalNameToClusterIpAndBack_AreFollowed()
    {
        Service service = world.MakeService();
        Service external = service with { Spec = new ServiceSpec { Type = "ExternalName", ExternalName = "example.org" } };
        await world.ApplyAsync(external, (int[])[]);
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));

        await world.ApplyAsync(service, 0);
        Assert.Equal("a", world.Ask(world.Client, service));

        await world.ApplyAsync(external, (int[])[]);
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, service));
    }

    [Fact]
    public async Task Sctp_ThroughClusterIp_ReachesItsServer()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0, 1);

        Assert.Equal("ab", world.Ask(world.Client, service, IpProtocol.Sctp));
    }
}
