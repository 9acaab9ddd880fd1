// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Spectre.Console;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Prints the outcome of "bench services".</summary>
internal static class ServiceReport
{
    /// <summary>One JSON array, nothing else.</summary>
    internal static string ToJson(IReadOnlyList<ServiceRow> rows) =>
        JsonSerializer.Serialize([.. rows], JsonFormat.Default.ServiceRowArray);

    /// <summary>A line for each measurement, with the ways side by side; in brackets how many times better Pronghorn is.</summary>
    internal static Table ToTable(ServiceResults results)
    {
        IReadOnlyList<ServiceRow> rows = results.ToRows();
        string[] ways = [.. ServicesBenchmarkOptions.AllWays.Where(way => rows.Any(row => row.Way == way))];
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("measurement");
        table.AddColumn(new TableColumn("services").RightAligned());
        table.AddColumn("position");
        foreach (string way in ways)
        {
            table.AddColumn(new TableColumn(way).RightAligned());
        }

        foreach (IGrouping<(string Metric, int Services, string Position), ServiceRow> line in
            rows.GroupBy(row => (row.Metric, row.Services, row.Position)).OrderBy(line => Order(rows, line.Key.Metric)))
        {
            ServiceMetric metric = results.MetricOf(line.First());
            string[] cells = [.. ways.Select(way => Cell(line.FirstOrDefault(row => row.Way == way)))];
            table.AddRow(
                [
                    Markup.Escape($"{metric.Title} ({metric.Unit})"),
                    line.Key.Services.ToString("N0", CultureInfo.InvariantCulture),
                    line.Key.Position,
                    .. cells,
                ]);
        }

        return table;
    }

    /// <summary>What was the same for every way, and what figures mean.</summary>
    internal static IEnumerable<string> Conditions(ServicesBenchmarkOptions options)
    {
        yield return string.Create(
            CultureInfo.InvariantCulture,
            $"Medians of {options.Rounds} rounds, ways interleaved, runs of {options.Seconds:0.#} s; {options.Endpoints} endpoints a "
            + $"service, {options.Ports} ports each, of which clients use the last. Each way has a node in namespaces of its own. "
            + $"In brackets: how many times better Pronghorn is; on Pronghorn itself, against its fewest services.");
        yield return "A connection: connect, one byte each way, reset; client of four threads, epoll server, eight services in turn at the "
            + "position named. Packets: UDP of 60 bytes from outside, live frames counted by XDP in the backend's pod; one processor.";
        yield return "Rules are of kube-proxy's shape, written by this program; a change is counted without the time that kube-proxy takes "
            + "to work out its text, and KUBE-SERVICES is written whole, as kube-proxy does. nft of Debian 12 (1.0.6) is slow at "
            + "changes; newer ones are not.";
    }

    private static int Order(IReadOnlyList<ServiceRow> rows, string metric) =>
        rows.Select((row, index) => (row.Metric, index)).First(one => one.Metric == metric).index;

    private static string Cell(ServiceRow? row)
    {
        if (row is null)
        {
            return "-";
        }

        string value = row.Value.ToString(row.Value < 10 ? "0.00" : row.Value < 1000 ? "0.0" : "N0", CultureInfo.InvariantCulture);
        return row.Ratio is double ratio
            ? Markup.Escape(string.Create(CultureInfo.InvariantCulture, $"{value} ({ratio:0.00}x)"))
            : value;
    }
}
