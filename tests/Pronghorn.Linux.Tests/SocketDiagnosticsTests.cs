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
    private const byte Established = 1;
    private const byte Listening = 10;

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

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void Connection_Sought_IsFoundByItsEnds_UntilItHasGone(string address) => InPlace(diagnostics =>
    {
        _place.Run("ip", "link", "set", "lo", "up");
        var place = IPAddress.Parse(address);
        using var listener = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(place, 0));
        listener.Listen();
        using var client = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        using Socket accepted = listener.Accept();
        IpAddress end = IpAddress.Parse(address);
        ushort own = (ushort)((IPEndPoint)listener.LocalEndPoint!).Port;
        ushort peer = (ushort)((IPEndPoint)client.LocalEndPoint!).Port;

        Assert.Equal(0, diagnostics.Find(end, own, end, peer, out DiagnosedSocket found));
        Assert.Equal((Established, end, own, end, peer), (found.State, found.Local, found.LocalPort, found.Remote, found.RemotePort));
        Assert.Equal(CookieOf(accepted), found.Cookie);
        Assert.Equal(0, diagnostics.Find(end, peer, end, own, out found));
        Assert.Equal(CookieOf(client), found.Cookie);

        // Where there is no connection the listener is found, which has no other end.
        Assert.Equal(0, diagnostics.Find(end, own, end, (ushort)(peer ^ 1), out found));
        Assert.Equal((Listening, CookieOf(listener)), (found.State, found.Cookie));

        // A reset: nothing of it waits, at either end.
        accepted.LingerState = new LingerOption(true, 0);
        accepted.Dispose();
        Assert.Equal(SocketError.ConnectionReset, Receive(client));
        Assert.Equal(0, diagnostics.Find(end, own, end, peer, out found));
        Assert.Equal(Listening, found.State);
        Assert.Equal(-Errno.NoEntry, diagnostics.Find(end, peer, end, own, out found));
        Assert.Equal(default, found);
    });

    [Fact]
    public void ListingGivenUp_NextRequests_GetTheirOwnAnswers() => InPlace(diagnostics =>
    {
        // More than one read of the answers holds.
        const int Many = 900;
        var sockets = new List<Socket>();
        try
        {
            for (int i = 0; i < Many; i++)
            {
                sockets.Add(Connect("127.0.0.1", i == 0 ? 53 : 54, isIpv6: false));
            }

            // An array takes no more: the caller's exception ends the listing in the middle.
            Assert.Throws<NotSupportedException>(() => diagnostics.List(isIpv6: false, IpProtocol.Udp, 0, Array.Empty<DiagnosedSocket>()));
            DiagnosedSocket found = Assert.Single(List(diagnostics, isIpv6: false, 53));
            Assert.Throws<NotSupportedException>(() => diagnostics.List(isIpv6: false, IpProtocol.Udp, 0, Array.Empty<DiagnosedSocket>()));
            Assert.Equal(0, diagnostics.Destroy(found));
            Assert.Equal(Many - 1, List(diagnostics, isIpv6: false, 0).Count);
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }
    });

    [Fact]
    public void AnswersToAnEarlierRequest_Read_ArePassedOver()
    {
        List<DiagnosedSocket> found = [];
        byte[] answers = [.. Message(20, 6, new byte[72]), .. Message(3, 6, -5), .. Message(2, 6, -1), .. Message(20, 7, new byte[72])];
        Assert.Equal(SocketDiagnostics.Unfinished, SocketDiagnostics.ReadAnswers(answers, 7, IpProtocol.Udp, found));
        Assert.Single(found);
    }

    [Theory]
    [InlineData(3, 0, 0)]
    [InlineData(3, -12, -12)] // NLMSG_DONE: the dump broke off
    [InlineData(2, -2, -2)]
    [InlineData(2, 0, 0)]
    public void EndOfTheAnswers_Read_SaysTheKernelsError(int type, int error, int expected) =>
        Assert.Equal(expected, SocketDiagnostics.ReadAnswers(Message(type, 7, error), 7, IpProtocol.Udp, []));

    [Fact]
    public void EndOfTheAnswersWithoutAnError_Read_IsGoodOnlyForAListing()
    {
        Assert.Equal(0, SocketDiagnostics.ReadAnswers(Message(3, 7, []), 7, IpProtocol.Udp, []));
        Assert.Equal(-Errno.Invalid, SocketDiagnostics.ReadAnswers(Message(2, 7, []), 7, IpProtocol.Udp, []));
    }

    private static byte[] Message(int type, uint sequence, int error) => Message(type, sequence, BitConverter.GetBytes(error));

    private static byte[] Message(int type, uint sequence, byte[] payload) =>
    [
        .. BitConverter.GetBytes(16 + payload.Length), .. BitConverter.GetBytes((ushort)type), 0, 0,
        .. BitConverter.GetBytes(sequence), 0, 0, 0, 0, .. payload,
    ];

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

    private static ulong CookieOf(Socket socket)
    {
        Assert.Equal(0, Libc.GetSocketOption((int)socket.Handle, 1, SocketCookie, out ulong cookie, out _));
        return cookie;
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
