// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using Pronghorn.Linux.Files;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Files of a running daemon, apart from its maps.</summary>
public sealed class RuntimePaths
{
    /// <summary>Where they are unless said otherwise: not below /run/pronghorn, where every user may make files.</summary>
    public const string DefaultRoot = "/run/pronghorn-lb";

    /// <summary>Names the files of an instance.</summary>
    public RuntimePaths(string instance = "default", string root = DefaultRoot)
    {
        Folder = root;
        ControlSocket = Path.Combine(root, instance + ".sock");
        LockFile = Path.Combine(root, instance + ".lock");
        LogFile = Path.Combine(root, instance + ".log");
    }

    /// <summary>Their folder.</summary>
    public string Folder { get; }

    /// <summary>The control socket.</summary>
    public string ControlSocket { get; }

    /// <summary>Is held by the running daemon, so that there is only one; has its process number.</summary>
    public string LockFile { get; }

    /// <summary>What a daemon that runs in the background says.</summary>
    public string LogFile { get; }

    /// <summary>Makes the folder, for its owner alone.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public void Create() =>
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    /// <summary>
    /// The process that holds the lock: the daemon, also while it starts or ends and does not answer; null when none does.
    /// </summary>
    public int? FindHolder()
    {
        try
        {
            using var free = new FileStream(LockFile, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return null;
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (IOException)
        {
            // Held. To read it needs no lock of its own.
            using FileStream? file = RegularFile.TryOpen(LockFile, out FileStream? opened) == 0 ? opened : null;
            using StreamReader? reader = file is null ? null : new StreamReader(file);
            string text = reader?.ReadToEnd().Trim() ?? "";
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int process) ? process : 0;
        }
    }

    /// <summary>Removes the files, and their folder if it is empty then.</summary>
    public void Remove()
    {
        if (!Directory.Exists(Folder))
        {
            return;
        }

        File.Delete(ControlSocket);
        File.Delete(LockFile);
        File.Delete(LogFile);
        if (Directory.GetFileSystemEntries(Folder).Length == 0)
        {
            Directory.Delete(Folder);
        }
    }
}
