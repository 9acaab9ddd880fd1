// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using Pronghorn.Cli.Observation;
using Pronghorn.Lab;
using Pronghorn.Runtime.Statistics;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>The two hosts of a benchmark; they live as long as it does.</summary>
internal sealed class BenchmarkNetwork : IDisposable
{
    internal const int Mtu = 1500;

    private readonly TwoHosts _hosts;

    private readonly string _name;
    private readonly bool _fifo;

    private BenchmarkNetwork(TwoHosts hosts, string name, bool fifo)
    {
        _hosts = hosts;
        _name = name;
        _fifo = fifo;
    }

    /// <summary>Makes the network, after removing what a killed benchmark left.</summary>
    /// <param name="fifo">Whether programs run under SCHED_FIFO, ahead of everything else on the machine.</param>
    internal static BenchmarkNetwork Create(bool fifo)
    {
        try
        {
            LabCleanup.RemoveStale();

            // A network with a name is left alone by the lab's own signal handlers: the benchmark has its own, which
            // stops measuring first. The name still tells whose it is, for whoever cleans up after a killed one.
            string name = LabCleanup.CreatePrefix();
            return new BenchmarkNetwork(
                TwoHosts.Create(new TwoHostsOptions { Name = name, Mtu = Mtu, DisableOffloads = true }), name, fifo);
        }
        catch (LabException failure)
        {
            throw new CommandException($"the network cannot be made: {failure.Message}");
        }
    }

    /// <summary>The command line that runs a program as the server's host.</summary>
    internal List<string> OnServer(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_hosts.Server, cpu, environment);

    /// <summary>The command line that runs a program as the client's host.</summary>
    internal List<string> OnClient(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_hosts.Client, cpu, environment);

    /// <inheritdoc/>
    public void Dispose()
    {
        TwoHosts.Remove(_name);
        StatisticsDirectory.RemoveStale();
    }

    private List<string> Enter(
        NetworkNamespace host, int cpu, IReadOnlyList<KeyValuePair<string, string>> environment)
    {
        // Every word up to the program execs the next, so the process started is the program itself. The death signal
        // ends it when this process is killed outright.
        List<string> line =
        [
            "ip", "netns", "exec", host.Name,
            "setpriv", "--pdeathsig", "KILL",
            "prlimit", "--nofile=20000:20000",
            "taskset", "-c", cpu.ToString(CultureInfo.InvariantCulture),
            .. _fifo ? (string[])["chrt", "-f", "10"] : [],
            "env",
        ];
        foreach ((string name, string value) in environment)
        {
            line.Add($"{name}={value}");
        }

        return line;
    }
}
