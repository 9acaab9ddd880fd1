// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
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
        Directory.Delete(Path);
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
