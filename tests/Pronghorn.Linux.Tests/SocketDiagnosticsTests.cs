// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Lists and ends sockets of a namespace.</summary>
public sealed class SocketDiagnosticsTests : IDisposable
{
    private const int SocketCookie = 57;

    private readonly NetworkNamespace _place = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-diag");

    public void Dispose() => _place.Dispose();

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.0.0.1", true)]
    [InlineData("::1", true)]
    public void ConnectedUdpSocket_ListedByPort_IsFoundAndEnded(string address, bool isIpv6Socket)
    {
        IpAddress remote = IpAddress.ReadIpv6(IPAddress.Parse(address).MapToIPv6().GetAddressBytes());
        InPlace(diagnostics =>
        {
            using Socket socket = Connect(address, 53, isIpv6Socket);
            using Socket other = Connect(address, 54, isIpv6Socket);
            DiagnosedSocket found = Assert.Single(List(diagnostics, isIpv6Socket, 53));
            Assert.Equal((remote, (ushort)53), (found.Remote, found.RemotePort));
            Assert.Equal(((IPEndPoint)socket.LocalEndPoint!).Port, found.LocalPort);
            Assert.Equal(0, Libc.GetSocketOption((int)socket.Handle, 1, SocketCookie, out ulong cookie, out _));
            Assert.Equal(cookie, found.Cookie);
            Assert.Empty(List(diagnostics, !isIpv6Socket, 53));
            Assert.Equal(2, List(diagnostics, isIpv6Socket, 0).Count);

            // Another socket may have the same ends by now: then it has another cookie, and is not meant.
            Assert.Equal(-Errno.NoEntry, diagnostics.Destroy(found with { Cookie = cookie + 1 }));
            Assert.Equal(0, diagnostics.Destroy(found));
            Assert.Equal(SocketError.ConnectionAborted, Receive(socket));
            Assert.Equal(SocketError.WouldBlock, Receive(other));
            Assert.Empty(List(diagnostics, isIpv6Socket, 53));
        });
    }

    private static List<DiagnosedSocket> List(SocketDiagnostics diagnostics, bool isIpv6, ushort port)
    {
        List<DiagnosedSocket> found = [];
        Assert.Equal(0, diagnostics.List(isIpv6, IpProtocol.Udp, port, found));
        return found;
    }

    private static Socket Connect(string address, int port, bool isIpv6)
    {
        var socket = new Socket(
            isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        if (isIpv6)
        {
            socket.DualMode = true;
        }

        socket.Connect(IPAddress.Parse(address), port);
        socket.Blocking = false;
        return socket;
    }

    private static SocketError Receive(Socket socket)
    {
        socket.Receive(new byte[1], 0, 1, SocketFlags.None, out SocketError error);
        return error;
    }

    private void InPlace(Action<SocketDiagnostics> action) => NamespaceThread.Run(_place, () =>
    {
        Assert.Equal(0, SocketDiagnostics.Open(out SocketDiagnostics? diagnostics));
        using (diagnostics)
        {
            action(diagnostics!);
        }

        return true;
    });
}
