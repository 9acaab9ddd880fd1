// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Listeners, their two queues, and what their end does.</summary>
public sealed class ListenerTests
{
    private static int Listen(TcpFixture net, int backlog) =>
        net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, backlog, 9, SocketSettings.Default, out _);

    private static void Syn(TcpFixture net, ushort port)
    {
        net.RemotePort = port;
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
    }

    private static void Handshake(TcpFixture net, ushort port)
    {
        net.RemotePort = port;
        net.HandshakeWithListener(TcpFixture.PlainOptions());
    }

    [Fact]
    public void SamePortTwice_IsRefused_AnyAddressBesideOneIsNot()
    {
        using var net = new TcpFixture();
        Assert.NotEqual(0, Listen(net, 1));
        Assert.Equal(0, net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, 1, 0, SocketSettings.Default, out TcpError error));
        Assert.Equal(TcpError.AddressInUse, error);
        int any = net.Tcp.Listen(IpAddress.AnyIpv4, TcpFixture.OurPort, 1, 0, SocketSettings.Default, out _);
        Assert.NotEqual(0, any);

        // The more exact one gets the connection.
        Handshake(net, 1001);
        Assert.Equal(0, net.Tcp.AcceptQueueLength(any));
    }

    [Fact]
    public void AcceptQueueIsFull_SynIsDropped()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 1);
        Handshake(net, 1001);
        Handshake(net, 1002);
        Assert.Equal(2, net.Tcp.AcceptQueueLength(listener));
        Syn(net, 1003);
        net.ExpectNothing();
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpAcceptQueueFull]);
        Assert.True(net.Tcp.TryAccept(listener, out int first));
        Assert.Equal(1001, net.Tcp.Get(first).RemotePort);
        Syn(net, 1003);
        Assert.True(net.Expect().Is(TcpFlags.Syn | TcpFlags.Ack));
    }

    [Fact]
    public void QueueFillsDuringAHandshake_ItIsFinishedLater()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 0);
        Syn(net, 1002);
        SeqNumber origin = net.Expect().RawSequence + 1;
        Handshake(net, 1001);
        net.RemotePort = 1002;
        int late = origin - net.OurOrigin;
        net.Peer(TcpFlags.Ack, 0, late);
        Assert.Equal(1, net.Tcp.AcceptQueueLength(listener));
        Assert.True(net.Tcp.TryAccept(listener, out _));
        SentSegment again = net.ExpectWithin(Duration.FromSeconds(2));
        Assert.True(again.Is(TcpFlags.Syn | TcpFlags.Ack));
        net.Peer(TcpFlags.Ack, 0, late);
        Assert.True(net.Tcp.TryAccept(listener, out int second));
        Assert.Equal(1002, net.Tcp.Get(second).RemotePort);
    }

    [Fact]
    public void TooManyOpenHandshakes_SynIsDropped()
    {
        // As Linux 6.18 with tcp_syncookies=0: a backlog of four holds five open handshakes.
        using var net = new TcpFixture(new StackOptions { MaximumConnections = 1000, UseSynCookies = false });
        Listen(net, 4);
        for (int i = 0; i < 200; i++)
        {
            Syn(net, (ushort)(2000 + i));
        }

        Assert.Equal(5, net.ExpectAll().Count);
        Assert.Equal(195, net.Stack.Counters[DropReason.TcpSynQueueFull]);
        Assert.Equal(5, net.Tcp.ConnectionCount);
        net.Advance(Duration.FromSeconds(120));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.ExpectAll();
        Syn(net, 5000);
        Assert.True(net.Expect().Is(TcpFlags.Syn | TcpFlags.Ack));
    }

    [Fact]
    public void NoRecordIsFree_SynIsDropped()
    {
        using var net = new TcpFixture(new StackOptions { MaximumConnections = 3 });
        Listen(net, 100);
        for (int i = 0; i < 5; i++)
        {
            Syn(net, (ushort)(2000 + i));
        }

        Assert.Equal(3, net.ExpectAll().Count);
        Assert.Equal(2, net.Stack.Counters[DropReason.TcpNoMemory]);
    }

    [Fact]
    public void ListenerCloses_WhatWaitsIsReset()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 10);
        Handshake(net, 1001);
        Handshake(net, 1002);
        Assert.True(net.Tcp.TryAccept(listener, out int accepted));
        Syn(net, 1003);
        net.ExpectAll();
        net.Tcp.CloseListener(listener, net.Now);
        SentSegment[] resets = [.. net.ExpectAll()];
        Assert.All(resets, s => Assert.True(s.Is(TcpFlags.Rst)));
        Assert.Equal([1002, 1003], resets.Select(s => (int)s.DestinationPort).Order());
        Assert.Equal(TcpState.Established, net.Tcp.GetState(accepted));
        Assert.Equal(1, net.Tcp.ConnectionCount);
        Syn(net, 1004);
        Assert.True(net.Expect().Is(TcpFlags.Rst));
        Assert.NotEqual(0, Listen(net, 10));
    }

    [Fact]
    public void ResetBeforeAccept_AcceptStillTells()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 10);
        Handshake(net, 1001);
        net.Peer(TcpFlags.Rst);
        Assert.True(net.Tcp.TryAccept(listener, out int connection));
        Assert.Equal(TcpState.Closed, net.Tcp.GetState(connection));
        Assert.Equal(TcpError.ConnectionReset, net.Tcp.TakeError(connection));
        net.Tcp.Close(connection, net.Now);
        net.AssertNothingHeld();
        Assert.Equal(0, net.Tcp.ConnectionCount);
    }

    [Fact]
    public void NewConnection_ListenerHasAnEventAndIsReadable()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 10);
        Assert.Equal(Readiness.None, net.Tcp.GetListenerReadiness(listener));
        Handshake(net, 1001);
        Assert.Contains(net.Events(), e => e is { IsListener: true, Tag: 9, Edge: Readiness.In } && e.Id == listener);
        Assert.Equal(Readiness.In, net.Tcp.GetListenerReadiness(listener));
        net.Tcp.TryAccept(listener, out _);
        Assert.Equal(Readiness.None, net.Tcp.GetListenerReadiness(listener));
        Assert.False(net.Tcp.TryAccept(listener, out _));
    }

    [Fact]
    public void BadHandshakeAcknowledgment_ListenerSurvives()
    {
        using var net = new TcpFixture();
        int listener = Listen(net, 10);
        Syn(net, 1001);
        net.ExpectAll();
        net.Peer(TcpFlags.Rst, 0);
        Assert.Equal(0, net.Tcp.ConnectionCount);
        Assert.Equal(0, net.Tcp.GetListener(listener).SynCount);
        Handshake(net, 1002);
        Assert.True(net.Tcp.TryAccept(listener, out _));
    }
}
