// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Which services a measurement goes to: eight in a row, by where their rules are among all rules.</summary>
internal static class ServicePositions
{
    /// <summary>Targets of one measurement.</summary>
    internal const int TargetCount = 8;

    internal const string First = "first";
    internal const string Middle = "middle";
    internal const string Last = "last";
    internal const string Random = "random";

    /// <summary>No service is involved.</summary>
    internal const string None = "-";

    private const int Seed = 20170329;

    /// <summary>The positions that differ with that many services.</summary>
    internal static IReadOnlyList<string> For(int services) =>
        services >= 4 * TargetCount ? [First, Middle, Last, Random] : [First];

    /// <summary>Numbers of the services at a position, from 0.</summary>
    internal static IReadOnlyList<int> Targets(int services, string position)
    {
        int count = Math.Min(TargetCount, services);
        return position switch
        {
            First => [.. Enumerable.Range(0, count)],
            Middle => [.. Enumerable.Range((services - count) / 2, count)],
            Last => [.. Enumerable.Range(services - count, count)],
            Random => Scatter(services, count),
            _ => throw new ArgumentOutOfRangeException(nameof(position), position, "not a position"),
        };
    }

    /// <summary>The same ones each time, so that two runs measure the same.</summary>
    private static int[] Scatter(int services, int count)
    {
#pragma warning disable CA5394 // Not a secret: what matters is that it is the same each time.
        var random = new Random(Seed);
        HashSet<int> chosen = [];
        while (chosen.Count < count)
        {
            chosen.Add(random.Next(services));
        }
#pragma warning restore CA5394

        return [.. chosen];
    }
}
