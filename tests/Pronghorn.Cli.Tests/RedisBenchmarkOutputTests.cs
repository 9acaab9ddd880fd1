// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Cli.Benchmarks;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class RedisBenchmarkOutputTests
{
    private const string Header =
        "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\","
        + "\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n";

    private static readonly ProcessorUse s_use = new(1.5, [0.9, 0.6]);

    [Fact]
    public void RowPresent_Parsed_GivesRateAndMicroseconds()
    {
        string text = Header + "\"GET\",\"54054.05\",\"0.060\",\"0.016\",\"0.055\",\"0.119\",\"0.159\",\"0.343\"\n";

        RedisRun run = RedisBenchmarkOutput.Parse(text, "GET", 300_000, s_use);

        Assert.Equal(54054.05, run.RequestsPerSecond);
        Assert.Equal(55, run.P50Microseconds, 6);
        Assert.Equal(159, run.P99Microseconds, 6);
        Assert.Equal(5.0, run.CpuSecondsPerMillion, 6);
    }

    [Fact]
    public void ColumnsInAnotherOrder_Parsed_AreFoundByName()
    {
        string text = "\"test\",\"p99_latency_ms\",\"p50_latency_ms\",\"rps\"\n\"SET\",\"3\",\"2\",\"1\"\n";

        RedisRun run = RedisBenchmarkOutput.Parse(text, "SET", 1, s_use);

        Assert.Equal((1.0, 2000.0, 3000.0), (run.RequestsPerSecond, run.P50Microseconds, run.P99Microseconds));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Could not connect to Redis at 10.0.0.2:6379: Connection refused\n")]
    [InlineData("\"test\",\"rps\",\"p50_latency_ms\",\"p99_latency_ms\"\n\"GET\",\"x\",\"1\",\"1\"\n")]
    [InlineData("\"test\",\"rps\"\n\"GET\",\"1\"\n")]
    public void NoUsableRow_Parsed_IsAnError(string text) =>
        Assert.Throws<FormatException>(() => RedisBenchmarkOutput.Parse(text, "GET", 1, s_use));
}
