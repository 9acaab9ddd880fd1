// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Net;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Commands;
using Pronghorn.Handoff.Client;
using Pronghorn.Handoff.Moves;
using Pronghorn.Lab;
using Pronghorn.Lab.Cdn.Network;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>Two edges' daemons, and workers that give each other all connections that they have, again and again.</summary>
internal static class MovesBenchmark
{
    /// <summary>Measures; progress goes to standard error.</summary>
    /// <exception cref="LabException">A connection was lost, or the network cannot be made.</exception>
    internal static async Task<IReadOnlyList<MovesRow>> RunAsync(MovesBenchmarkOptions options, CancellationToken cancellation)
    {
        Terminal.Note("making the network");
        await using CdnLab lab = await CdnLab.CreateAsync(
            new CdnLabOptions { Program = CdnCommand.ProgramLine(), Edges = 2, Pins = true, Ways = [] }, cancellation);
        await using var fleet = await MovingFleet.CreateAsync(lab, options.Connections, cancellation);
        List<MovesRow> rows = [];
        foreach (MovesWay way in (MovesWay[])[MovesWay.One, MovesWay.Batch])
        {
            Terminal.Note($"{way}: before it is measured");
            await MoveForAsync(fleet, way, options.Seconds, cancellation);
        }

        for (int round = 1; round <= options.Rounds; round++)
        {
            rows.Add(MovesOfTheKernel.Measure(lab.Edges[0].Place, IPAddress.Parse(lab.Edges[0].Address)));
            Terminal.Note(FormattableString.Invariant($"round {round}, Kernel: {rows[^1].FreezeP50Microseconds:0.0} us"));
            foreach (MovesWay way in (MovesWay[])[MovesWay.One, MovesWay.Batch])
            {
                rows.Add(await MeasureAsync(lab, fleet, way, options.Seconds, cancellation));
                Terminal.Note(FormattableString.Invariant($"round {round}, {way}: {rows[^1].MovesPerSecond:0} moves/s"));
            }
        }

        fleet.AssertAllTalk();
        return [.. rows.GroupBy(static row => row.Way).Select(static way => Median([.. way]))];
    }

    private static async Task<MovesRow> MeasureAsync(
        CdnLab lab, MovingFleet fleet, MovesWay way, double seconds, CancellationToken cancellation)
    {
        HandoffCounters before = await HandoffCounters.ReadAsync(lab, cancellation);
        long began = Stopwatch.GetTimestamp();
        long moved = await MoveForAsync(fleet, way, seconds, cancellation);
        double spent = Stopwatch.GetElapsedTime(began).TotalSeconds;
        HandoffCounters after = await HandoffCounters.ReadAsync(lab, cancellation);
        var freezes = after.Freezes.ToDictionary(
            static one => one.Key, one => one.Value - before.Freezes.GetValueOrDefault(one.Key));
        return new MovesRow
        {
            Connections = fleet.Count,
            Way = way.ToString().ToLowerInvariant(),
            MovesPerSecond = moved / spent,
            FreezeP50Microseconds = DurationHistogram.Quantile(freezes, 0.5) ?? double.NaN,
            FreezeP99Microseconds = DurationHistogram.Quantile(freezes, 0.99) ?? double.NaN,
            CpuMicrosecondsPerMove = (after.EdgeSeconds - before.EdgeSeconds) * 1e6 / moved,
        };
    }

    private static async Task<long> MoveForAsync(MovingFleet fleet, MovesWay way, double seconds, CancellationToken cancellation)
    {
        long began = Stopwatch.GetTimestamp();
        long moved = 0;
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < seconds)
        {
            cancellation.ThrowIfCancellationRequested();
            moved += await fleet.MoveAllAsync(way, cancellation);
        }

        return moved;
    }

    private static MovesRow Median(IReadOnlyList<MovesRow> rows) => rows[0] with
    {
        MovesPerSecond = Middle(rows.Select(static row => row.MovesPerSecond)),
        FreezeP50Microseconds = Middle(rows.Select(static row => row.FreezeP50Microseconds)),
        FreezeP99Microseconds = Middle(rows.Select(static row => row.FreezeP99Microseconds)),
        CpuMicrosecondsPerMove = Middle(rows.Select(static row => row.CpuMicrosecondsPerMove)),
    };

    private static double Middle(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return Math.Round((sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2, 1);
    }
}
