// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Execution;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tap;

namespace Pronghorn.Handoff.Daemon;

/// <summary>
/// Starts a daemon in two halves. The first loads the programs and makes the device; then the process executes its own program again,
/// with what a daemon needs while it runs and no more, and the second half takes over.
/// </summary>
/// <remarks>
/// The programs' tables need no capability once they are open: kernel.unprivileged_bpf_disabled forbids others to make some, not to
/// use those that they have. Only by execve do all threads lose what is given up (<see cref="Privileges"/>).
/// </remarks>
public static class UnprivilegedStart
{
    // The descriptor of the device and the process that set it: as the same process goes on, no other's is taken for it.
    private const string Variable = "PRONGHORN_HANDOFF_DEVICE";

    // TCP_REPAIR; and to take back a connection is to bind to the port that it had, which may be 80 or 443.
    private static readonly int[] s_kept = [Privileges.NetworkAdministration, Privileges.BindService];

    /// <summary>Makes a daemon. The first time this does not return: it is called again by the program that is executed.</summary>
    /// <exception cref="HandoffConfigurationException">The configuration does not fit this node.</exception>
    /// <exception cref="BpfException">The kernel lacks something, or a step failed.</exception>
    /// <exception cref="IOException">A device, a file or a socket cannot be made.</exception>
    /// <param name="configuration">What it is to do.</param>
    /// <param name="instance">Its name, where there are several daemons on a machine.</param>
    /// <param name="log">Takes lines about peers; from any thread.</param>
    public static HandoffDaemon Create(HandoffConfiguration configuration, string instance, Action<string> log)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (FindDescriptor() is { } descriptor)
        {
            Environment.SetEnvironmentVariable(Variable, null);
            int result = TapDevice.TakeOver(descriptor, out TapDevice? kept);
            return kept is not null
                ? new HandoffDaemon(configuration, instance, kept, log)
                : throw new IOException(string.Create(
                    CultureInfo.InvariantCulture, $"{Variable}: descriptor {descriptor} is no TAP device (error {-result})"));
        }

        using TapDevice device = HandoffDaemon.Prepare(configuration, instance);
        throw new IOException(string.Create(
            CultureInfo.InvariantCulture, $"privileges cannot be given up (error {-ExecuteAgain(device)})"));
    }

    private static int? FindDescriptor()
    {
        string[] words = (Environment.GetEnvironmentVariable(Variable) ?? "").Split(':');
        return words.Length == 2
            && int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
            && int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            && process == Environment.ProcessId
            ? descriptor
            : null;
    }

    private static int ExecuteAgain(TapDevice device)
    {
        int result = device.KeepForNextProgram();
        result = result < 0 ? result : Privileges.KeepForNextProgram(s_kept);
        if (result < 0)
        {
            return result;
        }

        string[] arguments = File.ReadAllText("/proc/self/cmdline")[..^1].Split('\0');
        List<string> environment =
        [
            .. Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(static one => $"{one.Key}={one.Value}"),
            string.Create(CultureInfo.InvariantCulture, $"{Variable}={device.FileDescriptor}:{Environment.ProcessId}"),
        ];
        return ProcessImage.Replace(Environment.ProcessPath!, arguments, [.. environment]);
    }
}
