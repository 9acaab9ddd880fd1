// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.LoadBalancer.Tests.Sources;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>Services work on while the proxy, or the API server, goes and comes back.</summary>
[Collection(TestCgroup.Collection)]
public sealed class RestartLabTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    private const string Services = "api/v1/services";
    private const string Slices = "apis/discovery.k8s.io/v1/endpointslices";

    // Long enough for some attempts to reach it; as one of the long tests a minute.
    private static readonly TimeSpan s_away =
        TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("PRONGHORN_LONG_TESTS") == "1" ? 60 : 1);

    [Fact]
    public async Task ProxyRestarts_OpenConnectionsGoOn_AndWhatWentMeanwhileIsGone()
    {
        Service kept = world.MakeService(spec => spec with { Type = "NodePort" });
        Service gone = world.MakeService();
        await world.ApplyAsync(kept, 0);
        await world.ApplyAsync(gone, 1);
        using Socket inside = world.Lab.Open(world.Client, IpProtocol.Tcp, null)[0];
        inside.Connect(IPAddress.Parse(kept.Spec.ClusterIP!), 80);
        using Socket insideServer = world.ServerOf(0, IpProtocol.Tcp).Socket.Accept();
        using Socket outside = world.Lab.Open(world.Outside, IpProtocol.Tcp, null)[0];
        outside.Connect(IPAddress.Parse(ServiceNode.NodeAddress), kept.Spec.Ports![0].NodePort);
        using Socket outsideServer = world.ServerOf(0, IpProtocol.Tcp).Socket.Accept();

        world.Lab.Restart(ServiceWorld.Facts);
        Echo(inside, insideServer);
        Echo(outside, outsideServer);
        Assert.Equal("a", world.Ask(world.Client, kept));
        Assert.Equal("b", world.Ask(world.Client, gone));

        await world.Lab.ApplyAsync(new ServicesListed([kept]), new EndpointSlicesListed([ServiceWorld.MakeSlice(kept, 0)]));
        Echo(inside, insideServer);
        Echo(outside, outsideServer);
        Assert.Equal("a", world.Ask(world.Client, kept));
        Assert.Equal("a", world.AskNodePort(world.Outside, kept));
        Assert.Equal(ServiceWorld.NotServed, world.Ask(world.Client, gone));
    }

    [Fact]
    public async Task ApiServerRestartsWithAChangedWorld_NothingIsLostAndItIsFollowed()
    {
        Service service = world.MakeService();
        var store = new ApiStore();
        store.Apply(Services, ServiceJson(service));
        store.Apply(Slices, SliceJson(service, pod: 0));
        await using var server = new ApiServer(store);
        await server.StartAsync();
        var settings = new KubernetesApiSettings
        {
            Retry = new RetrySettings(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(50)),
        };
        await using var source = new FollowedSource(new KubernetesApiSource(new ApiServerAccess { Server = server.Address }, settings));

        // One is of services, one of endpoints, whichever comes first.
        await world.Lab.ApplyAsync(await source.NextAsync(), await source.NextAsync());
        Assert.Equal("a", world.Ask(world.Client, service));

        await server.StopAsync();
        store.Apply(Slices, SliceJson(service, pod: 1));
        Assert.Equal("a", world.Ask(world.Client, service));
        await server.StartAsync();
        string answered = "a";
        while (answered == "a")
        {
            await world.Lab.ApplyAsync(await source.NextAsync());
            answered = world.Ask(world.Client, service);
        }

        Assert.Equal("b", answered);
    }

    [Fact]
    public async Task ApiServerIsAwayAndBackWithAnotherWorld_NoWrongAnswerBefore_AndThenItHolds()
    {
        (Service kept, Service moved, Service gone, Service added) =
            (world.MakeService(), world.MakeService(), world.MakeService(), world.MakeService());
        var store = new ApiStore();
        foreach (Service service in (Service[])[kept, moved, gone])
        {
            store.Apply(Services, ServiceJson(service));
            store.Apply(Slices, SliceJson(service, pod: 0));
        }

        await using var server = new ApiServer(store);
        await server.StartAsync();
        await using var source = new FollowedSource(new KubernetesApiSource(
            new ApiServerAccess { Server = server.Address },
            new KubernetesApiSettings { Retry = new RetrySettings(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(1)) }));
        await world.Lab.ApplyAsync(await source.NextAsync(), await source.NextAsync());

        await server.StopAsync();
        store.Apply(Slices, SliceJson(moved, pod: 1));
        store.Delete(Services, "shop", gone.Metadata.Name);
        store.Delete(Slices, "shop", gone.Metadata.Name + "-1");
        store.Apply(Services, ServiceJson(added));
        store.Apply(Slices, SliceJson(added, pod: 1));
        store.Compact();
        var away = Stopwatch.StartNew();
        do
        {
            Assert.Equal(("a", "a", "a", ServiceWorld.NotServed), Answers());
        }
        while (away.Elapsed < s_away);

        // Everything is listed again: whatever is not final yet must be as it was, or refused where the one list has come only.
        await server.StartAsync();
        (string Kept, string Moved, string Gone, string Added) answers = default;
        while (answers != ("a", "b", ServiceWorld.NotServed, "b"))
        {
            await world.Lab.ApplyAsync(await source.NextAsync());
            answers = Answers();
            Assert.Equal("a", answers.Kept);
            Assert.Contains(answers.Moved, (string[])["a", "b"]);
            Assert.DoesNotContain("b", answers.Gone, StringComparison.Ordinal);
            Assert.DoesNotContain("a", answers.Added, StringComparison.Ordinal);
        }

        (string, string, string, string) Answers() => (
            world.Ask(world.Client, kept, times: 1), world.Ask(world.Client, moved, times: 1),
            world.Ask(world.Client, gone, times: 1), world.Ask(world.Client, added, times: 1));
    }

    private static string ServiceJson(Service service) => $$$"""
        {"metadata":{"namespace":"shop","name":"{{{service.Metadata.Name}}}"},
         "spec":{"clusterIP":"{{{service.Spec.ClusterIP}}}","ports":[{"name":"tcp","port":80,"protocol":"TCP"}]}}
        """;

    private static string SliceJson(Service service, int pod) => $$$"""
        {"metadata":{"namespace":"shop","name":"{{{service.Metadata.Name}}}-1",
                     "labels":{"kubernetes.io/service-name":"{{{service.Metadata.Name}}}"}},
         "addressType":"IPv4","endpoints":[{"addresses":["{{{ServiceNode.PodAddress(pod)}}}"],"conditions":{"ready":true}}],
         "ports":[{"name":"tcp","port":8080,"protocol":"TCP"}]}
        """;

    private static void Echo(Socket client, Socket server)
    {
        byte[] buffer = new byte[1];
        client.ReceiveTimeout = 5000;
        server.ReceiveTimeout = 5000;
        client.Send([7]);
        Assert.Equal(1, server.Receive(buffer));
        server.Send(buffer);
        Assert.Equal(1, client.Receive(buffer));
    }
}
