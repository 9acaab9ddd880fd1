// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Lab;

/// <summary>
/// A named network namespace of ip-netns(8), with the processes in it. It is removed when disposed, when this process ends,
/// and on Ctrl-C and SIGTERM; one left behind by a killed process is removed by <see cref="LabCleanup.RemoveStale"/>.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    private NetworkNamespace(string name) => Name = name;

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>The file that setns(2) takes.</summary>
    public string Path => $"/run/netns/{Name}";

    /// <summary>Makes a namespace, with its loopback interface up.</summary>
    /// <param name="name">Its name; see <see cref="LabCleanup.CreatePrefix"/>.</param>
    /// <param name="keep">Whether it outlives this process; then only <see cref="Remove"/> removes it.</param>
    /// <exception cref="LabException">The name is taken, or a privilege is missing.</exception>
    public static NetworkNamespace Create(string name, bool keep = false)
    {
        LabCommand.Run("ip", "netns", "add", name);
        var created = new NetworkNamespace(name);
        if (!keep)
        {
            LabCleanup.Register(created);
        }

        created.Run("ip", "link", "set", "lo", "up");
        return created;
    }

    /// <summary>Runs a command inside and throws when it fails; returns its output.</summary>
    public string Run(string file, params IReadOnlyList<string> arguments) =>
        LabCommand.Run("ip", ["netns", "exec", Name, file, .. arguments]);

    /// <summary>Runs a command inside and returns how it ended.</summary>
    public LabOutput TryRun(string file, params IReadOnlyList<string> arguments) =>
        LabCommand.TryRun("ip", ["netns", "exec", Name, file, .. arguments]);

    /// <summary>Starts a program inside. Its three streams are redirected; the process id is the program's own.</summary>
    /// <param name="file">Program, looked up in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="options">Processor, environment and working directory; null for none.</param>
    public Process Start(string file, IReadOnlyList<string> arguments, LabProcessOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        options ??= new LabProcessOptions();
        List<string> words = ["netns", "exec", Name];
        if (options.Processor is int processor)
        {
            words.AddRange(["taskset", "-c", processor.ToString(CultureInfo.InvariantCulture)]);
        }

        words.Add(file);
        words.AddRange(arguments);
        ProcessStartInfo start = LabCommand.CreateStartInfo("ip", words);
        foreach ((string name, string? value) in options.Environment)
        {
            start.Environment[name] = value;
        }

        if (options.WorkingDirectory is not null)
        {
            start.WorkingDirectory = options.WorkingDirectory;
        }

        // ip and taskset replace themselves by the program, so the id stays.
        return LabCommand.Start(start);
    }

    /// <summary>Ids of the processes inside.</summary>
    public IReadOnlyList<int> GetProcessIds() => GetProcessIds(Name);

    /// <summary>Kills the processes inside and removes the namespace with its interfaces.</summary>
    public void Dispose()
    {
        if (LabCleanup.Unregister(this))
        {
            Remove(Name);
        }
    }

    /// <summary>Has the processes of namespaces end, whoever made them: all together, and killed where a time does not do.</summary>
    /// <param name="names">The namespaces.</param>
    /// <param name="grace">How long the processes have together.</param>
    public static void EndProcesses(IEnumerable<string> names, TimeSpan grace) =>
        ProcessEnd.EndAll(names.SelectMany(GetProcessIds).Where(static id => id != Environment.ProcessId), grace);

    /// <summary>Whether a namespace of this name is there, whoever made it.</summary>
    public static bool Exists(string name) => File.Exists($"/run/netns/{name}");

    /// <summary>Kills the processes in a namespace and removes it with its interfaces, whoever made it.</summary>
    public static void Remove(string name)
    {
        ProcessEnd.KillAll(GetProcessIds(name).Where(static id => id != Environment.ProcessId));
        LabCommand.TryRun("ip", "netns", "delete", name);
    }

    private static List<int> GetProcessIds(string name)
    {
        List<int> ids = [];
        foreach (string line in LabCommand.TryRun("ip", "netns", "pids", name).Output.Split('\n'))
        {
            if (int.TryParse(line, CultureInfo.InvariantCulture, out int id))
            {
                ids.Add(id);
            }
        }

        return ids;
    }
}
