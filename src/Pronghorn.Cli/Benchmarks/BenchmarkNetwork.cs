// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Threading;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Two hosts, each a network namespace, joined by one veth pair whose offloads are off on both ends.</summary>
internal sealed class BenchmarkNetwork : IDisposable
{
    internal const string ServerAddress = "10.0.0.2";
    internal const string ClientAddress = "10.0.0.1";
    internal const int Mtu = 1500;

    private const string Prefix = "pgb";
    private static readonly TimeSpan s_commandLimit = TimeSpan.FromSeconds(20);

    private readonly string _server;
    private readonly string _client;

    private BenchmarkNetwork()
    {
        _server = $"{Prefix}{Environment.ProcessId}-s";
        _client = $"{Prefix}{Environment.ProcessId}-c";
        ServerInterface = $"{Prefix}{Environment.ProcessId}s";
        ClientInterface = $"{Prefix}{Environment.ProcessId}c";
    }

    /// <summary>The server's end of the cable.</summary>
    internal string ServerInterface { get; }

    /// <summary>The client's end of the cable.</summary>
    internal string ClientInterface { get; }

    /// <summary>Makes the network.</summary>
    internal static BenchmarkNetwork Create(CancellationToken cancellation)
    {
        RemoveStale();
        BenchmarkNetwork network = new();
        try
        {
            network.Build(cancellation);
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <summary>The command line that runs a program as the server's host.</summary>
    internal List<string> OnServer(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_server, cpu, environment);

    /// <summary>The command line that runs a program as the client's host.</summary>
    internal List<string> OnClient(int cpu, IReadOnlyList<KeyValuePair<string, string>> environment) =>
        Enter(_client, cpu, environment);

    /// <summary>Removes both hosts; the veth pair goes with them.</summary>
    public void Dispose()
    {
        Remove(_server);
        Remove(_client);
    }

    private static List<string> Enter(
        string space, int cpu, IReadOnlyList<KeyValuePair<string, string>> environment)
    {
        // Every word up to the program execs the next, so the process started is the program itself. The death signal
        // ends it when this process is killed outright.
        List<string> line =
        [
            "ip", "netns", "exec", space,
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

    private static void RemoveStale()
    {
        if (!Directory.Exists("/run/netns"))
        {
            return;
        }

        foreach (string path in Directory.GetFiles("/run/netns", $"{Prefix}*"))
        {
            string name = Path.GetFileName(path);
            string owner = name[Prefix.Length..].Split('-')[0];
            if (int.TryParse(owner, CultureInfo.InvariantCulture, out int pid) && !Directory.Exists($"/proc/{pid}"))
            {
                Remove(name);
            }
        }
    }

    private static void Remove(string space)
    {
        if (File.Exists($"/run/netns/{space}"))
        {
            try
            {
                Command(CancellationToken.None, "ip", "netns", "del", space);
            }
            catch (CommandException failure)
            {
                Terminal.Error(failure.Message);
            }
        }
    }

    private static void Command(CancellationToken cancellation, params string[] line) =>
        ChildProcess.Run(line, s_commandLimit, cancellation);

    private void Build(CancellationToken cancellation)
    {
        Command(cancellation, "ip", "netns", "add", _server);
        Command(cancellation, "ip", "netns", "add", _client);
        Command(
            cancellation, "ip", "link", "add", ServerInterface, "netns", _server,
            "type", "veth", "peer", "name", ClientInterface, "netns", _client);
        SetUp(_server, ServerInterface, ServerAddress, cancellation);
        SetUp(_client, ClientInterface, ClientAddress, cancellation);
    }

    private static void SetUp(string space, string name, string address, CancellationToken cancellation)
    {
        Command(cancellation, "ip", "-n", space, "link", "set", "lo", "up");
        Command(cancellation, "ip", "-n", space, "addr", "add", $"{address}/24", "dev", name);
        Command(
            cancellation, "ip", "netns", "exec", space,
            "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
        Command(
            cancellation, "ip", "-n", space, "link", "set", name, "mtu", Mtu.ToString(CultureInfo.InvariantCulture), "up");
    }
}
