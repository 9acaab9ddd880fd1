// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Pronghorn.Cli.Networks;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>The two hosts of a benchmark; they live as long as it does.</summary>
internal sealed class BenchmarkNetwork : IDisposable
{
    private const string Prefix = "pronghorn-bench-";

    private readonly HostPair _hosts = new($"{Prefix}{Environment.ProcessId}");

    private BenchmarkNetwork()
    {
    }

    /// <summary>Makes the network, after removing what a killed benchmark left.</summary>
    internal static BenchmarkNetwork Create(CancellationToken cancellation)
    {
        HostPair.RemoveStale(Prefix);
        BenchmarkNetwork network = new();
        network._hosts.Create(cancellation);
        return network;
    }

    /// <summary>The command line that runs a program as the server's host.</summary>
    internal List<string> OnServer(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_hosts.Server, cpu, environment);

    /// <summary>The command line that runs a program as the client's host.</summary>
    internal List<string> OnClient(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_hosts.Client, cpu, environment);

    /// <inheritdoc/>
    public void Dispose() => _hosts.Remove();

    private static List<string> Enter(
        string host, int cpu, IReadOnlyList<KeyValuePair<string, string>> environment)
    {
        // Every word up to the program execs the next, so the process started is the program itself. The death signal
        // ends it when this process is killed outright.
        List<string> line =
        [
            "ip", "netns", "exec", host,
            "setpriv", "--pdeathsig", "KILL",
            "prlimit", "--nofile=20000:20000",
            "taskset", "-c", cpu.ToString(CultureInfo.InvariantCulture),
            "env",
        ];
        foreach ((string name, string value) in environment)
        {
            line.Add($"{name}={value}");
        }

        return line;
    }
}
