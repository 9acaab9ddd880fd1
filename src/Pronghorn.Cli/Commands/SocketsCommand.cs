// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
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
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("ss", "List the sockets of programs on the stack, in the form of ss(8).")
        {
            listening, all, information, processes, tcp, numeric, json,
        };
        command.SetAction(result => Run(
            new SocketListingOptions(
                result.GetValue(listening), result.GetValue(all), result.GetValue(information), result.GetValue(processes)),
            result.GetValue(json)));
        return command;
    }

    private static int Run(SocketListingOptions options, bool json)
    {
        IEnumerable<SocketSnapshot> sockets = StatisticsDirectory.Read(null).SelectMany(process => process.Sockets);
        IReadOnlyList<SocketSnapshot> selected = SocketListing.Select(sockets, options);
        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize([.. selected], JsonFormat.Default.SocketSnapshotArray));
            return ExitStatus.Done;
        }

        foreach (string line in SocketListing.Format(selected, options))
        {
            Terminal.Result(line);
        }

        return ExitStatus.Done;
    }
}
