// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using Pronghorn.Cli.Benchmarks.Services;
using Xunit;

namespace Pronghorn.Cli.Tests.Services;

public sealed class ServiceResultsTests
{
    [Fact]
    public void Rates_OfABaseline_AreComparedByMedians()
    {
        var results = new ServiceResults();
        foreach (double value in (double[])[90, 100, 5000])
        {
            results.Add(ServiceMetric.Requests, 1000, "last", ServiceWay.IptablesNft, value);
        }

        results.Add(ServiceMetric.Requests, 1000, "last", ServiceWay.Pronghorn, 250);

        Assert.Equal([2.5, null], results.ToRows().Select(row => row.Ratio));
    }

    [Fact]
    public void Times_OfABaseline_CountTheOtherWayRound()
    {
        var results = new ServiceResults();
        results.Add(ServiceMetric.ChangeVisible, 1000, "-", ServiceWay.Pronghorn, 2);
        results.Add(ServiceMetric.ChangeVisible, 1000, "-", ServiceWay.Nftables, 50);

        Assert.Equal(25, results.ToRows()[1].Ratio);
    }

    [Fact]
    public void OursWithMoreServices_IsComparedWithOursWithTheFewest()
    {
        var results = new ServiceResults();
        results.Add(ServiceMetric.ConnectionsPod, 1, "first", ServiceWay.Pronghorn, 200);
        results.Add(ServiceMetric.ConnectionsPod, 1000, "last", ServiceWay.Pronghorn, 190);

        results.Add(ServiceMetric.ConnectionsPod, 1, "other", ServiceWay.Pronghorn, 180);

        Assert.Equal([null, 0.95, null], results.ToRows().Select(row => row.Ratio));
    }

    [Fact]
    public void Rows_AsJson_HaveTheSevenFields()
    {
        var results = new ServiceResults();
        results.Add(ServiceMetric.ConnectionsPod, 10_000, "last", ServiceWay.Pronghorn, 24_000.04);
        results.Add(ServiceMetric.ConnectionsPod, 10_000, "last", ServiceWay.IptablesLegacy, 6000);

        using JsonDocument document = JsonDocument.Parse(ServiceReport.ToJson(results.ToRows()));
        JsonElement row = document.RootElement[1];
        Assert.Equal(
            ["metric", "services", "position", "way", "value", "unit", "ratio"],
            row.EnumerateObject().Select(property => property.Name));
        Assert.Equal("connections_pod", row.GetProperty("metric").GetString());
        Assert.Equal(10_000, row.GetProperty("services").GetInt32());
        Assert.Equal("iptables-legacy", row.GetProperty("way").GetString());
        Assert.Equal(4, row.GetProperty("ratio").GetDouble());
        Assert.Equal(JsonValueKind.Null, document.RootElement[0].GetProperty("ratio").ValueKind);
    }

    [Fact]
    public void TrafficLine_Read_GivesRates()
    {
        TrafficRun run = TrafficRun.Parse("5000 3 0.500000 41.0 97.5\n", cpuSeconds: 0.75);

        Assert.Equal(10_000, run.Rate);
        Assert.Equal(3, run.Failures);
        Assert.Equal(150, run.CpuSecondsPerMillion);
        Assert.Throws<CommandException>(() => TrafficRun.Parse("Segmentation fault", 0));
    }
}
