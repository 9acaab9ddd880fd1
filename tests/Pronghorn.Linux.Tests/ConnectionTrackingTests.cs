// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Linux.Tests;

public sealed class ConnectionTrackingTests : IDisposable
{
    private readonly NetworkNamespace _host = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-tracking");

    public void Dispose() => _host.Dispose();

    [Theory]
    [InlineData("127.0.0.1", "iptables")]
    [InlineData("::1", "ip6tables")]
    public void Connection_IsFoundUntilItIsForgotten(string address, string rules) => NamespaceThread.Run(_host, () =>
    {
        // A rule that asks for the state makes the kernel track.
        _host.Run(rules, "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP");
        using var listener = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        listener.Listen();
        using var client = new Socket(listener.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        using Socket server = listener.Accept();
        TcpEnd local = EndOf((IPEndPoint)server.LocalEndPoint!);
        TcpEnd remote = EndOf((IPEndPoint)server.RemoteEndPoint!);
        using var tracking = new ConnectionTracking();
        Assert.Equal(0, tracking.SetLiberal(local, remote));
        Assert.Equal(1, CountTracked(remote.Port));

        Assert.Equal(0, tracking.Forget(local, remote));

        Assert.Equal(0, CountTracked(remote.Port));
        Assert.Equal(-Errno.NoEntry, tracking.Forget(local, remote));
        Assert.Equal(-Errno.NoEntry, tracking.SetLiberal(local, remote));
    });

    private static TcpEnd EndOf(IPEndPoint end) => new(IpAddress.Parse(end.Address.ToString()), (ushort)end.Port);

    private static int CountTracked(int port) => File.ReadLines("/proc/thread-self/net/nf_conntrack")
        .Count(line => line.Contains(string.Create(CultureInfo.InvariantCulture, $" sport={port} "), StringComparison.Ordinal));
}
