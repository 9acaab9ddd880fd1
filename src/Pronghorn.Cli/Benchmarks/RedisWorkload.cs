// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>One shape of load that redis-benchmark puts on redis-server.</summary>
/// <param name="Command">The redis command, "GET" or "SET".</param>
/// <param name="Clients">Connections in parallel.</param>
/// <param name="Pipeline">Requests sent before an answer is awaited.</param>
/// <param name="Size">Bytes of value.</param>
internal sealed record RedisWorkload(string Command, int Clients, int Pipeline, int Size)
{
    /// <summary>The four shapes that show the most in the least time.</summary>
    internal static IReadOnlyList<RedisWorkload> Quick { get; } =
    [
        new("GET", 50, 1, 3),
        new("GET", 1, 1, 3),
        new("SET", 50, 1, 3),
        new("GET", 50, 16, 3),
    ];

    /// <summary>Every combination of command, connections, pipeline and size.</summary>
    internal static IReadOnlyList<RedisWorkload> Full { get; } = CreateFull();

    /// <summary>Human name, such as "GET c=50 P=1 d=3".</summary>
    public override string ToString() => $"{Command} c={Clients} P={Pipeline} d={Size}";

    /// <summary>Requests of the trial run that finds out how many requests fill the wanted time.</summary>
    internal int TrialRequests => Clients == 1 ? 4_000 * Pipeline : 15_000 * (Pipeline > 1 ? 8 : 1);

    private static List<RedisWorkload> CreateFull()
    {
        List<RedisWorkload> all = [];
        foreach (int size in (int[])[3, 1024])
        {
            foreach (string command in (string[])["GET", "SET"])
            {
                foreach (int pipeline in (int[])[1, 16])
                {
                    foreach (int clients in (int[])[1, 50, 200, 1000])
                    {
                        all.Add(new RedisWorkload(command, clients, pipeline, size));
                    }
                }
            }
        }

        return all;
    }
}
