// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text.Json;
using Spectre.Console;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Prints a benchmark's outcome.</summary>
internal static class BenchmarkReport
{
    /// <summary>One JSON array, nothing else.</summary>
    internal static string ToJson(IReadOnlyList<BenchmarkRecord> records) =>
        JsonSerializer.Serialize([.. records], JsonFormat.Default.BenchmarkRecordArray);

    /// <summary>The table for people.</summary>
    internal static Table ToTable(IReadOnlyList<BenchmarkRecord> records)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("workload");
        table.AddColumn("stack");
        foreach (string heading in (string[])["requests/s", "ratio", "p50 us", "p99 us", "CPU s/Mreq", "client CPU", "server CPU"])
        {
            table.AddColumn(new TableColumn(heading).RightAligned());
        }

        string previous = "";
        foreach (BenchmarkRecord record in records)
        {
            string name = $"{record.Workload} c={record.Clients} P={record.Pipeline} d={record.Size}";
            table.AddRow(
                name == previous ? "" : name,
                Describe(record.Way),
                record.RequestsPerSecond.ToString("N0", CultureInfo.InvariantCulture),
                record.Ratio is double ratio ? ratio.ToString("0.00x", CultureInfo.InvariantCulture) : "-",
                record.P50Microseconds.ToString("0", CultureInfo.InvariantCulture),
                record.P99Microseconds.ToString("0", CultureInfo.InvariantCulture),
                record.CpuSecondsPerMillion.ToString("0.0", CultureInfo.InvariantCulture),
                record.ClientCpuShare.ToString("P0", CultureInfo.InvariantCulture),
                record.ServerCpuShare.ToString("P0", CultureInfo.InvariantCulture));
            previous = name;
        }

        return table;
    }

    /// <summary>What was the same for every way, so that the ratio means the stack and nothing else.</summary>
    internal static IEnumerable<string> Conditions(RedisBenchmarkOptions options)
    {
        yield return $"Equal for every way: server on CPU {RedisBenchmark.ServerCpu}, client on CPU {RedisBenchmark.ClientCpu}; "
            + $"one veth pair, MTU {BenchmarkNetwork.Mtu}; tx checksum, TSO, GSO and GRO off on both ends; "
            + "redis without persistence, keep-alive connections"
            + $"{(options.Fifo ? "; both programs under SCHED_FIFO." : ".")}";
        yield return $"Congestion control of the kernel's ends: {KernelCongestionControl()}; of Pronghorn's: cubic.";
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"Medians of {options.Rounds} rounds, ways interleaved, runs of about {options.Seconds:0.#} s. "
            + $"CPU: the whole machine's busy time, soft interrupts included, all CPUs.");
    }

    private static string Describe(string way) => way switch
    {
        "kernel" => "kernel, kernel",
        "server" => "Pronghorn server, kernel client",
        _ => "Pronghorn, Pronghorn",
    };

    private static string KernelCongestionControl()
    {
        try
        {
            return File.ReadAllText("/proc/sys/net/ipv4/tcp_congestion_control").Trim();
        }
        catch (IOException)
        {
            return "unknown";
        }
    }
}
