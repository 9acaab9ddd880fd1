// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Pronghorn.LoadBalancer.DataPlane;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>
/// A cgroup of the tests' own. This process is in it until it is disposed, so the sockets that tests open are. There can be
/// one at a time: classes that use it name the collection.
/// </summary>
public sealed class TestCgroup : IDisposable
{
    /// <summary>The collection of tests that do not run beside each other because of this.</summary>
    public const string Collection = "Test cgroup";

    private const string Prefix = "pronghorn-test-";

    private static int s_last;

    private readonly string _former;

    public TestCgroup()
    {
        string root = SocketLayer.FindCgroupRoot() ?? throw new InvalidOperationException("no cgroup v2 hierarchy is mounted");
        RemoveStale(root);
        string own = File.ReadLines("/proc/self/cgroup").First(line => line.StartsWith("0::", StringComparison.Ordinal))[3..];
        _former = root + own;
        s_last++;
        Path = $"{root}/{Prefix}{Environment.ProcessId}-{s_last}";
        Directory.CreateDirectory(Path);
        MoveTo(Path);
    }

    public string Path { get; }

    public void Dispose()
    {
        MoveTo(_former);
        Evacuate();
        Directory.Delete(Path);
    }

    /// <summary>
    /// Tests of other classes run beside this one, and the programs that they start are born into this process's cgroup: they
    /// are moved along, so that it becomes empty.
    /// </summary>
    private void Evacuate()
    {
        string members = System.IO.Path.Combine(Path, "cgroup.procs");
        string events = System.IO.Path.Combine(Path, "cgroup.events");
        while (File.ReadAllText(events).Contains("populated 1", StringComparison.Ordinal))
        {
            foreach (string process in File.ReadAllLines(members))
            {
                try
                {
                    File.WriteAllText(System.IO.Path.Combine(_former, "cgroup.procs"), process);
                }
                catch (IOException)
                {
                    // It ended meanwhile.
                }
            }

            Thread.Yield();
        }
    }

    private static void RemoveStale(string root)
    {
        foreach (string folder in Directory.GetDirectories(root, Prefix + "*"))
        {
            string process = folder[(folder.LastIndexOf(Prefix, StringComparison.Ordinal) + Prefix.Length)..].Split('-')[0];
            if (!Directory.Exists("/proc/" + process))
            {
                Directory.Delete(folder);
            }
        }
    }

    private static void MoveTo(string folder) =>
        File.WriteAllText(System.IO.Path.Combine(folder, "cgroup.procs"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
}
