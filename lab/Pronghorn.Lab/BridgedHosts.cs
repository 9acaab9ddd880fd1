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

    /// <summary>The address of a host.</summary>
    public static string Address(int number, bool isIpv6 = false) =>
        string.Create(CultureInfo.InvariantCulture, $"{(isIpv6 ? "fd02::" : "10.2.0.")}{number}");

    /// <inheritdoc/>
    public void Dispose()
    {
        _hosts.ForEach(static host => host.Dispose());
        _switch.Dispose();
    }
}
