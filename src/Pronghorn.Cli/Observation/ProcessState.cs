// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Cli.Observation;

/// <summary>What the kernel says that a process does: the states in /proc/PID/task/*/stat (proc(5)).</summary>
internal static class ProcessState
{
    /// <summary>
    /// The letter of its first thread, as 'S', or 'R' where any of its threads runs; null where there is no such process or its state
    /// may not be read.
    /// </summary>
    internal static char? Read(int pid)
    {
        try
        {
            string place = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}");
            char? first = ReadFile(Path.Combine(place, "stat"));
            string[] threads = first is 'S' ? Directory.GetDirectories(Path.Combine(place, "task")) : [];
            return threads.Any(static thread => ReadFile(Path.Combine(thread, "stat")) is 'R') ? 'R' : first;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // A thread may end meanwhile.
    private static char? ReadFile(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The state in the line; the program's name before it may have blanks and brackets. Null where there is none.</summary>
    internal static char? Parse(string line)
    {
        int at = line.LastIndexOf(')') + 2;
        return at is 1 || at >= line.Length ? null : line[at];
    }

    /// <summary>Why a program does not answer, which a running one does at its next call.</summary>
    internal static string Explain(char? state) => state switch
    {
        'T' or 't' => "is stopped, by a signal or a debugger",
        'R' => "computes, and calls nothing",
        'D' => "waits for a disk or the like",
        _ => "is idle",
    };
}
