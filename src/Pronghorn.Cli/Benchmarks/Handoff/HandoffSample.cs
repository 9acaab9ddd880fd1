// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Moves;
using Pronghorn.Lab.Cdn.Load;
using Pronghorn.Lab.Cdn.Network;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>The counters of a lab at one moment.</summary>
internal sealed record HandoffCounters
{
    internal required double EdgeSeconds { get; init; }

    internal required ProcessorTimes Processors { get; init; }

    internal required (long FromEdges, long ToBalancer, long ToEdges, long FromBalancer) Bridge { get; init; }

    internal required IReadOnlyDictionary<string, long> Freezes { get; init; }

    internal required long Given { get; init; }

    /// <summary>Reads them.</summary>
    internal static async Task<HandoffCounters> ReadAsync(CdnLab lab, CancellationToken cancellation)
    {
        HandoffStatus[] daemons = await Task.WhenAll(lab.Edges.Select(edge => edge.AskDaemonAsync(cancellation)));
        return new HandoffCounters
        {
            Freezes = daemons.SelectMany(static daemon => daemon.FreezeMicroseconds)
                .GroupBy(static one => one.Key).ToDictionary(static one => one.Key, static one => one.Sum(static part => part.Value)),
            Given = daemons.Sum(static daemon => daemon.Given),
            Bridge = lab.ReadBridge(),
            Processors = ProcessorTimes.Read(),
            EdgeSeconds = lab.Edges.Sum(static edge => edge.ReadProcessorSeconds()) + SoftInterruptSeconds(CdnLab.EdgeProcessor),
        };
    }

    /// <summary>What was used for what clients got since an earlier reading.</summary>
    internal HandoffSample Since(HandoffCounters before, LoadResult load)
    {
        double gigabytes = load.Bytes / 1e9;
        ProcessorUse use = Processors.Since(before.Processors);
        double edgeBusy = Processors.BusySecondsOf(CdnLab.EdgeProcessor) - before.Processors.BusySecondsOf(CdnLab.EdgeProcessor);
        long between = Bridge.FromEdges - before.Bridge.FromEdges - (Bridge.ToBalancer - before.Bridge.ToBalancer);
        return new HandoffSample(
            load.Bytes * 8 / load.Seconds / 1e9,
            (EdgeSeconds - before.EdgeSeconds) / gigabytes,
            Math.Max(0, between) / (double)load.Bytes,
            MedianFreeze(before),
            load.StallP99,
            edgeBusy / gigabytes,
            use.BusySeconds / gigabytes,
            (Given - before.Given) / gigabytes);
    }

    private double? MedianFreeze(HandoffCounters before) => DurationHistogram.Quantile(
        Freezes.ToDictionary(static one => one.Key, one => one.Value - before.Freezes.GetValueOrDefault(one.Key)), 0.5);

    /// <summary>Run time of the thread that takes over soft interrupts where there are many: no group has it.</summary>
    private static double SoftInterruptSeconds(int processor)
    {
        string wanted = string.Create(CultureInfo.InvariantCulture, $"ksoftirqd/{processor}");
        foreach (string folder in Directory.EnumerateDirectories("/proc").Where(static one => char.IsAsciiDigit(Path.GetFileName(one)[0])))
        {
            try
            {
                if (File.ReadAllText(folder + "/comm").TrimEnd() == wanted)
                {
                    return double.Parse(File.ReadAllText(folder + "/schedstat").Split(' ')[0], CultureInfo.InvariantCulture) / 1e9;
                }
            }
            catch (IOException)
            {
                // A process that has ended meanwhile.
            }
        }

        return 0;
    }
}

/// <summary>One run of one way.</summary>
internal sealed record HandoffSample(
    double GigabitsPerSecond,
    double CpuSecondsPerGigabyte,
    double BetweenServersPerByte,
    double? FreezeP50Microseconds,
    double StallP99Milliseconds,
    double EdgeProcessorSecondsPerGigabyte,
    double MachineSecondsPerGigabyte,
    double MovesPerGigabyte);
