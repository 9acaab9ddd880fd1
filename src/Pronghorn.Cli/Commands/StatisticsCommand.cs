// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Text.Json;
using Pronghorn.Cli.Observation;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn stat</c>: what the programs on the stack counted.</summary>
internal static class StatisticsCommand
{
    internal static Command Create()
    {
        Argument<int?> pid = new("pid")
        {
            Description = "One process; without it, all.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> all = new("--all", "-a") { Description = "Counters that are zero, too." };
        Option<bool> json = new("--json") { Description = "Print one JSON document, with every counter, and nothing else." };
        Command command = new("stat", "Show what programs on the stack counted, with a reason for each drop.")
        {
            pid, all, json,
        };
        command.SetAction(result => Run(result.GetValue(pid), result.GetValue(all), result.GetValue(json)));
        return command;
    }

    private static int Run(int? pid, bool all, bool json)
    {
        IReadOnlyList<ProcessSnapshot> processes = StatisticsDirectory.Read(pid);
        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize([.. processes], JsonFormat.Default.ProcessSnapshotArray));
            NoteKernelPath(pid, processes);
            return ExitStatus.Done;
        }

        if (processes.Count == 0)
        {
            Terminal.Note("no program is on the stack");
        }

        foreach (ProcessSnapshot process in processes)
        {
            Terminal.Result($"{process.Program} (pid {process.Pid}), {SocketListing.Count(process.Sockets.Length, "socket")}");
            foreach (CounterSnapshot counter in process.Counters.Where(counter => all || counter.Value != 0))
            {
                Terminal.Result($"  {(counter.IsDrop ? "drop." : "")}{counter.Name,-40} {counter.Value,15}");
            }
        }

        NoteKernelPath(pid, processes);
        return ExitStatus.Done;
    }

    private static void NoteKernelPath(int? wanted, IReadOnlyList<ProcessSnapshot> onStack)
    {
        if (wanted is not null)
        {
            return;
        }

        foreach (int pid in KernelPathPrograms.Find(onStack.Select(process => process.Pid)))
        {
            Terminal.Note(
                $"process {pid} has the library and no page: it runs on the kernel's path (its standard error, or the system's "
                + "log for a daemon, says why), or was forked by a program on the stack");
        }
    }
}
