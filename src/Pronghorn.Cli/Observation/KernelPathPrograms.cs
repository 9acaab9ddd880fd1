// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Cli.Observation;

/// <summary>
/// Programs that have the stack loaded and keep no page: they could not start it and run on the kernel's path, or were forked
/// by one that has it. What they said of it may have gone where nobody reads, as a daemon's standard error does.
/// </summary>
internal static class KernelPathPrograms
{
    private const string Core = "/libpronghorn-core.so";

    /// <summary>Finds them among the processes that may be looked into (proc_pid_maps(5)).</summary>
    /// <param name="onStack">The processes that have a page.</param>
    internal static IReadOnlyList<int> Find(IEnumerable<int> onStack)
    {
        HashSet<int> known = [.. onStack];
        return
        [
            .. Directory.EnumerateDirectories("/proc").Select(IdOf)
                .Where(pid => pid > 0 && !known.Contains(pid) && HasCore(pid)).Order(),
        ];
    }

    private static int IdOf(string directory) =>
        int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0;

    private static bool HasCore(int pid)
    {
        try
        {
            return File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/maps"))
                .Any(line => line.EndsWith(Core, StringComparison.Ordinal));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Gone, or another user's.
            return false;
        }
    }
}
