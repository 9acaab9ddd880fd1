// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Which ends of the connection run on Pronghorn.</summary>
internal enum BenchmarkWay
{
    /// <summary>Both ends on the kernel's stack: the yardstick.</summary>
    Kernel,

    /// <summary>The server on Pronghorn, the client on the kernel.</summary>
    Server,

    /// <summary>Both ends on Pronghorn.</summary>
    Both,
}

internal static class BenchmarkWays
{
    internal static string Name(this BenchmarkWay way) => way switch
    {
        BenchmarkWay.Kernel => "kernel",
        BenchmarkWay.Server => "server",
        BenchmarkWay.Both => "both",
        _ => throw new ArgumentOutOfRangeException(nameof(way)),
    };

    internal static bool ServerIsOurs(this BenchmarkWay way) => way is BenchmarkWay.Server or BenchmarkWay.Both;

    internal static bool ClientIsOurs(this BenchmarkWay way) => way is BenchmarkWay.Both;

    /// <summary>Reads a comma-separated list such as "kernel,both".</summary>
    internal static IReadOnlyList<BenchmarkWay> Parse(string list)
    {
        List<BenchmarkWay> ways = [];
        foreach (string word in list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!Enum.TryParse(word, ignoreCase: true, out BenchmarkWay way) || char.IsDigit(word[0]))
            {
                throw new CommandException($"--ways: '{word}' is none of kernel, server, both", ExitStatus.Usage);
            }

            if (!ways.Contains(way))
            {
                ways.Add(way);
            }
        }

        return ways.Count > 0 ? ways : throw new CommandException("--ways: name at least one", ExitStatus.Usage);
    }
}
