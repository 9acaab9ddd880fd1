// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Simulation.Tests;

/// <summary>
/// Whole simulations drawn from seeds. PRONGHORN_SEED=n runs one seed only; PRONGHORN_RANDOM_SECONDS=n says how long new
/// seeds are tried (default 10).
/// </summary>
public sealed class SeedTests(ITestOutputHelper output)
{
    private const int FixedSeeds = 200;
    private const int Groups = 20;

    public static TheoryData<int> AllGroups
    {
        get
        {
            var data = new TheoryData<int>();
            for (int i = 0; i < Groups; i++)
            {
                data.Add(i);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(AllGroups))]
    public void FixedSeeds_Run_EveryInvariantHolds(int group)
    {
        if (GivenSeed() is { } seed)
        {
            if (group == 0)
            {
                Scenario.Run(seed);
            }

            return;
        }

        for (int i = group; i < FixedSeeds; i += Groups)
        {
            Scenario.Run((ulong)i);
        }
    }

    /// <summary>Seeds that were drawn once and found something; each says what.</summary>
    [Theory]
    [InlineData(7320374897860477664, "a reader that keeps its window shut for 112 s, whose peer closed after it had seen the reader's end")]
    [InlineData(3100000000000006937, "a window of less than a unit of its scale, which the peer is told as nothing")]
    [InlineData(4100000000000019859, "the same, to a peer that closed wholly")]
    public void FoundSeeds_Run_EveryInvariantHolds(ulong seed, string found)
    {
        output.WriteLine(found);
        Scenario.Run(seed);
    }

    [Fact]
    public void RandomSeeds_RunForAWhile_EveryInvariantHolds()
    {
        if (GivenSeed() != null)
        {
            return;
        }

        string? asked = Environment.GetEnvironmentVariable("PRONGHORN_RANDOM_SECONDS");
        double seconds = asked == null ? 10 : double.Parse(asked, CultureInfo.InvariantCulture);
        ulong seed = (ulong)Random.Shared.NextInt64(1_000_000, long.MaxValue);
        ulong first = seed;
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed.TotalSeconds < seconds)
        {
            Scenario.Run(seed++);
        }

        output.WriteLine($"{seed - first} simulations from seed {first}");
    }

    private static ulong? GivenSeed()
    {
        string? text = Environment.GetEnvironmentVariable("PRONGHORN_SEED");
        return text == null ? null : ulong.Parse(text, CultureInfo.InvariantCulture);
    }
}
