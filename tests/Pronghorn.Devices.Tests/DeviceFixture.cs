// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Devices.Tests;

/// <summary>Two hosts, of which tests open the server's interface; they run one after the other.</summary>
public sealed class DeviceFixture : IDisposable
{
    public DeviceFixture()
    {
        LabCleanup.RemoveStale();
        Hosts = TwoHosts.Create(new TwoHostsOptions { StaticNeighbors = true });
    }

    public TwoHosts Hosts { get; }

    public static IpAddress ServerAddress => IpAddress.FromIpv4(0x0a000002);

    /// <summary>Opens the server's end and demands that it works.</summary>
    public XdpDevice OpenServer(XdpDeviceOptions? options = null)
    {
        XdpOpenResult result = TryOpenServer(options);
        Assert.True(result.Succeeded, $"{result.Error}: {result.Message}");
        return result.Device;
    }

    /// <summary>Opens the server's end.</summary>
    public XdpOpenResult TryOpenServer(XdpDeviceOptions? options = null, string name = TwoHosts.Interface) =>
        NamespaceThread.Run(Hosts.Server, () => XdpDevice.Open(name, options));

    /// <summary>A socket of the client's kernel, bound to its address.</summary>
    public Socket OpenClient(SocketType type = SocketType.Dgram) => OpenSocket(Hosts.Client, TwoHosts.ClientAddress, type);

    /// <summary>A socket of a host's kernel, bound to its address.</summary>
    public static Socket OpenSocket(NetworkNamespace place, string address, SocketType type, int port = 0) =>
        NamespaceThread.Run(place, () =>
        {
            ProtocolType protocol = type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp;
            var socket = new Socket(AddressFamily.InterNetwork, type, protocol) { ReceiveTimeout = 10_000 };
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
            return socket;
        });

    public void Dispose() => Hosts.Dispose();
}
