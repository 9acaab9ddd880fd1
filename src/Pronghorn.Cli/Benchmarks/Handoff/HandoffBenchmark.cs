// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Commands;
using Pronghorn.Lab;
using Pronghorn.Lab.Cdn.Load;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Lab.Cdn.Servers;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>Clients, the service balancer and edge servers: contents relayed between edges, and connections handed off.</summary>
internal static class HandoffBenchmark
{
    private const int FilesForEachServer = 8;
    private const double WarmUpSeconds = 0.4;
    private const double FirstSeconds = 1.0;
    private const int FewestFirstRuns = 3;
    private const int MostFirstRuns = 8;
    private const double SteadyGrowth = 1.2;

    /// <summary>Measures; progress goes to standard error. What could not be measured is in the failures.</summary>
    internal static async Task<(IReadOnlyList<HandoffRow> Rows, IReadOnlyList<string> Failures)> RunAsync(
        HandoffBenchmarkOptions options, CancellationToken cancellation)
    {
        List<HandoffRow> rows = [];
        List<string> failures = [];
        foreach (int servers in options.Servers)
        {
            Terminal.Note($"{servers} servers: making the network");
            await using CdnLab lab = await CdnLab.CreateAsync(
                new CdnLabOptions { Program = CdnCommand.ProgramLine(), Edges = servers, Pins = true }, cancellation);
            var samples = options.Ways.ToDictionary(static way => way, static _ => new List<HandoffSample>());
            foreach (LasWay way in options.Ways)
            {
                await FillAsync(lab, way, options, cancellation);
            }

            // The first round is not counted: its code is still being compiled, in each way's own part.
            for (int round = 0; round <= options.Rounds; round++)
            {
                // The first of a round is another one each time.
                foreach (LasWay way in options.Ways.Skip(round % options.Ways.Count).Concat(options.Ways.Take(round % options.Ways.Count)))
                {
                    HandoffSample sample = await MeasureAsync(lab, way, options, failures, cancellation);
                    if (round > 0)
                    {
                        samples[way].Add(sample);
                    }

                    Terminal.Note(string.Create(
                        CultureInfo.InvariantCulture,
                        $"{servers} servers, round {round}{(round == 0 ? " (not counted)" : "")}, {NameOf(way)}: "
                            + $"{sample.CpuSecondsPerGigabyte:0.000} CPU s/GB, {sample.GigabitsPerSecond:0.0} Gbit/s"));
                }
            }

            rows.AddRange(options.Ways.Select(way => ToRow(servers, way, samples)));
        }

        return (rows, failures);
    }

    /// <summary>The name of a way in results.</summary>
    internal static string NameOf(LasWay way) => way.ToString().ToLowerInvariant();

    /// <summary>
    /// Until clients get as much twice in a row, roughly, and a few times at least: caches are full then, and code is compiled.
    /// </summary>
    private static async Task FillAsync(CdnLab lab, LasWay way, HandoffBenchmarkOptions options, CancellationToken cancellation)
    {
        HandoffBenchmarkOptions first = options with { Seconds = FirstSeconds, SwitchPercent = 100, Requests = 4 };
        long former = 0;
        for (int run = 0; run < MostFirstRuns; run++)
        {
            (LoadResult result, _, _) = await LoadAsync(lab, way, first, cancellation);
            if (run + 1 >= FewestFirstRuns && result.Bytes > 0 && result.Bytes < former * SteadyGrowth)
            {
                return;
            }

            former = result.Bytes;
        }
    }

    private static async Task<HandoffSample> MeasureAsync(
        CdnLab lab, LasWay way, HandoffBenchmarkOptions options, List<string> failures, CancellationToken cancellation)
    {
        (LoadResult result, HandoffCounters before, HandoffCounters after) = await LoadAsync(lab, way, options, cancellation);
        if (result.Bytes == 0)
        {
            throw new LabException($"{NameOf(way)}: clients got nothing: {result.FirstProblem}");
        }

        if (result.Failures > 0)
        {
            failures.Add($"{lab.Edges.Count} servers, {NameOf(way)}: {result.Failures} connections failed: {result.FirstProblem}");
        }

        return after.Since(before, result);
    }

    private static async Task<(LoadResult Result, HandoffCounters Before, HandoffCounters After)> LoadAsync(
        CdnLab lab, LasWay way, HandoffBenchmarkOptions options, CancellationToken cancellation)
    {
        int files = FilesForEachServer * lab.Edges.Count;
        IReadOnlyList<string> words =
        [
            .. CdnCommand.ProgramLine(), "lab", "cdn", "load", "--target", $"{CdnLab.ServiceAddress}:{CdnLab.PortOf(way)}",
            "--connections", Text(options.Connections), "--requests", Text(options.Requests), "--files", Text(files),
            "--size", Text(options.Size), "--switch", Text(options.SwitchPercent), "--warm-up", Text(WarmUpSeconds),
            "--seconds", Text(options.Seconds),
        ];
        using Process load = lab.StartClient(words);
        string? first = await load.StandardError.ReadLineAsync(cancellation);
        if (first != CdnServerCommands.BeginLine)
        {
            throw new LabException($"the clients did not begin: {first} {await load.StandardError.ReadToEndAsync(cancellation)}");
        }

        HandoffCounters before = await HandoffCounters.ReadAsync(lab, cancellation);
        string? line = await load.StandardOutput.ReadLineAsync(cancellation);
        HandoffCounters after = await HandoffCounters.ReadAsync(lab, cancellation);
        await load.WaitForExitAsync(cancellation);
        LoadResult result = (line is null ? null : JsonSerializer.Deserialize(line, CdnJson.Default.LoadResult))
            ?? throw new LabException("the clients said nothing");
        return (result, before, after);
    }

    private static HandoffRow ToRow(int servers, LasWay way, Dictionary<LasWay, List<HandoffSample>> all)
    {
        List<HandoffSample> samples = all[way];
        double cpu = Median(samples.Select(static one => one.CpuSecondsPerGigabyte));
        double[] freezes = [.. samples.Select(static one => one.FreezeP50Microseconds).OfType<double>()];
        return new HandoffRow
        {
            Servers = servers,
            Way = NameOf(way),
            GigabitsPerSecond = Round(Median(samples.Select(static one => one.GigabitsPerSecond)), 3),
            CpuSecondsPerGigabyte = Round(cpu, 4),
            BetweenServersPerByte = Round(Median(samples.Select(static one => one.BetweenServersPerByte)), 5),
            FreezeP50Microseconds = freezes.Length > 0 ? Median(freezes) : null,
            StallP99Milliseconds = Round(Median(samples.Select(static one => one.StallP99Milliseconds)), 2),
            Ratio = Round(Median(all[LasWay.Relay].Select(static one => one.CpuSecondsPerGigabyte)) / cpu, 2),
            EdgeProcessorSecondsPerGigabyte = Median(samples.Select(static one => one.EdgeProcessorSecondsPerGigabyte)),
            MachineSecondsPerGigabyte = Median(samples.Select(static one => one.MachineSecondsPerGigabyte)),
            MovesPerGigabyte = Median(samples.Select(static one => one.MovesPerGigabyte)),
        };
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static double Round(double value, int digits) => Math.Round(value, digits);

    private static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
