// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

public sealed class PlannerTests
{
    private readonly MemoryMapStore _store = new();
    private Planner _planner = new();

    [Theory]
    [InlineData(1)]
    [InlineData(20_000)]
    public void EndpointReplaced_AmongAnyNumberOfServices_SameFewWrites(int services)
    {
        Run(_planner.Apply(Enumerable.Range(0, services).Select(TestServices.Make)));

        IReadOnlyList<MapWrite> writes = _planner.Apply([Serving(900_000, 1, 2, 3)]).Writes;

        Assert.Equal(
            [(ServiceMap.Backends, false), (ServiceMap.Slots, false), (ServiceMap.Backends, true)],
            writes.Where(IsNoMark).Select(write => (write.Map, write.IsDelete)));
    }

    [Fact]
    public void EndpointAdded_TwoFrontends_BackendSlotAndTwoCounts()
    {
        Run(_planner.Apply([TestServices.Make(0)]));

        IReadOnlyList<MapWrite> writes = _planner.Apply([Serving(0, 1, 2, 3, 4)]).Writes;

        Assert.Equal(
            [ServiceMap.Backends, ServiceMap.Slots, ServiceMap.Services, ServiceMap.Services], writes.Select(write => write.Map));
    }

    [Fact]
    public void EndpointRemovedInTheMiddle_LastOneTakesItsSlot()
    {
        Run(_planner.Apply([TestServices.Make(0)]));

        IReadOnlyList<MapWrite> writes = _planner.Apply([Serving(0, 2, 3)]).Writes;

        Assert.Equal(
            [
                (ServiceMap.Slots, false), (ServiceMap.Services, false), (ServiceMap.Services, false),
                (ServiceMap.Slots, true), (ServiceMap.Backends, true),
            ],
            writes.Select(write => (write.Map, write.IsDelete)));
        Assert.Equal(1u, writes[0].KeyAs<SlotKey>().Slot);
    }

    [Fact]
    public void SameServiceAgain_NoWrite()
    {
        Run(_planner.Apply([TestServices.Make(0)]));

        Assert.Empty(_planner.Apply([TestServices.Make(0)]).Writes);
    }

    [Fact]
    public void EndpointsReordered_NoWrite()
    {
        Run(_planner.Apply([TestServices.Make(0)]));

        Assert.Empty(_planner.Apply([Serving(3, 2, 1, 0)]).Writes);
    }

    [Fact]
    public void Restart_NothingChanged_NoWrite()
    {
        ServiceState[] services =
        [
            TestServices.Make(0),
            TestServices.Make(1).With(port => port with { AffinityTimeout = TimeSpan.FromHours(3) }),
            TestServices.Make(2).With(port => port with { Algorithm = SelectionAlgorithm.Maglev }),
            TestServices.Make(3).With(port => port with { SourceRanges = [new AddressRange(IpAddress.FromIpv4(0x0A00_0000), 8)] }),
            TestServices.Make(4, []),
        ];
        Run(_planner.Synchronize(services));

        _planner = Planner.Restore(_store.Read());

        Assert.Empty(_planner.Synchronize(services).Writes);
        Assert.Empty(_planner.Synchronize(services).Writes);
    }

    [Fact]
    public void Restart_AServiceGone_OnlyItsEntriesGoFrontendsFirst()
    {
        Run(_planner.Synchronize([TestServices.Make(0), TestServices.Make(1)]));

        _planner = Planner.Restore(_store.Read());
        IReadOnlyList<MapWrite> writes = _planner.Synchronize([TestServices.Make(1)]).Writes;

        Assert.All(writes, write => Assert.True(write.IsDelete));
        Assert.Equal(2 + 1 + 4 + 4, writes.Count);
        Assert.Equal([ServiceMap.Services, ServiceMap.Services], writes.Take(2).Select(write => write.Map));
    }

    [Fact]
    public void Restart_HighestBackendHadGone_ItsIdentifierIsNotUsedAgain()
    {
        Run(_planner.Synchronize([TestServices.Make(0)]));
        uint highest = _store.Content.Backends.Keys.Max();
        Run(_planner.Apply([], [TestServices.Make(0).Name]));

        _planner = Planner.Restore(_store.Read());
        Run(_planner.Synchronize([TestServices.Make(1)]));

        Assert.All(_store.Content.Backends.Keys, id => Assert.True(id > highest));
    }

    [Fact]
    public void Restored_FirstPlanOfSomeOnly_IsRefused() =>
        Assert.Throws<InvalidOperationException>(() => Planner.Restore(new MapContent()).Apply([]));

