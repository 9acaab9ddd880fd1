// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>One line of a benchmark's result: the medians of one workload, one way.</summary>
internal sealed record BenchmarkRecord
{
    /// <summary>The redis command.</summary>
    [JsonPropertyName("workload")]
    public required string Workload { get; init; }

    /// <summary>Connections in parallel.</summary>
    [JsonPropertyName("clients")]
    public required int Clients { get; init; }

    /// <summary>Requests in flight on a connection.</summary>
    [JsonPropertyName("pipeline")]
    public required int Pipeline { get; init; }

    /// <summary>Bytes of value.</summary>
    [JsonPropertyName("size")]
    public required int Size { get; init; }

    /// <summary>"kernel", "server" or "both".</summary>
    [JsonPropertyName("way")]
    public required string Way { get; init; }

    /// <summary>Requests per second.</summary>
    [JsonPropertyName("rps")]
    public required double RequestsPerSecond { get; init; }

    /// <summary>Median latency in microseconds.</summary>
    [JsonPropertyName("p50_us")]
    public required double P50Microseconds { get; init; }

    /// <summary>99th percentile of latency in microseconds.</summary>
    [JsonPropertyName("p99_us")]
    public required double P99Microseconds { get; init; }

    /// <summary>CPU seconds of the whole machine for a million requests.</summary>
    [JsonPropertyName("cpu_s_per_mreq")]
    public required double CpuSecondsPerMillion { get; init; }

    /// <summary>Requests per second over the kernel's; null where the kernel did not run.</summary>
    [JsonPropertyName("ratio")]
    public required double? Ratio { get; init; }

    /// <summary>Part of the time that the client's CPU was busy, 0 to 1; for people, to see which end is the limit.</summary>
    [JsonIgnore]
    public double ClientCpuShare { get; init; }

    /// <summary>Part of the time that the server's CPU was busy, 0 to 1.</summary>
    [JsonIgnore]
    public double ServerCpuShare { get; init; }
}
