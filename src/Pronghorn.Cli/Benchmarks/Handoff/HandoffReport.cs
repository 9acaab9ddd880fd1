// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.Json;
using Pronghorn.Lab.Cdn.Network;
using Spectre.Console;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>Prints the outcome of <c>bench handoff</c>.</summary>
internal static class HandoffReport
{
    /// <summary>One JSON array, nothing else.</summary>
    internal static string ToJson(IReadOnlyList<HandoffRow> rows) =>
        JsonSerializer.Serialize([.. rows], JsonFormat.Default.HandoffRowArray);

    /// <summary>The table for people.</summary>
    internal static Table ToTable(IReadOnlyList<HandoffRow> rows)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("servers");
        table.AddColumn("way");
        foreach (string heading in (string[])
            [
                "edges' CPU s/GB", "ratio", "Gbit/s", "between servers, B/B", "freeze p50 us", "stall p99 ms", "moves/GB",
                "edge CPU busy s/GB", "machine s/GB",
            ])
        {
            table.AddColumn(new TableColumn(heading).RightAligned());
        }

        foreach (HandoffRow row in rows)
        {
            table.AddRow(
                Number(row.Servers, "0"),
                row.Way,
                Number(row.CpuSecondsPerGigabyte, "0.000"),
                Number(row.Ratio, "0.00x"),
                Number(row.GigabitsPerSecond, "0.0"),
                Number(row.BetweenServersPerByte, "0.0000"),
                row.FreezeP50Microseconds is double freeze ? Number(freeze, "0") : "-",
                Number(row.StallP99Milliseconds, "0.0"),
                Number(row.MovesPerGigabyte, "0.0"),
                Number(row.EdgeProcessorSecondsPerGigabyte, "0.000"),
                Number(row.MachineSecondsPerGigabyte, "0.000"));
        }

        return table;
    }

    /// <summary>What was equal for all ways, and what the columns are.</summary>
    internal static IEnumerable<string> Conditions(HandoffBenchmarkOptions options)
    {
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"Equal for all: {options.Connections} connections, {options.Requests} requests each of files of {options.Size} bytes, "
            + $"{options.SwitchPercent} of 100 for another file than the one before; contents in the edges' memory, sent by sendfile(2); "
            + $"veth, MTU 1500, offloads on; tcp_ecn off.");
        yield return Environment.ProcessorCount > 1
            ? $"Edges have CPU {CdnLab.EdgeProcessor}, with what they receive (RPS); balancer, switch and clients the others."
            : "This machine has one CPU: edges, balancer and clients share it.";
        yield return $"Medians of {options.Rounds} rounds of {Number(options.Seconds, "0.#")} s, ways interleaved. "
            + "Edges' CPU: their control groups (servers, LDS, daemon, and receiving that interrupts them) and ksoftirqd of their CPU.";
        yield return "Edge CPU busy: that CPU in /proc/stat, other programs of the machine included. Between servers: both directions. "
            + "Stall: the longest time without a byte within a request.";
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
