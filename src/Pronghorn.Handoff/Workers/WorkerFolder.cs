// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Handoff.Workers;

/// <summary>
/// The folder of the workers' sockets. Who may connect to a socket is whom its mode lets write to it, and its folder lets through: the
/// daemon's user and a group.
/// </summary>
internal static class WorkerFolder
{
    private const UnixFileMode Mode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;

    internal static void Create(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder, Mode);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"socket_directory: {folder} cannot be made: {FileFailure.Describe(folder, failure)}", failure);
        }
    }

    /// <summary>Makes the folder and gives it, and all sockets that will be made in it, to a group.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="group">The group's name; empty: whose it is stays as it is.</param>
    /// <exception cref="HandoffConfigurationException">There is no such group.</exception>
    /// <exception cref="IOException">The folder cannot be made, or not be given away.</exception>
    internal static void Prepare(string folder, string group)
    {
        Create(folder);
        if (group.Length == 0)
        {
            return;
        }

        // What is made in a folder with this bit gets its group: the daemon, which makes sockets, may not give files away any more.
        int result = GroupOwner.Set(folder, group);
        if (result == -Errno.NoEntry)
        {
            throw new HandoffConfigurationException($"worker_group: there is no group \"{group}\"");
        }

        File.SetUnixFileMode(folder, Mode | UnixFileMode.SetGroup);
        if (result < 0 || (File.GetUnixFileMode(folder) & UnixFileMode.SetGroup) == 0)
        {
            throw new IOException(string.Create(
                CultureInfo.InvariantCulture,
                $"{folder} cannot be given to the group {group} (error {-result}); CAP_CHOWN and CAP_FSETID are needed"));
        }
    }
}
