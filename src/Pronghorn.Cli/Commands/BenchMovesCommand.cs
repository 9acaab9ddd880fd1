// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Benchmarks.Handoff;
using Spectre.Console;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn bench moves</c>.</summary>
internal static class BenchMovesCommand
{
    private const int MostConnections = 10_000;

    internal static Command Create()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON array and nothing else." };
        Option<int> rounds = new("--rounds") { Description = "Measured rounds.", DefaultValueFactory = _ => 3 };
        Option<double> seconds = new("--seconds") { Description = "Length of one run.", DefaultValueFactory = _ => 3 };
        Option<int> connections = new("--connections") { Description = "Connections that are moved.", DefaultValueFactory = _ => 1000 };
        Command command = new("moves", "How many connections two nodes' daemons move in a second: one after the other, and in batches.")
        {
            json, rounds, seconds, connections,
        };
        command.SetAction(result =>
        {
            var options = new MovesBenchmarkOptions
            {
                Rounds = result.GetValue(rounds),
                Seconds = result.GetValue(seconds),
                Connections = result.GetValue(connections),
            };
            return CdnCommand.Guard(token => RunAsync(options, result.GetValue(json), token));
        });
        return command;
    }

    private static async Task<int> RunAsync(MovesBenchmarkOptions options, bool json, CancellationToken cancellation)
    {
        if (options.Rounds < 1 || !(options.Seconds > 0 && options.Seconds <= 60) || options.Connections is < 1 or > MostConnections)
        {
            throw new CommandException(
                FormattableString.Invariant($"--rounds is at least 1, --seconds up to 60, --connections 1 to {MostConnections}"),
                ExitStatus.Usage);
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("bench moves needs root: it works with network namespaces");
        }

        IReadOnlyList<MovesRow> rows = await MovesBenchmark.RunAsync(options, cancellation);
        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize([.. rows], JsonFormat.Default.MovesRowArray));
        }
        else
        {
            Terminal.Result(ToTable(rows));
            Terminal.Result("Idle connections, all from one edge to the other and back; the daemons and what they receive have one CPU. "
                + "CPU: both daemons, one as the origin and one as the target. Kernel: one connection on one node, without daemons: "
                + "the system calls between holding packets and sending them on, which save and restore it.");
        }

        return ExitStatus.Done;
    }

    private static Table ToTable(IReadOnlyList<MovesRow> rows)
    {
        Table table = new() { Border = TableBorder.Simple };
        table.AddColumn("way");
        foreach (string heading in (string[])["connections", "moves/s", "freeze p50 us", "freeze p99 us", "CPU us/move"])
        {
            table.AddColumn(new TableColumn(heading).RightAligned());
        }

        foreach (MovesRow row in rows)
        {
            table.AddRow(row.Way, Number(row.Connections), Number(row.MovesPerSecond), Number(row.FreezeP50Microseconds),
                Number(row.FreezeP99Microseconds), Number(row.CpuMicrosecondsPerMove));
        }

        return table;
    }

    private static string Number(double value) => value.ToString("0", CultureInfo.InvariantCulture);
}
