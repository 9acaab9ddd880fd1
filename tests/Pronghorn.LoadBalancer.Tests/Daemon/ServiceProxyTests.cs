// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.LoadBalancer.Tests.Planning;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Daemon;

public sealed class ServiceProxyTests : IProblemSink
{
    private readonly MemoryMapStore _store = new();
    private readonly List<Problem> _problems = [];

    void IProblemSink.Report(Problem problem) => _problems.Add(problem);

    [Fact]
    public async Task OnlyServicesListed_NothingWrittenYet()
    {
        ServiceProxy proxy = await RunAsync(new ServicesListed([MakeService("a", 1)]));

        Assert.False(proxy.Synchronized.IsCompleted);
        Assert.Empty(_store.Content.Services);
    }

    [Fact]
    public async Task BothListed_ServiceWithItsEndpointIsInTheMaps()
    {
        ServiceProxy proxy = await RunAsync(
            new ServicesListed([MakeService("a", 1)]), new EndpointSlicesListed([MakeSlice("a", "10.244.0.1")]));

        Assert.True(proxy.Synchronized.IsCompletedSuccessfully);
        (ServiceKey key, ServiceValue value) = Assert.Single(_store.Content.Services);
        Assert.Equal("10.96.0.1", key.Address.Value.ToString());
        Assert.Equal(1u, value.Pod.Count);
        Assert.Equal("10.244.0.1", Assert.Single(_store.Content.Backends.Values).Address.Value.ToString());
    }

    [Fact]
    public async Task Restart_ServiceWentMeanwhile_ItIsPruned()
    {
        await RunAsync(
            new ServicesListed([MakeService("a", 1), MakeService("b", 2)]),
            new EndpointSlicesListed([MakeSlice("a", "10.244.0.1")]));
        await RunAsync(new ServicesListed([MakeService("b", 2)]), new EndpointSlicesListed([]));

        Assert.Equal("10.96.0.2", Assert.Single(_store.Content.Services).Key.Address.Value.ToString());
        Assert.Empty(_store.Content.Backends);
    }

    [Fact]
    public async Task NodeObjectTellsPodRange_ItIsWritten_OtherNodesAreNot()
    {
        Node node = new() { Metadata = new Metadata { Name = "node-1" }, Spec = new NodeSpec { PodCIDRs = ["10.244.1.0/24"] } };
        Node other = new() { Metadata = new Metadata { Name = "node-2" }, Spec = new NodeSpec { PodCIDRs = ["10.244.2.0/24"] } };
        await RunAsync(new ServicesListed([]), new EndpointSlicesListed([]), new NodeApplied(node), new NodeApplied(other));

        Assert.Equal(IpAddress.Parse("10.244.1.0"), Assert.Single(_store.Content.PodRanges).Address.Value);
    }

    [Fact]
    public async Task HostAddressComesAndGoes_NodeAddressesFollow()
    {
        IpAddress first = IpAddress.Parse("192.168.0.2");
        IpAddress second = IpAddress.Parse("192.168.0.3");
        await RunAsync(
            new ServicesListed([]), new EndpointSlicesListed([]), new HostChanged([first], [first]), new HostChanged([second], [second]));

        Assert.Contains((NetworkAddress)second, _store.Content.NodeAddresses.Keys);
        Assert.DoesNotContain((NetworkAddress)first, _store.Content.NodeAddresses.Keys);
        Assert.Equal(second, _store.Content.Settings.NodeIpv4.Value);
    }

    [Fact]
    public async Task TwoServicesOneAddress_ProblemIsToldOnce()
    {
        await RunAsync(
            new ServicesListed([MakeService("a", 1), MakeService("b", 1)]),
            new EndpointSlicesListed([]),
            new EndpointSliceApplied(MakeSlice("b", "10.244.0.1")),
            new EndpointSliceApplied(MakeSlice("b", "10.244.0.2")));

        Problem problem = Assert.Single(_problems);
        Assert.Equal("Service shop/b", problem.Subject);
    }

    [Fact]
    public async Task WriteRefused_MapsAreReadAndMadeRight()
    {
        _store.Refusals = MapWriter.MostWaits + 1;
        ServiceProxy proxy = await RunAsync(
            new ServicesListed([MakeService("a", 1)]), new EndpointSlicesListed([MakeSlice("a", "10.244.0.1")]));

        Assert.True(proxy.Synchronized.IsCompletedSuccessfully);
        Assert.Single(_store.Content.Services);
        Assert.Contains("ENOMEM", Assert.Single(_problems).Message, StringComparison.Ordinal);
    }

    /// <summary>Runs a proxy over changes, each in a batch of its own as far as it gets to it, until there are no more.</summary>
    private async Task<ServiceProxy> RunAsync(params ClusterChange[] changes)
    {
        var proxy = new ServiceProxy(_store, new ServiceProxyOptions { Node = new NodeFacts { Name = "node-1" }, MaglevSize = 251 }, this);
        Channel<ClusterChange> channel = Channel.CreateUnbounded<ClusterChange>();
        foreach (ClusterChange change in changes)
        {
            channel.Writer.TryWrite(change);
        }

        channel.Writer.Complete();
        await proxy.RunAsync(channel.Reader, CancellationToken.None);
        return proxy;
    }

    private static Service MakeService(string name, int number) => new()
    {
        Metadata = new Metadata { Namespace = "shop", Name = name },
        Spec = new ServiceSpec { ClusterIP = $"10.96.0.{number}", Ports = [new ServicePort { Name = "http", Port = 80 }] },
    };

    private static EndpointSlice MakeSlice(string service, string address) => new()
    {
        Metadata = new Metadata
        {
            Namespace = "shop",
            Name = service + "-1",
            Labels = new Dictionary<string, string> { [EndpointSlice.ServiceNameLabel] = service },
        },
        AddressType = "IPv4",
        Endpoints = [new Endpoint { Addresses = [address] }],
        Ports = [new EndpointPort { Name = "http", Port = 8080 }],
    };
}
