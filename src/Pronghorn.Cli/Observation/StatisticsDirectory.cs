// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Runtime.Statistics;

namespace Pronghorn.Cli.Observation;

/// <summary>Finds the programs on the stack by the pages that they keep in a directory, one for each process.</summary>
internal static class StatisticsDirectory
{
    /// <summary>Reads every page whose owner lives; the page of a process that is gone says nothing any more.</summary>
    /// <param name="wanted">One process, or null for all.</param>
    internal static IReadOnlyList<ProcessSnapshot> Read(int? wanted)
    {
        IReadOnlyList<string> places = StatisticsPlaces.ForReading();
        List<ProcessSnapshot> found = [];
        RemoveStale();
        foreach (string place in places)
        {
            foreach (int pid in ProcessIds(place).Where(pid => wanted is null || pid == wanted))
            {
                string? program = ProgramName(pid);
                if (program is not null && StatisticsDecoder.TryRead(place, pid, program) is ProcessSnapshot snapshot)
                {
                    found.Add(snapshot);
                }
            }
        }

        return wanted is null || found.Count > 0
            ? found
            : throw new CommandException($"process {wanted} is not on the stack: it has no page in {string.Join(" or ", places)}");
    }

    /// <summary>Removes the pages of killed programs from where this user keeps pages.</summary>
    internal static void RemoveStale()
    {
        foreach (string place in StatisticsPlaces.ForCleaning())
        {
            RemoveStale(place);
        }
    }

    /// <summary>Removes the pages of a directory, but not of one behind a link, whose owners were killed before they could.</summary>
    internal static void RemoveStale(string directory)
    {
        if (new DirectoryInfo(directory).LinkTarget is not null)
        {
            return;
        }

        foreach (int pid in ProcessIds(directory).Where(pid => !Directory.Exists($"/proc/{pid}")))
        {
            try
            {
                File.Delete(Path.Combine(directory, pid.ToString(CultureInfo.InvariantCulture)));
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // Somebody else's to remove; it does no harm.
            }
        }
    }

    /// <summary>The names in a directory that are process ids, in order.</summary>
    internal static IEnumerable<int> ProcessIds(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return [];
        }

        return FilesOf(directory)
            .Select(file => int.TryParse(
                Path.GetFileName(file), NumberStyles.None, CultureInfo.InvariantCulture, out int pid) ? pid : 0)
            .Where(pid => pid > 0)
            .Order();
    }

    private static string[] FilesOf(string directory)
    {
        try
        {
            return Directory.GetFiles(directory);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Another user's own, or gone meanwhile.
            return [];
        }
    }

    // A killed program stays in the table, without memory or descriptors, until its parent asks for its status.
    private static string? ProgramName(int pid)
    {
        try
        {
            return ProcessState.Read(pid) is null or 'Z' or 'X' ? null : File.ReadAllText($"/proc/{pid}/comm").Trim();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
