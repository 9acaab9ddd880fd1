// SPDX-License-Identifier: Apache-2.0
using System.IO;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Files of a running daemon, apart from its maps.</summary>
public sealed class RuntimePaths
{
    /// <summary>Where they are unless said otherwise.</summary>
    public const string DefaultRoot = "/run/pronghorn/lb";

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

    /// <summary>Removes the files, and their folders if these are empty then.</summary>
    public void Remove()
    {
        File.Delete(ControlSocket);
        File.Delete(LockFile);
        File.Delete(LogFile);
        for (string? folder = Folder; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (Path.GetFileName(folder) is not ("lb" or "pronghorn"))
            {
                return;
            }

            if (!Directory.Exists(folder) || Directory.GetFileSystemEntries(folder).Length > 0)
            {
                return;
            }

            Directory.Delete(folder);
        }
    }
}
