// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>One line of the result: medians of one way with one number of edge servers.</summary>
internal sealed record HandoffRow
{
    /// <summary>Edge servers.</summary>
    [JsonPropertyName("servers")]
    public required int Servers { get; init; }

    /// <summary>relay, splice or handoff.</summary>
    [JsonPropertyName("way")]
    public required string Way { get; init; }

    /// <summary>What clients got, Gbit/s.</summary>
    [JsonPropertyName("gbit_s")]
    public required double GigabitsPerSecond { get; init; }

    /// <summary>CPU seconds of all edges, their handoff daemons included, for 10^9 bytes that clients got.</summary>
    [JsonPropertyName("cpu_s_per_gb")]
    public required double CpuSecondsPerGigabyte { get; init; }

    /// <summary>Bytes from edge to edge, both directions and headers included, for each byte that clients got.</summary>
    [JsonPropertyName("between_servers_per_byte")]
    public required double BetweenServersPerByte { get; init; }

    /// <summary>How long a moving connection's packets were held: the daemons' histograms, upper end of the median's interval.</summary>
    [JsonPropertyName("freeze_p50_us")]
    public required double? FreezeP50Microseconds { get; init; }

    /// <summary>Of the longest time without a byte within each request, its first byte's included: 99 of 100 are shorter, ms.</summary>
    [JsonPropertyName("stall_p99_ms")]
    public required double StallP99Milliseconds { get; init; }

    /// <summary>How many times less CPU the edges need than with plain relaying.</summary>
    [JsonPropertyName("ratio")]
    public required double Ratio { get; init; }

    /// <summary>Busy time of the edges' CPU by /proc/stat for 10^9 bytes, whoever worked there.</summary>
    [JsonIgnore]
    public required double EdgeProcessorSecondsPerGigabyte { get; init; }

    /// <summary>Busy time of the whole machine for 10^9 bytes.</summary>
    [JsonIgnore]
    public required double MachineSecondsPerGigabyte { get; init; }

    /// <summary>Connections given to another edge for 10^9 bytes.</summary>
    [JsonIgnore]
    public required double MovesPerGigabyte { get; init; }
}
