// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace Pronghorn.Lab;

/// <summary>
/// A control group of its own in the cgroup v2 hierarchy (cgroups(7)), for programs that are to be seen by cgroup BPF programs while
/// nothing else on the machine is. It is removed when disposed, when this process ends, and by <see cref="LabCleanup.RemoveStale"/>.
/// </summary>
public sealed class ControlGroup : IDisposable
{
    private const int Attempts = 50;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    private ControlGroup(string path) => Path = path;

    /// <summary>Its folder.</summary>
    public string Path { get; }

    /// <summary>Makes a group below the root of the hierarchy.</summary>
    /// <param name="name">Its name; see <see cref="LabCleanup.CreatePrefix"/>.</param>
    /// <param name="keep">Whether it outlives this process; then only <see cref="Remove"/> removes it.</param>
    /// <exception cref="LabException">No cgroup v2 hierarchy is mounted, or it cannot be written.</exception>
    public static ControlGroup Create(string name, bool keep = false)
    {
        string root = FindRoot() ?? throw new LabException("no cgroup2 file system is mounted (see cgroups(7)): it is needed to attach to");
        string path = System.IO.Path.Combine(root, name);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new LabException($"the control group {path} cannot be made: {failure.Message}", failure);
        }

        var created = new ControlGroup(path);
        if (!keep)
        {
            LabCleanup.Register(created);
        }

        return created;
    }

    /// <summary>Removes the group of a name, whoever made it; nothing happens while it has processes.</summary>
    public static void Remove(string name)
    {
        if (FindRoot() is string root)
        {
            RemoveFolder(System.IO.Path.Combine(root, name));
        }
    }

    /// <summary>
    /// The words that put a program into the group: a shell that enters it and becomes the program, so the process id stays.
    /// </summary>
    /// <param name="file">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    public IReadOnlyList<string> Enter(string file, params IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        return ["sh", "-c", "echo 0 > \"$0/cgroup.procs\" && exec \"$@\"", Path, file, .. arguments];
    }

    /// <summary>Removes the group, whose processes have ended.</summary>
    public void Dispose()
    {
        if (LabCleanup.Unregister(this))
        {
            RemoveFolder(Path);
        }
    }

    /// <summary>Names of the groups right below the root.</summary>
    internal static IEnumerable<string> List() => FindRoot() is string root
        ? Directory.EnumerateDirectories(root).Select(path => System.IO.Path.GetFileName(path))
        : [];

    private static string? FindRoot() =>
        (from line in File.ReadLines("/proc/self/mounts")
         let fields = line.Split(' ')
         where fields.Length > 2 && fields[2] == "cgroup2"
         select fields[1]).FirstOrDefault();

    private static void RemoveFolder(string path)
    {
        for (int attempt = 0; attempt < Attempts && Directory.Exists(path); attempt++)
        {
            try
            {
                Directory.Delete(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // A process in it has not quite ended. If it never does, the next clean-up removes the group.
                Thread.Sleep(s_pause);
            }
        }
    }
}
