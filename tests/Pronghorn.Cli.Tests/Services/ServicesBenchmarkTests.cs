// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Cli.Benchmarks.Services;
using Xunit;

namespace Pronghorn.Cli.Tests.Services;

/// <summary>The whole benchmark, as small as it can be: that every way serves what is measured, not how fast.</summary>
public sealed class ServicesBenchmarkTests
{
    [Fact]
    public void SmallCluster_Measured_HasEveryMetricOfEveryWay()
    {
        ServiceResults results = ServicesBenchmark.Run(new ServicesBenchmarkOptions
        {
            Services = [1],
            Endpoints = 2,
            Ways = ServicesBenchmarkOptions.AllWays,
            Parts = ServicesBenchmarkOptions.AllParts,
            Rounds = 1,
            Seconds = 0.1,
            FewPositions = true,
            LoadLimit = TimeSpan.FromMinutes(2),
        });

        Assert.Empty(results.Failures);
        IReadOnlyList<ServiceRow> rows = results.ToRows();
        foreach (string way in ServicesBenchmarkOptions.AllWays.Where(way => way != ServiceWay.NoRules))
        {
            Assert.Equal(
                [
                    "change_visible", "change_write", "connections_direct", "connections_direct_cpu", "connections_node",
                    "connections_node_cpu", "connections_pod", "connections_pod_cpu", "kernel_memory", "load", "packets_established",
                    "packets_new", "requests", "requests_cpu",
                ],
                rows.Where(row => row.Way == way).Select(row => row.Metric).Order(StringComparer.Ordinal));
        }

        Assert.Contains(rows, row => row.Way == ServiceWay.NoRules && row.Metric == "generator_ceiling");
        Assert.All(rows.Where(row => row.Metric is "connections_pod" or "packets_established"), row => Assert.True(row.Value > 0));
    }
}
