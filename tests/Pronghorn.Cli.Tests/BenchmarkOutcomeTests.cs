// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using System.Text.Json;
using Pronghorn.Cli.Benchmarks;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class BenchmarkOutcomeTests
{
    private static readonly RedisWorkload s_workload = new("GET", 50, 1, 3);

    [Theory]
    [InlineData(new double[] { 3 }, 3)]
    [InlineData(new double[] { 9, 1, 5 }, 5)]
    [InlineData(new double[] { 4, 1, 3, 100 }, 3.5)]
    public void Values_Median_IsTheMiddle(double[] values, double expected) =>
        Assert.Equal(expected, BenchmarkOutcome.Median(values));

    [Fact]
    public void KernelMeasured_OtherWayAdded_CarriesTheRatioOfMedians()
    {
        BenchmarkOutcome outcome = new();
        outcome.Add(s_workload, BenchmarkWay.Kernel, [Run(90), Run(100), Run(500)]);
        outcome.Add(s_workload, BenchmarkWay.Both, [Run(250)]);

        Assert.Equal([1.0, 2.5], outcome.Records.Select(record => record.Ratio!.Value));
    }

    [Fact]
    public void OtherWorkloadOnKernel_WayAdded_HasNoRatio()
    {
        BenchmarkOutcome outcome = new();
        outcome.Add(s_workload with { Clients = 1 }, BenchmarkWay.Kernel, [Run(100)]);
        outcome.Add(s_workload, BenchmarkWay.Server, [Run(250)]);

        Assert.Null(outcome.Records[1].Ratio);
    }

    [Fact]
    public void Records_Serialised_AreOneArrayWithTheDocumentedNames()
    {
        BenchmarkOutcome outcome = new();
        outcome.Add(s_workload, BenchmarkWay.Kernel, [Run(100)]);

        using JsonDocument document = JsonDocument.Parse(BenchmarkReport.ToJson(outcome.Records));

        Assert.Equal(
            ["workload", "clients", "pipeline", "size", "way", "rps", "p50_us", "p99_us", "cpu_s_per_mreq", "ratio"],
            document.RootElement[0].EnumerateObject().Select(property => property.Name));
    }

    [Fact]
    public void FullMatrix_Listed_HasEveryCombinationOnce()
    {
        Assert.Equal(32, RedisWorkload.Full.Count);
        Assert.Equal(32, RedisWorkload.Full.Distinct().Count());
        Assert.All(RedisWorkload.Quick, quick => Assert.Contains(quick, RedisWorkload.Full));
    }

    private static RedisRun Run(double rate) => new(rate, 1, 2, 100, new ProcessorUse(1, [1, 1]));
}
