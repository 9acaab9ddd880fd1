// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>How a worker asks for moves.</summary>
internal enum MovesWay
{
    /// <summary>One after the other.</summary>
    One,

    /// <summary>All that it has in a batch.</summary>
    Batch,

    /// <summary>No worker asks, and no daemon moves: the system calls alone.</summary>
    Kernel,
}

/// <summary>What <c>bench moves</c> measures.</summary>
internal sealed record MovesBenchmarkOptions
{
    /// <summary>Connections that are moved.</summary>
    public required int Connections { get; init; }

    /// <summary>Measured rounds.</summary>
    public required int Rounds { get; init; }

    /// <summary>Seconds of one run.</summary>
    public required double Seconds { get; init; }
}

/// <summary>One line of the result: medians of one way.</summary>
internal sealed record MovesRow
{
    /// <summary>Connections that are moved, again and again.</summary>
    [JsonPropertyName("connections")]
    public required int Connections { get; init; }

    /// <summary>one, batch or kernel.</summary>
    [JsonPropertyName("way")]
    public required string Way { get; init; }

    /// <summary>Moves in a second.</summary>
    [JsonPropertyName("moves_s")]
    public required double MovesPerSecond { get; init; }

    /// <summary>How long a connection's packets were held: half of them up to this.</summary>
    [JsonPropertyName("freeze_p50_us")]
    public required double FreezeP50Microseconds { get; init; }

    /// <summary>99 of 100 up to this.</summary>
    [JsonPropertyName("freeze_p99_us")]
    public required double FreezeP99Microseconds { get; init; }

    /// <summary>CPU time of both daemons, and of receiving that interrupts them, for a move.</summary>
    [JsonPropertyName("cpu_us_per_move")]
    public required double CpuMicrosecondsPerMove { get; init; }
}
