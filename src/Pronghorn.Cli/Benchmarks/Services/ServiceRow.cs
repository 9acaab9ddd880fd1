// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>One line of the result: the median of one measurement, one way.</summary>
internal sealed record ServiceRow
{
    /// <summary>What was measured; see <see cref="ServiceMetric"/>.</summary>
    [JsonPropertyName("metric")]
    public required string Metric { get; init; }

    /// <summary>Services on the node.</summary>
    [JsonPropertyName("services")]
    public required int Services { get; init; }

    /// <summary>Where the targets' rules are among all: first, middle, last, random; "-" where no service is involved.</summary>
    [JsonPropertyName("position")]
    public required string Position { get; init; }

    /// <summary>pronghorn, iptables-legacy, iptables-nft, nftables or none.</summary>
    [JsonPropertyName("way")]
    public required string Way { get; init; }

    /// <summary>Median of the rounds.</summary>
    [JsonPropertyName("value")]
    public required double Value { get; init; }

    /// <summary>Its unit.</summary>
    [JsonPropertyName("unit")]
    public required string Unit { get; init; }

    /// <summary>
    /// How many times better Pronghorn is; on Pronghorn's own lines, how many times better it is than with the fewest services measured.
    /// Null where there is nothing to compare with.
    /// </summary>
    [JsonPropertyName("ratio")]
    public required double? Ratio { get; init; }
}
