// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Benchmarks.Handoff;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn bench handoff</c>.</summary>
internal static class BenchHandoffCommand
{
    private const int MostServers = 16;
    private const double QuickSeconds = 1;
    private const double FullSeconds = 2.5;

    internal static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = "2 and 4 servers, short runs: about a minute and a half." };
        Option<bool> json = new("--json") { Description = "Print one JSON array and nothing else." };
        Option<int> rounds = new("--rounds") { Description = "Measured rounds.", DefaultValueFactory = _ => 3 };
        Option<double?> seconds = new("--seconds") { Description = "Length of one run." };
        Option<string?> servers = new("--servers") { Description = "Numbers of edge servers: a list, 2,3,4 if not given." };
        Option<int> connections = new("--connections") { Description = "Clients' connections at a time.", DefaultValueFactory = _ => 32 };
        Option<int> requests = new("--requests") { Description = "Requests of a connection.", DefaultValueFactory = _ => 16 };
        Option<int> size = new("--size") { Description = "Bytes of a file.", DefaultValueFactory = _ => 4 << 20 };
        Option<int> switches = new("--switch")
        {
            Description = "Of 100 requests on a connection, how many are for another file than the one before.",
            DefaultValueFactory = _ => 0,
        };
        Command command = new("handoff", "Edge servers that relay contents to each other, and that hand connections off.")
        {
            quick, json, rounds, seconds, servers, connections, requests, size, switches,
        };
        command.SetAction(result =>
        {
            bool isQuick = result.GetValue(quick);
            var options = new HandoffBenchmarkOptions
            {
                Servers = [.. (result.GetValue(servers) ?? (isQuick ? "2,4" : "2,3,4")).Split(',').Select(ReadCount)],
                Rounds = result.GetValue(rounds),
                Seconds = result.GetValue(seconds) ?? (isQuick ? QuickSeconds : FullSeconds),
                Connections = result.GetValue(connections),
                Requests = result.GetValue(requests),
                Size = result.GetValue(size),
                SwitchPercent = result.GetValue(switches),
            };
            return CdnCommand.Guard(token => RunAsync(options, result.GetValue(json), token));
        });
        return command;
    }

    private static int ReadCount(string text) => int.TryParse(text, out int count) && count is >= 1 and <= MostServers
        ? count
        : throw new CommandException($"--servers: '{text}' is no number from 1 to {MostServers}", ExitStatus.Usage);

    private static async Task<int> RunAsync(HandoffBenchmarkOptions options, bool json, CancellationToken cancellation)
    {
        if (options.Rounds < 1 || !(options.Seconds > 0 && options.Seconds <= 60) || options.Connections is < 1 or > 1000
            || options.Requests < 1 || options.Size is < 1 or > 1 << 30 || options.SwitchPercent is < 0 or > 100)
        {
            throw new CommandException(
                "--rounds and --requests are at least 1, --seconds up to 60, --connections 1 to 1000, --size up to 1 GiB, "
                    + "--switch 0 to 100",
                ExitStatus.Usage);
        }

        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("bench handoff needs root: it works with network namespaces");
        }

        (IReadOnlyList<HandoffRow> rows, IReadOnlyList<string> failures) = await HandoffBenchmark.RunAsync(options, cancellation);
        if (json)
        {
            Terminal.Result(HandoffReport.ToJson(rows));
        }
        else
        {
            Terminal.Result(HandoffReport.ToTable(rows));
            foreach (string line in HandoffReport.Conditions(options))
            {
                Terminal.Result(line);
            }
        }

        foreach (string failure in failures)
        {
            Terminal.Note(failure);
        }

        return failures.Count == 0 ? ExitStatus.Done : ExitStatus.Failed;
    }
}
