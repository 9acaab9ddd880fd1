// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Simulation;

/// <summary>A whole simulation, drawn from a seed: two hosts, what the link between them does, what the programs do.</summary>
public sealed class ScenarioPlan
{
    /// <summary>Draws everything.</summary>
    public ScenarioPlan(Prng random)
    {
        Mtu = random.Chance(700_000) ? 1500 : random.Between(576, 1500);
        int hostility = random.Below(4);
        bool limited = random.Chance(300_000);
        Forward = DrawLink(random, hostility, limited);
        Backward = DrawLink(random, hostility, limited);
        First = DrawStack(random);
        Second = DrawStack(random);
        FirstFrames = DrawFrames(random);
        SecondFrames = DrawFrames(random);
        SimultaneousOpen = random.Chance(100_000);
        int connections = random.Between(1, 4);
        for (int i = 0; i < connections; i++)
        {
            Programs.Add((DrawProgram(random), DrawProgram(random)));
        }

        int partitions = random.Chance(150_000) ? random.Between(1, 3) : 0;
        for (int i = 0; i < partitions; i++)
        {
            Partitions.Add(new Partition(
                Duration.FromMilliseconds(random.Between(1, 5000)),
                Duration.FromMilliseconds(random.Spread(10, 8000)),
                random.Below(3)));
        }
    }

    /// <summary>MTU of the link in bytes.</summary>
    public int Mtu { get; }

    /// <summary>The link from the first host.</summary>
    public LinkSettings Forward { get; }

    /// <summary>The link to the first host.</summary>
    public LinkSettings Backward { get; }

    /// <summary>The first host's stack.</summary>
    public StackOptions First { get; }

    /// <summary>The second host's stack.</summary>
    public StackOptions Second { get; }

    /// <summary>The first host's frames.</summary>
    public int FirstFrames { get; }

    /// <summary>The second host's frames.</summary>
    public int SecondFrames { get; }

    /// <summary>Whether both ends open actively.</summary>
    public bool SimultaneousOpen { get; }

    /// <summary>What the two ends of each connection do.</summary>
    public IList<(ProgramPlan First, ProgramPlan Second)> Programs { get; } = [];

    /// <summary>When nothing gets through.</summary>
    public IList<Partition> Partitions { get; } = [];

    private static LinkSettings DrawLink(Prng random, int hostility, bool limited) => new()
    {
        Delay = Duration.FromMicroseconds(random.Spread(20, 100_000)),
        Jitter = random.Chance(300_000) ? Duration.FromMicroseconds(random.Spread(10, 20_000)) : Duration.Zero,
        BitsPerSecond = limited ? random.Spread(1_000_000, 1_000_000_000) : 0,
        QueueBytes = random.Spread(8192, 1 << 20),
        Loss = hostility == 0 ? 0 : random.Below(hostility == 3 ? 80_000 : 20_000),
        Reordering = hostility >= 2 ? random.Below(100_000) : 0,
        ReorderingDelay = Duration.FromMicroseconds(random.Spread(10, 50_000)),
        Duplication = hostility >= 2 ? random.Below(50_000) : 0,
        Corruption = hostility == 3 ? random.Below(20_000) : 0,
    };

    private static StackOptions DrawStack(Prng random) => new()
    {
        NeighborMode = NeighborMode.Standalone,
        MaximumConnections = 256,
        Secret0 = random.Next64(),
        Secret1 = random.Next64(),
        UseSack = !random.Chance(200_000),
        UseTimestamps = !random.Chance(200_000),
        UseWindowScale = !random.Chance(200_000),
        Congestion = random.Chance(300_000) ? CongestionAlgorithm.NewReno : CongestionAlgorithm.Cubic,
        InitialReceiveBuffer = random.Spread(4096, 256 << 10),
        InitialSendBuffer = random.Spread(4096, 256 << 10),
    };

    private static int DrawFrames(Prng random) => random.Chance(150_000) ? random.Between(512, 1024) : 4096;

    private static ProgramPlan DrawProgram(Prng random)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = random.Chance(500_000);
        settings.Cork = random.Chance(50_000);
        settings.QuickAck = random.Chance(100_000);
        settings.KeepAlive = true;
        settings.KeepAliveIdleSeconds = 30;
        settings.KeepAliveIntervalSeconds = 5;
        settings.KeepAliveProbes = 6;
        settings.ReceiveBuffer = random.Chance(100_000) ? random.Spread(2048, 65536) : 0;
        settings.SendBuffer = random.Chance(100_000) ? random.Spread(2048, 65536) : 0;
        int total = random.Chance(100_000) ? 0 : random.Spread(1, 400_000);
        int kind = random.Below(20);
        return new ProgramPlan
        {
            Total = total,
            LargestWrite = random.Chance(50_000) ? 16 : random.Spread(64, 65536),
            LargestRead = random.Spread(64, 65536),
            WritePauses = random.Chance(500_000) ? random.Below(100_000) : 0,
            ReadPauses = random.Chance(500_000) ? random.Below(200_000) : 0,
            LongestPause = Duration.FromMilliseconds(random.Spread(1, 1000)),
            More = random.Chance(100_000) ? 300_000 : 0,
            Ending = kind == 0 ? ProgramEnding.Abort : kind == 1 ? ProgramEnding.CloseEarly
                : kind < 10 ? ProgramEnding.Close : ProgramEnding.HalfClose,
            EndAfter = random.Below(total + 1),
            Content = new StreamContent(random.Next64()),
            Settings = settings,
        };
    }
}

/// <summary>A time in which nothing gets through.</summary>
/// <param name="Start">When it begins, from the start of the simulation.</param>
/// <param name="Length">How long it lasts.</param>
/// <param name="Direction">0 both directions, 1 forward, 2 backward.</param>
public sealed record Partition(Duration Start, Duration Length, int Direction);
