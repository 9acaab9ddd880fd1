// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;

namespace Pronghorn.Lab;

/// <summary>
/// Sees to it that no namespace or control group outlives its maker: names carry the maker's process id, so that whoever comes
/// next can tell what a killed process left.
/// </summary>
public static class LabCleanup
{
    private const string NameStart = "ph";

    private static readonly Lock s_lock = new();
    private static readonly List<IDisposable> s_made = [];
    private static readonly List<PosixSignalRegistration> s_signals = [];
    private static int s_lastPrefix;

    /// <summary>A prefix for names that no other process and no other call uses: "ph", process id, number.</summary>
    public static string CreatePrefix()
    {
        int number = Interlocked.Increment(ref s_lastPrefix);
        return string.Create(CultureInfo.InvariantCulture, $"{NameStart}{Environment.ProcessId}n{number}");
    }

    /// <summary>Removes the namespaces and control groups whose makers are dead. Returns their names.</summary>
    public static IReadOnlyList<string> RemoveStale()
    {
        List<string> removed = [];
        foreach (string line in LabCommand.TryRun("ip", "netns", "list").Output.Split('\n'))
        {
            string name = line.Split(' ')[0];
            if (TryGetMaker(name, out int maker) && !Directory.Exists($"/proc/{maker}"))
            {
                NetworkNamespace.Remove(name);
                removed.Add(name);
            }
        }

        foreach (string name in ControlGroup.List())
        {
            if (TryGetMaker(name, out int maker) && !Directory.Exists($"/proc/{maker}"))
            {
                ControlGroup.Remove(name);
                removed.Add(name);
            }
        }

        return removed;
    }

    /// <summary>The process id in a name made from <see cref="CreatePrefix"/>.</summary>
    public static bool TryGetMaker(string name, out int processId)
    {
        ArgumentNullException.ThrowIfNull(name);
        processId = 0;
        int end = name.IndexOf('n', StringComparison.Ordinal);
        return name.StartsWith(NameStart, StringComparison.Ordinal)
            && end > NameStart.Length
            && int.TryParse(
                name.AsSpan(NameStart.Length, end - NameStart.Length),
                NumberStyles.None,
                CultureInfo.InvariantCulture,
                out processId);
    }

    internal static void Register(IDisposable created)
    {
        lock (s_lock)
        {
            if (s_signals.Count == 0)
            {
                AppDomain.CurrentDomain.ProcessExit += static (_, _) => RemoveAll();

                // Not cancelled: after this the signal does what it does by default, and ends the process.
                foreach (PosixSignal signal in (PosixSignal[])
                    [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT])
                {
                    s_signals.Add(PosixSignalRegistration.Create(signal, static _ => RemoveAll()));
                }
            }

            s_made.Add(created);
        }
    }

    /// <summary>Returns whether it was still registered, and so is the caller's to remove.</summary>
    internal static bool Unregister(IDisposable disposed)
    {
        lock (s_lock)
        {
            return s_made.Remove(disposed);
        }
    }

    private static void RemoveAll()
    {
        IDisposable[] left;
        lock (s_lock)
        {
            // The last first: groups are made before the namespaces whose processes are in them.
            left = [.. Enumerable.Reverse(s_made)];
        }

        foreach (IDisposable item in left)
        {
            item.Dispose();
        }
    }
}
