// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.LoadBalancer.Tests.Planning;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Maps;

/// <summary>The maps of the socket programs in the kernel, with nothing attached.</summary>
public sealed class BpfMapStoreTests : IDisposable
{
    private static readonly MapSizes s_sizes = new() { Services = 100, Backends = 5000, MaglevSize = 251 };
    private static readonly PlannerOptions s_options = new() { MaglevSize = 251 };

    private readonly string _root = Directory.CreateTempSubdirectory("pronghorn-store-").FullName;
    private readonly PinLayout _pins;
    private readonly BpfMapStore _store;

    public BpfMapStoreTests()
    {
        _pins = new PinLayout("test", _root);
        _pins.Create();
        using BpfObject opened = BpfObject.OpenResource(typeof(SocketLayer).Assembly, "service_socket.bpf.o", _pins.Folder);
        s_sizes.ApplyTo(opened);
        opened.Load();
        _store = new BpfMapStore(_pins, 251);
    }

    public void Dispose()
    {
        _store.Dispose();
        _pins.Remove();
        LabCommand.TryRun("umount", _root);
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public void RandomServices_Written_ReadBackTheSameAndRestartWritesNothing()
    {
        var services = new RandomServices(5);
        var planner = new Planner(s_options);
        for (int change = 0; change < 300; change++)
        {
            services.Change(out List<ServiceState> applied, out List<ObjectName> removed);
            new MapWriter(_store).Execute(planner.Apply(applied, removed).Writes);
            if (change % 50 == 0)
            {
                new ExpectedTable(services.All).AssertEqual(_store.Read());
            }
        }

        ServiceState[] some =
        [
            TestServices.Make(1).With(port => port with { Algorithm = SelectionAlgorithm.Maglev }),
            TestServices.Make(2).With(port => port with { AffinityTimeout = TimeSpan.FromMinutes(1) }),
            TestServices.Make(3).With(port => port with { SourceRanges = [new AddressRange(IpAddress.FromIpv4(0x0A00_0000), 8)] }),
        ];
        new MapWriter(_store).Execute(Planner.Restore(_store.Read(), s_options).Synchronize(some).Writes);
        new ExpectedTable(some).AssertEqual(_store.Read());
        Assert.Empty(Planner.Restore(_store.Read(), s_options).Synchronize(some).Writes);
    }

    [Fact]
    public void NodeFacts_Written_ReadBackTheSame()
    {
        var facts = new NodeFacts
        {
            Name = "node-1",
            Addresses = [IpAddress.Parse("192.168.0.2")],
            PrimaryAddresses = [IpAddress.Parse("192.168.0.2")],
            PodRanges = [new AddressRange(IpAddress.Parse("10.244.0.0"), 16)],
        };
        new MapWriter(_store).Execute(new NodePlanner(_store.Read(), 7, 251, new ConnectionSettings()).Apply(facts));

        Assert.Empty(new NodePlanner(_store.Read(), 7, 251, new ConnectionSettings()).Apply(facts));
    }

    [Fact]
    public void ThousandsOfEndpoints_OneCallForEachMap()
    {
        var writer = new MapWriter(_store);
        writer.Execute(new Planner(s_options).Apply(
            [TestServices.Make(1, [.. Enumerable.Range(0, 1000).Select(TestServices.Endpoint)])]).Writes);

        Assert.InRange(writer.Writes, 2003, 2010);
        Assert.InRange(writer.Calls, 4, 8);
        Assert.Equal(1000, _store.Read().Backends.Count);
    }

    [Fact]
    public void MapFull_WriterSaysWhichAndTheSetting()
    {
        IEnumerable<MapWrite> writes = Enumerable.Range(0, 101).Select(number => MapWrite.Put(
            ServiceMap.Services, new ServiceKey { Port = (ushort)number }, default(ServiceValue)));

        MapWriteException failure = Assert.Throws<MapWriteException>(() => new MapWriter(_store).Execute([.. writes]));

        Assert.Equal(100, failure.Executed);
        Assert.Contains("raise maps.services", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DeleteOfWhatIsNotThere_IsDone()
    {
        MapWrite[] writes = [.. Enumerable.Range(1, 3).Select(id => MapWrite.Delete(ServiceMap.Backends, (uint)id))];

        new MapWriter(_store).Execute(writes);

        Assert.Empty(_store.Read().Backends);
    }
}
