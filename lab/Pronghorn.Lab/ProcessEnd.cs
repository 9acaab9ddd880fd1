// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Lab;

/// <summary>
/// Ends processes that may be anybody's children. All are signalled before any is waited for, and a zombie has ended: when its parent
/// takes notice of it is the parent's matter, and process 1 of a container may take seconds for each.
/// </summary>
public static class ProcessEnd
{
    private const int Terminate = 15; // SIGTERM
    private const int KillSignal = 9; // SIGKILL
    private const int FieldsBeforeState = 2;
    private const int StateField = 3; // proc_pid_stat(5) counts from 1.
    private const int StartField = 22;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_killed = TimeSpan.FromSeconds(5);

    /// <summary>Asks processes to end (SIGTERM), and kills those that have not ended by themselves within a time.</summary>
    /// <param name="ids">Their ids; those of processes that have ended meanwhile do nothing.</param>
    /// <param name="grace">How long all of them have together.</param>
    /// <returns>Whether all have ended.</returns>
    public static bool EndAll(IEnumerable<int> ids, TimeSpan grace)
    {
        List<Running> left = Find(ids);
        Signal(left, Terminate);
        return Wait(left, grace) || KillAll(left);
    }

    /// <summary>Kills processes (SIGKILL) and waits until they have ended, for five seconds at most: one may hang in the kernel.</summary>
    /// <param name="ids">Their ids.</param>
    /// <returns>Whether all have ended.</returns>
    public static bool KillAll(IEnumerable<int> ids) => KillAll(Find(ids));

    private static bool KillAll(List<Running> left)
    {
        Signal(left, KillSignal);
        return Wait(left, s_killed);
    }

    private static List<Running> Find(IEnumerable<int> ids) => [.. ids.Select(Read).OfType<Running>()];

    private static void Signal(List<Running> processes, int signal) =>
        processes.ForEach(process => _ = Libc.SendSignal(process.Id, signal));

    /// <summary>Waits until all have ended, for so long at most; those that have not are left in the list.</summary>
    private static bool Wait(List<Running> left, TimeSpan limit)
    {
        long began = Stopwatch.GetTimestamp();
        while (true)
        {
            left.RemoveAll(static process => Read(process.Id) != process);
            if (left.Count == 0 || Stopwatch.GetElapsedTime(began) >= limit)
            {
                return left.Count == 0;
            }

            Thread.Sleep(s_pause);
        }
    }

    /// <summary>The process that has an id; null where there is none, or only what its parent has not waited for.</summary>
    private static Running? Read(int id)
    {
        string folder = FormattableString.Invariant($"/proc/{id}");
        try
        {
            // The name, in parentheses, may have blanks and parentheses in it.
            string stat = File.ReadAllText(folder + "/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            bool isZombie = fields[StateField - FieldsBeforeState - 1] is "Z" or "X";

            // That of a first thread which has ended while others run looks the same.
            return isZombie && Directory.GetDirectories(folder + "/task").Length <= 1
                ? null
                : new Running(id, fields[StartField - FieldsBeforeState - 1]);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>A process: its id may be another's once it has ended, which began later.</summary>
    private readonly record struct Running(int Id, string Began);
}
