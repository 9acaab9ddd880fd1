// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using Pronghorn.Cli.Benchmarks;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn bench</c>: the kernel and Pronghorn side by side in one run.</summary>
internal static class BenchCommand
{
    private const double QuickSeconds = 1.6;
    private const double FullSeconds = 2.5;

    internal static Command Create() => new("bench", "Measure what the kernel has and Pronghorn side by side in one run.")
    {
        CreateRedis(),
        BenchServicesCommand.Create(),
        BenchHandoffCommand.Create(),
        BenchMovesCommand.Create(),
    };

    private static Command CreateRedis()
    {
        Option<bool> quick = new("--quick") { Description = "Four workloads instead of all: under 100 seconds." };
        Option<bool> json = new("--json") { Description = "Print one JSON array and nothing else." };
        Option<int> rounds = new("--rounds")
        {
            Description = "Measured rounds.",
            DefaultValueFactory = _ => 3,
        };
        Option<double?> seconds = new("--seconds") { Description = "Length that one run is sized for." };
        Option<string> ways = new("--ways")
        {
            Description = "Which ends run on Pronghorn: a list of kernel (none), server, both.",
            DefaultValueFactory = _ => "kernel,server,both",
        };
        Option<string?> only = new("--only")
        {
            Description = "Only the workloads whose name contains this text, such as \"GET c=50 P=1 d=3\".",
        };
        Option<bool> fifo = new("--fifo")
        {
            Description = "Run both programs under SCHED_FIFO: for figures from a machine that others use too.",
        };
        Command command = new("redis", "Debian's redis-server and redis-benchmark in two network namespaces.")
        {
            quick, json, rounds, seconds, ways, only, fifo,
        };
        command.SetAction(result =>
        {
            bool isQuick = result.GetValue(quick);
            return Run(
                isQuick,
                result.GetValue(json),
                result.GetValue(rounds),
                result.GetValue(seconds) ?? (isQuick ? QuickSeconds : FullSeconds),
                result.GetValue(ways)!,
                result.GetValue(only),
                result.GetValue(fifo));
        });
        return command;
    }

    private static int Run(bool quick, bool json, int rounds, double seconds, string ways, string? only, bool fifo)
    {
        if (rounds < 1 || !(seconds > 0 && seconds <= 30))
        {
            throw new CommandException("--rounds is at least 1, --seconds more than 0 and at most 30", ExitStatus.Usage);
        }

        IReadOnlyList<RedisWorkload> workloads =
        [
            .. (quick ? RedisWorkload.Quick : RedisWorkload.Full)
                .Where(workload => only is null || workload.ToString().Contains(only, StringComparison.OrdinalIgnoreCase)),
        ];
        if (workloads.Count == 0)
        {
            throw new CommandException($"--only: no workload's name contains '{only}'", ExitStatus.Usage);
        }

        IReadOnlyList<BenchmarkWay> wanted = BenchmarkWays.Parse(ways);
        bool needsLibrary = wanted.Count > 1 || wanted[0] != BenchmarkWay.Kernel;
        RedisBenchmarkOptions options = new(
            workloads,
            wanted,
            rounds,
            seconds,
            fifo,
            needsLibrary ? InstallLayout.RequireLibraryDirectory() : null);

        BenchmarkOutcome outcome = RedisBenchmark.Run(options);
        if (json)
        {
            Terminal.Result(BenchmarkReport.ToJson(outcome.Records));
        }
        else
        {
            Terminal.Result(BenchmarkReport.ToTable(outcome.Records));
            foreach (string line in BenchmarkReport.Conditions(options))
            {
                Terminal.Result(line);
            }
        }

        return outcome.Failures.Count == 0 ? ExitStatus.Done : ExitStatus.Failed;
    }
}
