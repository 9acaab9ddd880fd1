// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 9293 3.9.2.2, RFC 5927, RFC 1191.</summary>
public sealed class IcmpTests
{
    [Theory]
    [InlineData(Icmpv4Code.PortUnreachable, TcpError.ConnectionRefused)]
    [InlineData(Icmpv4Code.HostUnreachable, TcpError.HostUnreachable)]
    [InlineData(Icmpv4Code.NetworkUnreachable, TcpError.NetworkUnreachable)]
    [InlineData(Icmpv4Code.ProtocolUnreachable, TcpError.ProtocolError)]
    [InlineData(Icmpv4Code.AdministrativelyProhibited, TcpError.HostUnreachable)]
    public void Unreachable_WhileOpening_EndsIt(byte code, TcpError error)
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, code, -1);
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(error, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void Unreachable_WhenOpen_OnlyExplainsALaterTimeout()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.HostUnreachable, 0);
        Assert.Equal(TcpState.Established, net.State);
        Assert.Equal(TcpError.None, net.Tcp.TakeError(net.Id));
        net.Advance(Duration.FromSeconds(2000));
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.HostUnreachable, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void Unreachable_ThenProgress_IsForgotten()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.TimeExceeded, 0, 0);
        net.Peer(TcpFlags.Ack);
        Assert.Equal(TcpError.None, net.Tcb.SoftError);
    }

    [Theory]
    [InlineData(-10)]
    [InlineData(1000)]
    public void QuotedNumberOutsideTheFlight_IsIgnored(int seq)
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, seq, 600);
        Assert.Equal(1500, net.Tcb.PathMtu);
        Assert.Equal(1, net.Stack.Counters[DropReason.IcmpNoConnection]);
    }

    [Fact]
    public void FragmentationNeeded_SmallerSegmentsAreSentAtOnceAndTheWindowStays()
    {
        using TcpFixture net = new TcpFixture().Accept();
        byte[] data = TcpFixture.Bytes(5 * 1460);
        net.Send(data);
        net.ExpectAll();
        int window = net.Tcb.Cwnd;
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, 0, 1000);
        IReadOnlyList<SentSegment> again = net.ExpectAll();
        Assert.Equal(data.Length, again.Sum(s => s.Length));
        Assert.All(again, s => Assert.True(s.Length <= 960));
        Assert.Equal(data, again.OrderBy(s => s.Seq).SelectMany(s => s.Payload));
        Assert.Equal(window, net.Tcb.Cwnd);
        Assert.Equal(960, net.Tcb.SendMss);
        net.Peer(TcpFlags.Ack);
        net.Send(2000);
        Assert.Equal(960, net.ExpectAll()[0].Length);
    }

    [Theory]
    [InlineData(0, 576)]
    [InlineData(100, Limits.MinimumPathMtu)]
    public void FragmentationNeeded_WithoutOrWithATinyMtu_UsesAFloor(ushort named, int used)
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(1460);
        net.ExpectAll();
        net.PeerIcmp(Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, 0, named);
        Assert.Equal(used, net.Tcb.PathMtu);
    }

    [Fact]
    public void SourceQuench_IsIgnored()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        net.ExpectAll();
        int window = net.Tcb.Cwnd;
        net.PeerIcmp(Icmpv4Type.SourceQuench, 0, 0);
        Assert.Equal(window, net.Tcb.Cwnd);
        Assert.Equal(1, net.Stack.Counters[DropReason.IcmpUnused]);
    }
}
