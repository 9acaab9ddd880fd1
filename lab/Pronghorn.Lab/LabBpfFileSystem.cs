// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Threading;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Lab;

/// <summary>
/// A BPF file system of a lab's own, unmounted and removed when disposed. One that a killed process left, with what is
/// pinned in it, goes when the next is made.
/// </summary>
public sealed class LabBpfFileSystem : IDisposable
{
    private const string NameStart = "pronghorn-bpf-";

    private static int s_last;

    /// <summary>Mounts one. Needs root.</summary>
    /// <exception cref="BpfException">It cannot be mounted.</exception>
    public LabBpfFileSystem()
    {
        RemoveStale();
        string name = string.Create(
            CultureInfo.InvariantCulture, $"{NameStart}{Environment.ProcessId}-{Interlocked.Increment(ref s_last)}");
        Root = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), name), UnixFileMode.UserRead | UnixFileMode.UserWrite
            | UnixFileMode.UserExecute).FullName;
        BpfFileSystem.EnsureMounted(Root);
    }

    /// <summary>Where it is mounted.</summary>
    public string Root { get; }

    /// <summary>Path of a name in it.</summary>
    public string this[string name] => Path.Combine(Root, name);

    /// <summary>Unmounts and removes it.</summary>
    /// <exception cref="LabException">Something of it is in use.</exception>
    public void Dispose() => Remove(Root);

    private static void RemoveStale()
    {
        foreach (string folder in Directory.GetDirectories(Path.GetTempPath(), NameStart + "*"))
        {
            string maker = Path.GetFileName(folder)[NameStart.Length..].Split('-')[0];
            if (int.TryParse(maker, NumberStyles.None, CultureInfo.InvariantCulture, out _) && !Directory.Exists("/proc/" + maker))
            {
                // Another process may be at it too.
                LabCommand.TryRun("umount", folder);
                LabCommand.TryRun("rmdir", folder);
            }
        }
    }

    private static void Remove(string folder)
    {
        if (BpfFileSystem.Contains(folder))
        {
            LabCommand.Run("umount", folder);
        }

        Directory.Delete(folder);
    }
}
