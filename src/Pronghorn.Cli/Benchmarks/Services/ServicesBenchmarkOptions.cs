// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>What "bench services" measures.</summary>
internal sealed record ServicesBenchmarkOptions
{
    internal const string Connections = "connections";
    internal const string Changes = "changes";
    internal const string Packets = "packets";

    /// <summary>All parts.</summary>
    internal static readonly IReadOnlyList<string> AllParts = [Connections, Changes, Packets];

    /// <summary>All ways, Pronghorn first.</summary>
    internal static readonly IReadOnlyList<string> AllWays =
        [ServiceWay.Pronghorn, ServiceWay.IptablesLegacy, ServiceWay.IptablesNft, ServiceWay.Nftables, ServiceWay.NoRules];

    /// <summary>Numbers of services.</summary>
    internal required IReadOnlyList<int> Services { get; init; }

    /// <summary>Endpoints of each service.</summary>
    internal required int Endpoints { get; init; }

    /// <summary>Ports of each service.</summary>
    internal int Ports { get; init; } = 1;

    /// <summary>Which ways.</summary>
    internal required IReadOnlyList<string> Ways { get; init; }

    /// <summary>Which parts.</summary>
    internal required IReadOnlyList<string> Parts { get; init; }

    /// <summary>Measured rounds.</summary>
    internal required int Rounds { get; init; }

    /// <summary>Length of one run in seconds.</summary>
    internal required double Seconds { get; init; }

    /// <summary>Whether only the first and the last position are measured.</summary>
    internal required bool FewPositions { get; init; }

    /// <summary>A way whose services are not set up in this time is left out.</summary>
    internal required TimeSpan LoadLimit { get; init; }

    /// <summary>The positions to measure.</summary>
    internal IReadOnlyList<string> Positions(int services)
    {
        IReadOnlyList<string> all = ServicePositions.For(services);
        return FewPositions && all.Count > 1 ? [ServicePositions.First, ServicePositions.Last] : all;
    }
}
