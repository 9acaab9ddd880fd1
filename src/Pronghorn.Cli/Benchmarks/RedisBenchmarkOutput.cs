// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Reads what <c>redis-benchmark --csv</c> prints.</summary>
internal static class RedisBenchmarkOutput
{
    /// <summary>The figures of the row for one command; columns are found by their header, not by position.</summary>
    /// <exception cref="FormatException">There is no such row or column.</exception>
    internal static RedisRun Parse(string text, string command, long requests, ProcessorUse cpu)
    {
        List<string>? header = null;
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            List<string> cells = SplitRow(line);
            if (cells.Contains("rps"))
            {
                header = cells;
            }
            else if (header is not null && cells.Count == header.Count && cells[0] == command)
            {
                return new RedisRun(
                    Cell(header, cells, "rps"),
                    Cell(header, cells, "p50_latency_ms") * 1000,
                    Cell(header, cells, "p99_latency_ms") * 1000,
                    requests,
                    cpu);
            }
        }

        throw new FormatException($"redis-benchmark printed no row for {command}: {text.Trim()}");
    }

    private static double Cell(List<string> header, List<string> cells, string column)
    {
        int index = header.IndexOf(column);
        return index >= 0 && double.TryParse(cells[index], CultureInfo.InvariantCulture, out double value)
            ? value
            : throw new FormatException($"redis-benchmark printed no {column}");
    }

    private static List<string> SplitRow(string line)
    {
        List<string> cells = [];
        foreach (string cell in line.Trim().Split(','))
        {
            cells.Add(cell.Trim('"'));
        }

        return cells;
    }
}
