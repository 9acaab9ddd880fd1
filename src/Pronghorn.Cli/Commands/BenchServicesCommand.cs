// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using Pronghorn.Cli.Benchmarks.Services;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn bench services</c>.</summary>
internal static class BenchServicesCommand
{
    private const string QuickServices = "1,1000,10000";
    private const string FullServices = "1,1000,10000,20000,50000";
    private const double QuickSeconds = 0.5;
    private const double FullSeconds = 1.5;
    private const int LargestCount = 60_000;

    internal static Command Create()
    {
        Option<bool> quick = new("--quick") { Description = $"{QuickServices} services, first and last position, short runs." };
        Option<bool> json = new("--json") { Description = "Print one JSON array and nothing else." };
        Option<int> rounds = new("--rounds") { Description = "Measured rounds.", DefaultValueFactory = _ => 3 };
        Option<double?> seconds = new("--seconds") { Description = "Length of one run." };
        Option<string?> services = new("--services") { Description = $"Numbers of services: a list, {FullServices} if not given." };
        Option<int> endpoints = new("--endpoints") { Description = "Endpoints of each service.", DefaultValueFactory = _ => 4 };
        Option<int> ports = new("--ports")
        {
            Description = "Ports of each service, except those with a node port; clients use the last one.",
            DefaultValueFactory = _ => 1,
        };
        Option<string> ways = new("--ways")
        {
            Description = $"Which ways: a list of {string.Join(", ", ServicesBenchmarkOptions.AllWays)}.",
            DefaultValueFactory = _ => string.Join(',', ServicesBenchmarkOptions.AllWays),
        };
        Option<string> parts = new("--parts")
        {
            Description = $"What to measure: a list of {string.Join(", ", ServicesBenchmarkOptions.AllParts)}.",
            DefaultValueFactory = _ => string.Join(',', ServicesBenchmarkOptions.AllParts),
        };
        Option<double> limit = new("--load-limit")
        {
            Description = "Seconds after which a way whose services are not set up yet is left out.",
            DefaultValueFactory = _ => 150,
        };
        Command command = new("services", "Services through Pronghorn and through kube-proxy's kinds of rules, in namespaces.")
        {
            quick, json, rounds, seconds, services, endpoints, ports, ways, parts, limit,
        };
        command.SetAction(result =>
        {
            bool isQuick = result.GetValue(quick);
            return Run(
                new ServicesBenchmarkOptions
                {
                    Services = Numbers(result.GetValue(services) ?? (isQuick ? QuickServices : FullServices)),
                    Endpoints = result.GetValue(endpoints),
                    Ports = result.GetValue(ports),
                    Ways = Words(result.GetValue(ways)!, "--ways", ServicesBenchmarkOptions.AllWays),
                    Parts = Words(result.GetValue(parts)!, "--parts", ServicesBenchmarkOptions.AllParts),
                    Rounds = result.GetValue(rounds),
                    Seconds = result.GetValue(seconds) ?? (isQuick ? QuickSeconds : FullSeconds),
                    FewPositions = isQuick,
                    LoadLimit = TimeSpan.FromSeconds(result.GetValue(limit)),
                },
                result.GetValue(json));
        });
        return command;
    }

    private static int Run(ServicesBenchmarkOptions options, bool json)
    {
        if (options.Rounds < 1 || !(options.Seconds > 0 && options.Seconds <= 30) || options.Endpoints is < 1 or > 64
            || options.Ports is < 1 or > 64
            || !(options.LoadLimit > TimeSpan.Zero && options.LoadLimit <= TimeSpan.FromHours(1)))
        {
            throw new CommandException(
                "--rounds is at least 1, --seconds more than 0 and at most 30, --endpoints and --ports 1 to 64, --load-limit at most 3600",
                ExitStatus.Usage);
        }

        ServiceResults results = ServicesBenchmark.Run(options);
        if (json)
        {
            Terminal.Result(ServiceReport.ToJson(results.ToRows()));
        }
        else
        {
            Terminal.Result(ServiceReport.ToTable(results));
            foreach (string line in ServiceReport.Conditions(options))
            {
                Terminal.Result(line);
            }
        }

        return results.Failures.Count == 0 ? ExitStatus.Done : ExitStatus.Failed;
    }

    private static IReadOnlyList<int> Numbers(string list)
    {
        List<int> numbers = [];
        foreach (string word in list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number is < 1 or > LargestCount)
            {
                throw new CommandException($"--services: '{word}' is no number from 1 to {LargestCount}", ExitStatus.Usage);
            }

            numbers.Add(number);
        }

        return numbers.Count > 0
            ? [.. numbers.Distinct().Order()]
            : throw new CommandException("--services: name at least one", ExitStatus.Usage);
    }

    private static IReadOnlyList<string> Words(string list, string option, IReadOnlyList<string> known)
    {
        string[] words = list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words.FirstOrDefault(word => !known.Contains(word)) is string wrong)
        {
            throw new CommandException($"{option}: '{wrong}' is none of {string.Join(", ", known)}", ExitStatus.Usage);
        }

        return words.Length > 0
            ? [.. known.Where(words.Contains)]
            : throw new CommandException($"{option}: name at least one", ExitStatus.Usage);
    }
}
