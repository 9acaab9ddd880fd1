// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Lab.Cdn.Servers;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>What <c>bench handoff</c> measures.</summary>
internal sealed record HandoffBenchmarkOptions
{
    /// <summary>Numbers of edge servers.</summary>
    public required IReadOnlyList<int> Servers { get; init; }

    /// <summary>Measured rounds.</summary>
    public required int Rounds { get; init; }

    /// <summary>Seconds of one run.</summary>
    public required double Seconds { get; init; }

    /// <summary>Clients' connections at a time.</summary>
    public required int Connections { get; init; }

    /// <summary>Requests of a connection.</summary>
    public required int Requests { get; init; }

    /// <summary>Bytes of a file.</summary>
    public required int Size { get; init; }

    /// <summary>Of 100 requests on a connection, how many are for another file than the one before.</summary>
    public required int SwitchPercent { get; init; }

    /// <summary>The ways, in the order of each round.</summary>
    public IReadOnlyList<LasWay> Ways { get; } = [LasWay.Relay, LasWay.Splice, LasWay.Handoff];
}
