// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>The BPF file system, in which maps, programs and links outlive the process that made them.</summary>
public static class BpfFileSystem
{
    /// <summary>Where it is mounted by custom.</summary>
    public const string DefaultPath = "/sys/fs/bpf";

    private const long Magic = 0xcafe4a11;

    /// <summary>Whether a path is in a BPF file system.</summary>
    public static bool Contains(string path) => Libc.GetFileSystemType(path) == Magic;

    /// <summary>Mounts one unless it is mounted there.</summary>
    /// <param name="path">An existing folder.</param>
    /// <exception cref="BpfException">ENOENT without the folder, EPERM without CAP_SYS_ADMIN.</exception>
    public static void EnsureMounted(string path = DefaultPath)
    {
        if (!Contains(path))
        {
            BpfException.Check(Libc.Mount("bpf", path), BpfStep.Mount, path);
        }
    }

    /// <summary>Makes a folder, with those above it. The file system allows no '.' in names.</summary>
    /// <exception cref="BpfException">The path is not in a BPF file system.</exception>
    public static void CreateFolder(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!Contains(path))
        {
            throw new BpfException(BpfStep.Pin, path, Errno.Invalid, "the folder is not in a BPF file system");
        }
    }

    /// <summary>Removes a pin; what was pinned goes when nothing else holds it. Does nothing when there is no such file.</summary>
    public static void Unpin(string path) => File.Delete(path);

    /// <summary>
    /// Removes a folder with all pins in it, and those above it that are empty then. Does nothing when there is no such folder.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="root">The folder above it that stays.</param>
    public static void RemoveFolder(string path, string root = DefaultPath)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }

        for (string? above = Path.GetDirectoryName(path); above?.StartsWith(root + "/", StringComparison.Ordinal) == true;
            above = Path.GetDirectoryName(above))
        {
            if (!Directory.Exists(above) || Directory.GetFileSystemEntries(above).Length > 0)
            {
                return;
            }

            Directory.Delete(above);
        }
    }
}
