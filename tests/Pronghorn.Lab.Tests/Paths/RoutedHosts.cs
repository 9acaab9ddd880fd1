// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Lab.Tests.Paths;

/// <summary>A server and a client with a router of the kernel between them; the client's side of it has a smaller MTU.</summary>
internal sealed class RoutedHosts : IDisposable
{
    public const string ServerAddress = "10.0.1.2";
    public const int NarrowMtu = 1200;

    private const string RouterToServer = "10.0.1.1";
    private const string RouterToClient = "10.0.2.1";
    private const string ClientAddress = "10.0.2.2";

    public RoutedHosts()
    {
        string prefix = LabCleanup.CreatePrefix();
        Server = NetworkNamespace.Create(prefix + "-server");
        Router = NetworkNamespace.Create(prefix + "-router");
        Client = NetworkNamespace.Create(prefix + "-client");
        Join(Server, ServerAddress, "toserver", RouterToServer);
        Join(Client, ClientAddress, "toclient", RouterToClient);
        Router.Run("ip", "link", "set", "toclient", "mtu", $"{NarrowMtu}");
        Router.Run("sysctl", "-qw", "net.ipv4.ip_forward=1");
        Server.Run("ip", "route", "add", "default", "via", RouterToServer);

        // The client names a large MSS although its way is narrow, so that the server must learn of it by ICMP.
        Client.Run("ip", "route", "add", "default", "via", RouterToClient, "mtu", $"{NarrowMtu}", "advmss", "1460");
    }

    public NetworkNamespace Server { get; }

    public NetworkNamespace Router { get; }

    public NetworkNamespace Client { get; }

    public void Dispose()
    {
        Client.Dispose();
        Router.Dispose();
        Server.Dispose();
    }

    private void Join(NetworkNamespace host, string address, string routerEnd, string routerAddress)
    {
        LabCommand.Run(
            "ip", "link", "add", TwoHosts.Interface, "netns", host.Name, "type", "veth", "peer", "name", routerEnd,
            "netns", Router.Name);
        SetUp(host, TwoHosts.Interface, address);
        SetUp(Router, routerEnd, routerAddress);
    }

    private static void SetUp(NetworkNamespace place, string device, string address)
    {
        place.Run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
        place.Run("ip", "addr", "add", address + "/24", "dev", device);
        place.Run("ip", "link", "set", device, "up");
    }
}
