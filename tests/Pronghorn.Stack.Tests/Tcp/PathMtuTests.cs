// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Ip;
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
