// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>The results of a benchmark, as medians, and what failed.</summary>
internal sealed class BenchmarkOutcome
{
    private readonly List<BenchmarkRecord> _records = [];
    private readonly List<string> _failures = [];

    /// <summary>One record for each workload and way, in the order measured.</summary>
    internal IReadOnlyList<BenchmarkRecord> Records => _records;

    /// <summary>What did not run, and why.</summary>
    internal IReadOnlyList<string> Failures => _failures;

    /// <summary>Notes a way that could not be measured.</summary>
    internal void Fail(string what)
    {
        _failures.Add(what);
        Terminal.Error(what);
    }

    /// <summary>Adds the medians of the rounds of one workload, one way. The kernel comes first where it runs.</summary>
    internal void Add(RedisWorkload workload, BenchmarkWay way, IReadOnlyList<RedisRun> runs)
    {
        double rps = Median(runs.Select(run => run.RequestsPerSecond));
        BenchmarkRecord? kernel = _records.Find(record =>
            record.Way == BenchmarkWay.Kernel.Name()
            && record.Workload == workload.Command
            && record.Clients == workload.Clients
            && record.Pipeline == workload.Pipeline
            && record.Size == workload.Size);
        double? yardstick = way == BenchmarkWay.Kernel ? rps : kernel?.RequestsPerSecond;
        _records.Add(new BenchmarkRecord
        {
            Workload = workload.Command,
            Clients = workload.Clients,
            Pipeline = workload.Pipeline,
            Size = workload.Size,
            Way = way.Name(),
            RequestsPerSecond = Math.Round(rps, 1),
            P50Microseconds = Math.Round(Median(runs.Select(run => run.P50Microseconds)), 1),
            P99Microseconds = Math.Round(Median(runs.Select(run => run.P99Microseconds)), 1),
            CpuSecondsPerMillion = Math.Round(Median(runs.Select(run => run.CpuSecondsPerMillion)), 2),
            ClientCpuShare = Median(runs.Select(run => run.Cpu.ShareByCpu[RedisBenchmark.ClientCpu])),
            ServerCpuShare = Median(runs.Select(run => run.Cpu.ShareByCpu[RedisBenchmark.ServerCpu])),
            Ratio = yardstick is > 0 ? Math.Round(rps / yardstick.Value, 2) : null,
        });
    }

    /// <summary>The middle of the values, the mean of the two middles where their count is even.</summary>
    internal static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        if (sorted.Length == 0)
        {
            throw new ArgumentException("no values", nameof(values));
        }

        int middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