    [Fact]
    public void TwoServicesOneAddress_OlderHasIt_YoungerIsToldAndTakesOver()
    {
        ServiceState older = TestServices.Make(1);
        ServiceState younger = TestServices.Make(2).WithClusterIpOf(older);
        Run(_planner.Apply([younger]));
        Plan plan = _planner.Apply([older]);
        Run(plan);

        Problem problem = Assert.Single(_planner.ProblemsOf(younger.Name));
        Assert.Equal([younger.Name], plan.Reassessed);
        Assert.Equal("Service shop/s2", problem.Subject);
        Assert.Equal("spec.clusterIPs", problem.Field);
        Assert.Contains("10.96.0.1:80/TCP", problem.Message, StringComparison.Ordinal);
        Assert.Contains("shop/s1", problem.Message, StringComparison.Ordinal);
        Assert.Empty(_planner.ProblemsOf(older.Name));
        new ExpectedTable([older, younger]).AssertEqual(_store.Content);

        plan = _planner.Apply([], [older.Name]);
        Run(plan);
        Assert.Empty(_planner.ProblemsOf(younger.Name));
        Assert.Equal([younger.Name], plan.Reassessed);
        new ExpectedTable([younger]).AssertEqual(_store.Content);
    }

    [Fact]
    public void FrontendMovedWhileAway_OtherServiceDoesNotGoOnWithItsIdentifier()
    {
        ServiceState first = TestServices.Make(1);
        Run(_planner.Synchronize([first]));
        uint id = _store.Content.Services.Values.First().Service;

        // The address went over to another service; the node port stayed.
        ServiceState second = TestServices.Make(2).WithClusterIpOf(first);
        first = first.WithClusterIpOf(TestServices.Make(3));
        _planner = Planner.Restore(_store.Read());
        Run(_planner.Synchronize([first, second]));

        Assert.DoesNotContain(_store.Content.Services.Values, value => value.Service == id);
        new ExpectedTable([first, second]).AssertEqual(_store.Content);
    }

    [Theory]
    [InlineData(ServiceMap.Services, 4)]
    [InlineData(ServiceMap.Slots, 3 + 8)]
    [InlineData(ServiceMap.Backends, 8)]
    [InlineData(ServiceMap.ServiceCounts, 2)]
    public void MapFull_ThirdServiceWaits_OthersGoOn_ServedWhenOneGoes(ServiceMap map, int capacity)
    {
        _store.Capacities[map] = capacity;
        _planner = new Planner(new PlannerOptions { Capacities = new MapCapacities(_store.CapacityOf) });

        Plan plan = _planner.Apply([TestServices.Make(0), TestServices.Make(1), TestServices.Make(2)]);
        Run(plan);

        ObjectName waiting = TestServices.Make(2).Name;
        Problem problem = Assert.Single(_planner.ProblemsOf(waiting));
        string name = ServiceMaps.NameOf(map);
        Assert.Contains($"the map '{name}' is full: it holds {capacity} entries", problem.Message, StringComparison.Ordinal);
        Assert.Contains(ServiceMaps.SettingOf(map), problem.Message, StringComparison.Ordinal);
        Assert.Equal([waiting], plan.Reassessed);
        new ExpectedTable([TestServices.Make(0), TestServices.Make(1)]).AssertEqual(_store.Content);

        plan = _planner.Apply([], [TestServices.Make(0).Name]);
        Run(plan);
        Assert.Empty(_planner.ProblemsOf(waiting));
        Assert.Equal([waiting], plan.Reassessed);
        new ExpectedTable([TestServices.Make(1), TestServices.Make(2)]).AssertEqual(_store.Content);
    }

    [Fact]
    public void MapFull_ServiceGrowsAndLosesOne_LostOneGoesNewOnesWait()
    {
        _store.Capacities[ServiceMap.Backends] = 4;
        _planner = new Planner(new PlannerOptions { Capacities = new MapCapacities(_store.CapacityOf) });
        Run(_planner.Apply([TestServices.Make(0)]));

        Run(_planner.Apply([Serving(1, 2, 3, 4, 5)]));

        Assert.Single(_planner.ProblemsOf(TestServices.Make(0).Name));
        new ExpectedTable([Serving(1, 2, 3)]).AssertEqual(_store.Content);
    }

    [Fact]
    public void ForwardWithoutBackends_IsRejected()
    {
        Run(_planner.Apply([TestServices.Make(0, [])]));

        Assert.All(_store.Content.Services.Values, value => Assert.Equal(ServiceViewAction.Reject, value.Pod.Action));
    }

    private static ServiceState Serving(params int[] endpoints) =>
        TestServices.Make(0, [.. endpoints.Select(TestServices.Endpoint)]);

    private static bool IsNoMark(MapWrite write) => write.Map != ServiceMap.Slots || write.KeyAs<SlotKey>().Set != 0;

    private void Run(Plan plan) => new MapWriter(_store).Execute(plan.Writes);
}
