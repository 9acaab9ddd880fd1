// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>Finds the process behind an XDP program: the one that has its link open (proc(5), /proc/PID/fdinfo).</summary>
internal static class XdpOwners
{
    /// <summary>The process that holds a program attached, as "NAME (pid N)"; null where none may be seen to.</summary>
    /// <param name="programId">The program's id, as bpftool shows it.</param>
    internal static string? Find(int programId) =>
        Directory.EnumerateDirectories("/proc")
            .Select(directory => Path.GetFileName(directory))
            .Where(name => name.All(char.IsAsciiDigit))
            .Select(name => int.Parse(name, CultureInfo.InvariantCulture))
            .Order()
            .Where(pid => Holds(pid, programId))
            .Select(Describe)
            .FirstOrDefault();

    private static bool Holds(int pid, int programId)
    {
        try
        {
            return new DirectoryInfo($"/proc/{pid}/fd").EnumerateFileSystemInfos()
                .Where(file => file.LinkTarget?.Contains("bpf_link", StringComparison.Ordinal) == true)
                .Any(file => HasProgram($"/proc/{pid}/fdinfo/{file.Name}", programId));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false; // gone meanwhile, or somebody else's
        }
    }

    private static bool HasProgram(string path, int programId)
    {
        string[][] lines = [.. File.ReadLines(path).Select(line => line.Split(':', StringSplitOptions.TrimEntries))];
        return lines.Any(line => line is ["link_type", "xdp"])
            && lines.Any(line => line is ["prog_id", string id]
                && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number == programId);
    }

    private static string Describe(int pid)
    {
        try
        {
            return $"{File.ReadAllText($"/proc/{pid}/comm").Trim()} (pid {pid})";
        }
        catch (IOException)
        {
            return $"pid {pid}";
        }
    }
}
