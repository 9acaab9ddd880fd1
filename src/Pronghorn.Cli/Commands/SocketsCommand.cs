// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.CommandLine;
using System.Text.Json;
using Pronghorn.Cli.Observation;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn ss</c>: the sockets of the programs on the stack.</summary>
internal static class SocketsCommand
{
    internal static Command Create()
    {
        Option<bool> listening = new("--listening", "-l") { Description = "Listeners only." };
        Option<bool> all = new("--all", "-a") { Description = "Listeners and connections." };
        Option<bool> information = new("--info", "-i") { Description = "How each connection fares." };
        Option<bool> processes = new("--processes", "-p") { Description = "The program that owns each." };
        Option<bool> tcp = new("--tcp", "-t") { Description = "TCP; there is nothing else yet." };
        Option<bool> numeric = new("--numeric", "-n") { Description = "Numbers, not names; always so." };
        Option<bool> namespaces = new("--all-namespaces", "-A") { Description = "Programs in other network namespaces, too." };
        Option<int?> pid = new("--pid") { Description = "Only this process, in whichever namespace it is." };
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Argument<string[]> filter = new("filter")
        {
            Description = "As ss(8) has it: state established, sport = :6379, dst 10.0.0.1 and not dport = :80.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Command command = new("ss", "List the sockets of programs on the stack, in the form of ss(8).")
        {
            listening, all, information, processes, tcp, numeric, namespaces, pid, json, filter,
        };
        command.SetAction(result =>
        {
            SocketListingOptions options = new(
                result.GetValue(listening), result.GetValue(all), result.GetValue(information), result.GetValue(processes));
            SocketFilter wanted = SocketFilter.Parse(result.GetValue(filter) ?? []);
            return Run(options, wanted, result.GetValue(namespaces), result.GetValue(pid), result.GetValue(json));
        });
        return command;
    }

    private static int Run(SocketListingOptions options, SocketFilter filter, bool everywhere, int? pid, bool json)
    {
        List<SocketSnapshot> selected = [];
        int socketsElsewhere = 0;
        int programsElsewhere = 0;
        foreach (ProcessSnapshot process in StatisticsDirectory.Read(pid))
        {
            IReadOnlyList<SocketSnapshot> found = SocketListing.Select(process.Sockets, options, filter);
            if (!everywhere && pid is null && found.Count > 0 && NetworkNamespaces.IsElsewhere(process.Pid))
            {
                socketsElsewhere += found.Count;
                programsElsewhere++;
            }
            else
            {
                selected.AddRange(found);
            }
        }

        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize([.. selected], JsonFormat.Default.SocketSnapshotArray));
        }
        else
        {
            foreach (string line in SocketListing.Format(selected, options))
            {
                Terminal.Result(line);
            }
        }

        if (programsElsewhere > 0)
        {
            Terminal.Note(
                $"{SocketListing.Count(socketsElsewhere, "more socket")} of {SocketListing.Count(programsElsewhere, "program")} "
                + "in other network namespaces: --all-namespaces lists them");
        }

        return ExitStatus.Done;
    }
}
