// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;

namespace Pronghorn.Lab;

/// <summary>How to build <see cref="TwoHosts"/>.</summary>
public sealed class TwoHostsOptions
{
    /// <summary>Largest network-layer packet on the link, in bytes.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>
    /// Whether checksum and segmentation offloads are off on both sides. With them on, veth hands out packets with partial
    /// checksums and larger than the MTU, which no wire would carry.
    /// </summary>
    public bool DisableOffloads { get; init; } = true;

    /// <summary>Whether each host has a permanent neighbour entry for the other.</summary>
    public bool StaticNeighbors { get; init; }

    /// <summary>Whether there is a second link, for what must not go over the first: 10.0.1.1 and 10.0.1.2 on "control0".</summary>
    public bool ControlLink { get; init; }

    /// <summary>
    /// A name under which the network outlives this process, until <see cref="TwoHosts.Remove"/>; null for one that does not.
    /// </summary>
    public string? Name { get; init; }

    /// <summary>Receive and transmit queues of each end of the link, 1 or more.</summary>
    public int Queues { get; init; } = 1;
}

/// <summary>
/// Two hosts on a wire: namespaces "...-client" (10.0.0.1) and "...-server" (10.0.0.2), with a veth pair between them
/// whose ends are both called "lab0".
/// </summary>
public sealed class TwoHosts : IDisposable
{
    /// <summary>Name of the link's interface in either namespace.</summary>
    public const string Interface = "lab0";

    /// <summary>Name of the control link's interface in either namespace.</summary>
    public const string ControlInterface = "control0";

    /// <summary>The client's address.</summary>
    public const string ClientAddress = "10.0.0.1";

    /// <summary>The server's address.</summary>
    public const string ServerAddress = "10.0.0.2";

    /// <summary>The client's address on the control link.</summary>
    public const string ClientControlAddress = "10.0.1.1";

    /// <summary>The server's address on the control link.</summary>
    public const string ServerControlAddress = "10.0.1.2";

    /// <summary>The client's hardware address.</summary>
    public const string ClientMac = "02:00:00:00:00:01";

    /// <summary>The server's hardware address.</summary>
    public const string ServerMac = "02:00:00:00:00:02";

    private TwoHosts(NetworkNamespace client, NetworkNamespace server)
    {
        Client = client;
        Server = server;
    }

    /// <summary>The client's namespace.</summary>
    public NetworkNamespace Client { get; }

    /// <summary>The server's namespace.</summary>
    public NetworkNamespace Server { get; }

    /// <summary>Builds the network. Needs root, ip(8) and, for the offloads, ethtool(8).</summary>
    /// <exception cref="LabException">A command failed. What was built until then is removed.</exception>
    public static TwoHosts Create(TwoHostsOptions? options = null)
    {
        options ??= new TwoHostsOptions();
        bool keep = options.Name is not null;
        string prefix = options.Name ?? LabCleanup.CreatePrefix();
        NetworkNamespace client = NetworkNamespace.Create(ClientName(prefix), keep);
        try
        {
            NetworkNamespace server = NetworkNamespace.Create(ServerName(prefix), keep);
            var hosts = new TwoHosts(client, server);
            hosts.BuildLink(options);
            if (options.ControlLink)
            {
                hosts.Connect(ControlInterface, queues: 1);
                Configure(client, ControlInterface, ClientControlAddress);
                Configure(server, ControlInterface, ServerControlAddress);
            }

            return hosts;
        }
        catch
        {
            Remove(prefix);
            throw;
        }
    }

    /// <summary>The client's namespace in a network of a name.</summary>
    public static string ClientName(string name) => name + "-client";

    /// <summary>The server's namespace in a network of a name.</summary>
    public static string ServerName(string name) => name + "-server";

    /// <summary>Whether any part of the network of a name is there.</summary>
    public static bool Exists(string name) =>
        NetworkNamespace.Exists(ClientName(name)) || NetworkNamespace.Exists(ServerName(name));

    /// <summary>Removes the network of a name, with what runs in it.</summary>
    public static void Remove(string name)
    {
        NetworkNamespace.Remove(ClientName(name));
        NetworkNamespace.Remove(ServerName(name));
    }

    /// <summary>Removes both namespaces, with what runs in them, unless the network outlives this process.</summary>
    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
    }

    private void BuildLink(TwoHostsOptions options)
    {
        Connect(Interface, options.Queues);
        string mtu = options.Mtu.ToString(CultureInfo.InvariantCulture);
        Client.Run("ip", "link", "set", Interface, "address", ClientMac, "mtu", mtu);
        Server.Run("ip", "link", "set", Interface, "address", ServerMac, "mtu", mtu);
        if (options.DisableOffloads)
        {
            foreach (NetworkNamespace side in (NetworkNamespace[])[Client, Server])
            {
                side.Run("ethtool", "-K", Interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
            }
        }

        Configure(Client, Interface, ClientAddress);
        Configure(Server, Interface, ServerAddress);
        if (options.StaticNeighbors)
        {
            Client.Run("ip", "neigh", "replace", ServerAddress, "lladdr", ServerMac, "dev", Interface);
            Server.Run("ip", "neigh", "replace", ClientAddress, "lladdr", ClientMac, "dev", Interface);
        }
    }

    private void Connect(string name, int queues)
    {
        string number = queues.ToString(CultureInfo.InvariantCulture);
        LabCommand.Run(
            "ip", "link", "add", name, "netns", Client.Name, "numrxqueues", number, "numtxqueues", number,
            "type", "veth", "peer", "name", name, "netns", Server.Name, "numrxqueues", number, "numtxqueues", number);
    }

    private static void Configure(NetworkNamespace side, string name, string address)
    {
        // Without IPv6 nothing is on the link that nobody asked for: no router solicitations, no multicast reports.
        side.TryRun("sysctl", "-qw", $"net.ipv6.conf.{name}.disable_ipv6=1");
        side.Run("ip", "address", "add", address + "/24", "dev", name);
        side.Run("ip", "link", "set", name, "up");
    }
}
