// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Threading;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli.Networks;

/// <summary>Two hosts, each a network namespace, joined by one veth pair whose offloads are off on both ends.</summary>
internal sealed class HostPair
{
    internal const string ServerAddress = "10.0.0.2";
    internal const string ClientAddress = "10.0.0.1";
    internal const int Mtu = 1500;

    /// <summary>Name of the cable's end, in both hosts.</summary>
    internal const string InterfaceName = "lan0";

    private const string NamespaceDirectory = "/run/netns";
    private static readonly TimeSpan s_commandLimit = TimeSpan.FromSeconds(20);

    /// <summary>A pair by its name, whether it is there or not.</summary>
    internal HostPair(string name)
    {
        Server = $"{name}-server";
        Client = $"{name}-client";
    }

    /// <summary>Namespace of the server's host.</summary>
    internal string Server { get; }

    /// <summary>Namespace of the client's host.</summary>
    internal string Client { get; }

    /// <summary>Whether any part of it is there.</summary>
    internal bool Exists => IsThere(Server) || IsThere(Client);

    /// <summary>Removes the pairs of a prefix whose name goes on with the id of a process that is gone.</summary>
    internal static void RemoveStale(string prefix)
    {
        if (!Directory.Exists(NamespaceDirectory))
        {
            return;
        }

        foreach (string path in Directory.GetFiles(NamespaceDirectory, $"{prefix}*"))
        {
            string name = Path.GetFileName(path);
            string owner = name[prefix.Length..].Split('-')[0];
            if (int.TryParse(owner, CultureInfo.InvariantCulture, out int pid) && !Directory.Exists($"/proc/{pid}"))
            {
                // What was started just as its owner was killed may have missed the death signal.
                Run(["sh", "-c", $"ip netns pids {name} | xargs -r kill -KILL"], CancellationToken.None);
                Remove(name);
            }
        }
    }

    /// <summary>Makes both hosts and the cable; leaves nothing behind where it fails.</summary>
    internal void Create(CancellationToken cancellation)
    {
        try
        {
            Run(["ip", "netns", "add", Server], cancellation);
            Run(["ip", "netns", "add", Client], cancellation);
            Run(
                [
                    "ip", "link", "add", InterfaceName, "netns", Server,
                    "type", "veth", "peer", "name", InterfaceName, "netns", Client,
                ],
                cancellation);
            SetUp(Server, ServerAddress, cancellation);
            SetUp(Client, ClientAddress, cancellation);
        }
        catch
        {
            Remove();
            throw;
        }
    }

    /// <summary>Removes both hosts; the cable goes with them.</summary>
    internal void Remove()
    {
        Remove(Server);
        Remove(Client);
    }

    private static bool IsThere(string host) => File.Exists(Path.Combine(NamespaceDirectory, host));

    private static void Remove(string host)
    {
        if (!IsThere(host))
        {
            return;
        }

        try
        {
            Run(["ip", "netns", "del", host], CancellationToken.None);
        }
        catch (CommandException failure)
        {
            Terminal.Error(failure.Message);
        }
    }

    private static void SetUp(string host, string address, CancellationToken cancellation)
    {
        string mtu = Mtu.ToString(CultureInfo.InvariantCulture);
        Run(["ip", "-n", host, "link", "set", "lo", "up"], cancellation);
        Run(["ip", "-n", host, "addr", "add", $"{address}/24", "dev", InterfaceName], cancellation);
        Run(
            [
                "ip", "netns", "exec", host, "ethtool", "-K", InterfaceName,
                "tx", "off", "tso", "off", "gso", "off", "gro", "off",
            ],
            cancellation);
        Run(["ip", "-n", host, "link", "set", InterfaceName, "mtu", mtu, "up"], cancellation);
    }

    private static void Run(IReadOnlyList<string> line, CancellationToken cancellation) =>
        ChildProcess.Run(line, s_commandLimit, cancellation);
}
