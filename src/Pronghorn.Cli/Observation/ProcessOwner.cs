// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Cli.Observation;

/// <summary>Whose a process is. The owner of /proc/PID does not tell: it is root where a process may not be dumped.</summary>
internal static class ProcessOwner
{
    /// <summary>Whether a user may speak for a process: root, and whoever the process runs as (real, effective, saved).</summary>
    /// <returns>True also when there is no such process: nothing is claimed of it then.</returns>
    internal static bool MayKeepPage(int pid, uint user)
    {
        if (user == 0)
        {
            return true;
        }

        try
        {
            string path = string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/status");
            return Users(File.ReadAllText(path)).Contains(user);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return !Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}"));
        }
    }

    /// <summary>The ids in the line "Uid:" of a process's status (proc(5)).</summary>
    internal static uint[] Users(string status) =>
    [
        .. status.Split('\n').Where(line => line.StartsWith("Uid:", StringComparison.Ordinal))
            .SelectMany(line => line["Uid:".Length..].Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            .Select(word => uint.Parse(word, CultureInfo.InvariantCulture)),
    ];
}
