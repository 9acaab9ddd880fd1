// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>What one connection was told of a path's MTU, later ones begin with (RFC 1191 6.2, RFC 5927 7).</summary>
public sealed class PathMtuTests
{
    [Fact]
    public void LearntOnOneConnection_NextConnect_BeginsWithIt()
    {
        using TcpFixture net = Learnt(1000);
        Assert.Equal(1000, Connect(net, 50001));
        Assert.Equal(1, net.Stack.Counters[Counter.PathMtuReductions]);
    }

    [Fact]
    public void LearntOnOneConnection_NextPassiveOpen_SendsSegmentsThatFit()
    {
        using TcpFixture net = Learnt(1000);
        net.LocalPort = TcpFixture.OurPort;
        net.RemotePort = TcpFixture.PeerPort;
        net.Accept();
        net.Send(3000);
        Assert.All(net.ExpectAll(), segment => Assert.InRange(segment.Length, 1, 960));
    }

    [Fact]
    public void TenMinutesLater_Connect_TriesTheWholeMtuAgain()
    {
        using TcpFixture net = Learnt(1000);
        net.Advance(Duration.FromSeconds(599));
        Assert.Equal(1000, Connect(net, 50001));
        net.Advance(Duration.FromSeconds(2));
        Assert.Equal(1500, Connect(net, 50002));
    }

    [Fact]
    public void OtherDestination_Connect_IsNotConcerned()
    {
        using TcpFixture net = Learnt(1000);
        Assert.Equal(1500, Connect(net, 50001, IpAddress.Parse("10.0.0.3")));
    }

    [Fact]
    public void ErrorOutsideTheWindow_NothingIsLearnt()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(1400);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, 100_000, mtu: 1000);
        Assert.Equal(1500, Connect(net, 50001));
        Assert.Equal(1, net.Stack.Counters[DropReason.IcmpNoConnection]);
    }

    [Fact]
    public void MoreDestinationsThanFit_OldestGiveWayAndAreCounted()
    {
        var counters = new StackCounters();
        using var cache = new PathMtuCache(counters, 1, 2);
        var now = new Instant(1_000_000_000);
        int count = 8 * PathMtuCache.Capacity;
        for (int i = 0; i < count; i++)
        {
            cache.Learn(IpAddress.FromIpv4(0x0b00_0000 + (uint)i), 1000, now);
            now += Duration.FromMicroseconds(1);
        }

        int known = 0;
        for (int i = 0; i < count; i++)
        {
            known += cache.Lookup(IpAddress.FromIpv4(0x0b00_0000 + (uint)i), now) == 1000 ? 1 : 0;
        }

        Assert.Equal(PathMtuCache.Capacity, known);
        Assert.Equal(count - known, counters[Counter.PathMtusEvicted]);
        Assert.Equal(1000, cache.Lookup(IpAddress.FromIpv4(0x0b00_0000 + (uint)count - 1), now));
    }

    [Fact]
    public void KnownDestination_ToldALargerMtu_KeepsTheSmallerUntilItExpires()
    {
        using var cache = new PathMtuCache(new StackCounters(), 1, 2);
        var now = new Instant(1_000_000_000);
        cache.Learn(TcpFixture.PeerAddress, 1000, now);
        cache.Learn(TcpFixture.PeerAddress, 1200, now);
        Assert.Equal(1000, cache.Lookup(TcpFixture.PeerAddress, now));
        now += Limits.PathMtuLife;
        Assert.Equal(0, cache.Lookup(TcpFixture.PeerAddress, now));
        cache.Learn(TcpFixture.PeerAddress, 1200, now);
        Assert.Equal(1200, cache.Lookup(TcpFixture.PeerAddress, now));
    }

    [Fact]
    public void InterfaceMtuFalls_OpenConnection_SendsAgainAndFurtherWhatFits()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(2920);
        Assert.Equal(2920, net.ExpectAll().Sum(static segment => segment.Length));
        SetMtu(net, 900);
        net.Tick();
        IReadOnlyList<SentSegment> again = net.ExpectAll();
        Assert.Equal(2920, again.Sum(static segment => segment.Length));
        Assert.All(again, static segment => Assert.InRange(segment.Length, 1, 860));
        net.PeerAck = 2920;
        net.Peer(TcpFlags.Ack);
        net.Send(2000);
        Assert.All(net.ExpectAll(), static segment => Assert.InRange(segment.Length, 1, 860));
        net.PeerAck = 4920;
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcp.SendQueueBytes(net.Id));

        // It was the interface's, not the destination's.
        SetMtu(net, 1500);
        net.Tick();
        Assert.Equal(1500, Connect(net, 50001));
    }

    private static void SetMtu(TcpFixture net, int mtu) => net.Stack.Interfaces.Update(
        new NetworkInterface { Id = TcpFixture.InterfaceId, Mac = TcpFixture.OurMac, Mtu = mtu, Up = true });

    private static TcpFixture Learnt(ushort mtu)
    {
        TcpFixture net = new TcpFixture().Connect();
        net.Send(1400);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, 0, mtu);
        net.Peer(TcpFlags.Ack);
        net.ExpectAll();
        Assert.Equal(mtu, net.Tcb.PathMtu);
        net.Peer(TcpFlags.Rst);
        net.Tcp.Close(net.Id, net.Now);
        return net;
    }

    private static int Connect(TcpFixture net, ushort port, IpAddress? remote = null)
    {
        net.Id = net.Tcp.Connect(
            TcpFixture.OurAddress, port, remote ?? TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
        Assert.NotEqual(0, net.Id);
        int mtu = net.Tcb.PathMtu;
        net.Tcp.Abort(net.Id, net.Now);
        net.ExpectAll();
        return mtu;
    }
}
