// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

public sealed class PlannerModelTests
{
    private static readonly PlannerOptions s_options = new() { MaglevSize = 251 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void RandomChanges_Each_MapsMeanTheServicesAfterItAndAreWholeWithin(int seed)
    {
        var services = new RandomServices(seed);
        var planner = new Planner(s_options);
        var checker = new WriteChecker(new MemoryMapStore());
        var before = new ExpectedTable([]);
        for (int change = 0; change < 25_000; change++)
        {
            services.Change(out List<ServiceState> applied, out List<ObjectName> removed);
            var after = new ExpectedTable(services.All);
            checker.Execute(planner.Apply(applied, removed).Writes, before, after);
            after.AssertEqual(checker.Store.Content);
            before = after;
        }

        Plan again = planner.Synchronize(services.All);
        Assert.Empty(again.Writes);
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void Crash_AfterAnyWrite_RestartConvergesAndIsWholeWithin(int seed)
    {
        var random = new Random(seed);
        var services = new RandomServices(seed);
        var store = new MemoryMapStore();
        var worlds = new List<ExpectedTable> { new([]) };
        for (int crash = 0; crash < 2_000; crash++)
        {
            // A restart that is itself cut short at times, after the world went on while nobody looked.
            var planner = Planner.Restore(store.Read(), s_options);
            var checker = new WriteChecker(store);
            worlds.Add(new ExpectedTable(services.All));
            IReadOnlyList<MapWrite> writes = planner.Synchronize(services.All).Writes;
            bool isCut = random.Next(3) == 0;
            checker.Execute(writes.Take(isCut ? random.Next(writes.Count + 1) : writes.Count), [.. worlds]);
            if (!isCut)
            {
                worlds[^1].AssertEqual(store.Content);
                worlds.RemoveRange(0, worlds.Count - 1);
                RunAndCrash(random, services, planner, checker, worlds);
            }

            for (int unseen = random.Next(3); unseen > 0; unseen--)
            {
                services.Change(out _, out _);
            }
        }
    }

    private static void RunAndCrash(
        Random random, RandomServices services, Planner planner, WriteChecker checker, List<ExpectedTable> worlds)
    {
        for (int change = random.Next(3); change >= 0; change--)
        {
            services.Change(out List<ServiceState> applied, out List<ObjectName> removed);
            worlds.Add(new ExpectedTable(services.All));
            IReadOnlyList<MapWrite> writes = planner.Apply(applied, removed).Writes;
            int executed = change > 0 ? writes.Count : random.Next(writes.Count + 1);
            checker.Execute(writes.Take(executed), [.. worlds]);
        }
    }
}
