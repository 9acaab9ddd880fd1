// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Devices;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>What the kernel says about itself and about this process, read from files below a root.</summary>
/// <remarks>The root is "/" but in tests, which bring their own /proc and /sys.</remarks>
internal sealed class Machine(string root = "/")
{
    /// <summary>The text of a file, trimmed; null where it cannot be read.</summary>
    internal string? Read(string path)
    {
        try
        {
            return File.ReadAllText(Path.Combine(root, path)).Trim();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Whether a file is there.</summary>
    internal bool Exists(string path) => File.Exists(Path.Combine(root, path));

    /// <summary>The lines of a file; none where it cannot be read.</summary>
    internal IEnumerable<string> Lines(string path) => (Read(path) ?? "").Split('\n');

    /// <summary>The value behind "NAME:" in a file such as /proc/meminfo; null where there is none.</summary>
    internal string? Field(string path, string name) =>
        Lines(path)
            .Where(line => line.StartsWith(name + ":", StringComparison.Ordinal))
            .Select(line => line[(name.Length + 1)..].Trim())
            .FirstOrDefault();

    /// <summary>Version of the kernel, major and minor; 0.0 where it cannot be told.</summary>
    internal Version KernelVersion
    {
        get
        {
            string[] words = (Read("proc/sys/kernel/osrelease") ?? "").Split('.', '-', '+');
            return words.Length >= 2
                && int.TryParse(words[0], CultureInfo.InvariantCulture, out int major)
                && int.TryParse(words[1], CultureInfo.InvariantCulture, out int minor)
                    ? new Version(major, minor)
                    : new Version(0, 0);
        }
    }

    /// <summary>Whether this process has a capability in effect, by its number in capability.h.</summary>
    internal bool HasCapability(int number) =>
        ulong.TryParse(
            Field("proc/self/status", "CapEff"), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong set)
        && ((set >> number) & 1) != 0;

    /// <summary>Frames that a program started from here would have.</summary>
    internal int FrameCount { get; init; } = XdpDeviceOptions.DefaultFrameCount;

    /// <summary>The hard limit on locked memory in bytes; null where there is none.</summary>
    internal long? LockedMemoryLimit
    {
        get
        {
            const string Name = "Max locked memory";
            string? line = Lines("proc/self/limits").FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
            string? word = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(1);
            return long.TryParse(word, CultureInfo.InvariantCulture, out long bytes) ? bytes : null;
        }
    }
}
