// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;

namespace Pronghorn.Lab;

/// <summary>Any number of hosts, each in a network namespace, on one bridge: 10.2.0.N/24 and fd02::N/64.</summary>
public sealed class BridgedHosts : IDisposable
{
    /// <summary>Each host's interface.</summary>
    public const string Interface = "lab0";

    private readonly NetworkNamespace _switch;
    private readonly List<NetworkNamespace> _hosts = [];
    private readonly string _prefix;

    /// <summary>Makes the bridge.</summary>
    public BridgedHosts()
    {
        LabCleanup.RemoveStale();
        _prefix = LabCleanup.CreatePrefix();
        _switch = NetworkNamespace.Create(_prefix + "-switch");
        _switch.Run("ip", "link", "add", "bridge0", "type", "bridge");
        _switch.Run("ip", "link", "set", "bridge0", "up");
    }

    /// <summary>A name of its own among all that run.</summary>
    public string Name => _prefix;

    /// <summary>Makes a host; it goes with this.</summary>
    /// <param name="name">Its name here.</param>
    /// <param name="number">Its number, 1 to 254.</param>
    public NetworkNamespace Add(string name, int number)
    {
        NetworkNamespace host = NetworkNamespace.Create($"{_prefix}-{name}");
        _hosts.Add(host);
        string port = string.Create(CultureInfo.InvariantCulture, $"port{number}");
        LabCommand.Run("ip", "link", "add", port, "netns", _switch.Name, "type", "veth", "peer", "name", Interface, "netns", host.Name);
        _switch.Run("ip", "link", "set", port, "master", "bridge0", "up");
        host.Run("ip", "address", "add", Address(number) + "/24", "dev", Interface);
        host.Run("ip", "address", "add", Address(number, isIpv6: true) + "/64", "dev", Interface, "nodad");
        host.Run("ip", "link", "set", Interface, "up");
        return host;
    }

    /// <summary>
    /// Makes a host behind two routers, the first of them on the bridge, between which only small packets fit. It goes with this, and
    /// the hosts that are there already have a route to it.
    /// </summary>
    /// <param name="name">Its name here.</param>
    /// <param name="number">The number of the router on the bridge, 1 to 99.</param>
    /// <param name="mtu">What fits between the routers; at least 1280 for IPv6.</param>
    public NetworkNamespace AddBehindNarrowLink(string name, int number, int mtu)
    {
        List<NetworkNamespace> neighbours = [.. _hosts];
        NetworkNamespace near = Add(name + "-near", number);
        NetworkNamespace far = NetworkNamespace.Create($"{_prefix}-{name}-far");
        NetworkNamespace host = NetworkNamespace.Create($"{_prefix}-{name}");
        _hosts.AddRange(far, host);
        string limit = mtu.ToString(CultureInfo.InvariantCulture);
        string own = number.ToString(CultureInfo.InvariantCulture);
        near.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
        far.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
        LabCommand.Run(
            "ip", "link", "add", "narrow0", "mtu", limit, "netns", near.Name, "type", "veth",
            "peer", "name", "narrow0", "mtu", limit, "netns", far.Name);
        LabCommand.Run("ip", "link", "add", "wide0", "netns", far.Name, "type", "veth", "peer", "name", Interface, "netns", host.Name);
        foreach (bool isIpv6 in (bool[])[false, true])
        {
            string between = isIpv6 ? $"fd04:{own}::" : $"10.4.{own}.";
            string behind = isIpv6 ? $"fd03:{own}::" : $"10.3.{own}.";
            string length = isIpv6 ? "/64" : "/24";
            string network = behind + (isIpv6 ? "" : "0") + length;
            AddAddress(near, "narrow0", between + "1" + length);
            AddAddress(far, "narrow0", between + "2" + length);
            AddAddress(far, "wide0", behind + "1" + length);
            AddAddress(host, Interface, behind + "2" + length);
            near.Run("ip", "route", "add", network, "via", between + "2");
            far.Run("ip", "route", "add", "default", "via", between + "1");
            host.Run("ip", "route", "add", "default", "via", behind + "1");
            neighbours.ForEach(neighbour => neighbour.Run("ip", "route", "add", network, "via", Address(number, isIpv6)));
        }

        return host;
    }

    /// <summary>The address of a host.</summary>
    public static string Address(int number, bool isIpv6 = false) =>
        string.Create(CultureInfo.InvariantCulture, $"{(isIpv6 ? "fd02::" : "10.2.0.")}{number}");

    /// <inheritdoc/>
    public void Dispose()
    {
        _hosts.ForEach(static host => host.Dispose());
        _switch.Dispose();
    }

    private static void AddAddress(NetworkNamespace host, string device, string address)
    {
        host.Run("ip", "link", "set", device, "up");
        if (address.Contains(':', StringComparison.Ordinal))
        {
            host.Run("ip", "address", "add", address, "dev", device, "nodad");
        }
        else
        {
            host.Run("ip", "address", "add", address, "dev", device);
        }
    }
}
