// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Next hops that do not answer, that are lost and that come back.</summary>
public sealed class PathTests
{
    private const int Mss = 1460;

    private static readonly MacAddress s_newMac = new(0x0200_0000_0022);

    [Fact]
    public void SynSent_NeighbourFails_EndsWithHostUnreachable()
    {
        using TcpFixture net = ConnectToStranger();
        PassRequest(net);
        Fail(net);
        net.Tick();
        Assert.Equal(TcpState.Closed, net.State);
        TcpEvent told = Assert.Single(net.Events());
        Assert.Equal(Readiness.In | Readiness.Out | Readiness.Error | Readiness.HangUp | Readiness.ReadHangUp, told.Edge);
        Assert.Equal(TcpError.HostUnreachable, net.Tcp.TakeError(net.Id));
        Assert.Equal(1, net.Stack.Counters[Counter.TcpAttemptFails]);
        Assert.Equal(1, net.Stack.Counters[Counter.NeighborsFailed]);
        Assert.Equal(0, net.Stack.Neighbors.Count);
    }

    [Fact]
    public void SynSent_OldFailureIsTold_GoesOn()
    {
        using TcpFixture net = ConnectToStranger();
        Fail(net); // what the kernel found out before it got our request
        net.Tick();
        Assert.Equal(TcpState.SynSent, net.State);
        PassRequest(net);
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        Assert.Equal(TcpFlags.Syn, net.Expect().Flags);
    }

    [Fact]
    public void SynSent_SnapshotBetweenRequestAndFailure_StillEnds()
    {
        using TcpFixture net = ConnectToStranger();
        PassRequest(net);
        net.Stack.Neighbors.Clear();
        Fail(net);
        net.Tick();
        Assert.Equal(TcpState.Closed, net.State);
    }

    [Fact]
    public void SynSent_OtherNeighbourFails_GoesOn()
    {
        using TcpFixture net = ConnectToStranger();
        IpAddress other = IpAddress.Parse("10.0.0.99");
        net.Tcp.Connect(TcpFixture.OurAddress, 50001, other, 80, 0, SocketSettings.Default, net.Now, out _);
        PassRequest(net);
        PassRequest(net);
        net.Stack.Neighbors.Fail(TcpFixture.InterfaceId, other);
        net.Tick();
        Assert.Equal(TcpState.SynSent, net.State);
        Assert.Equal(TcpState.Closed, net.Tcp.GetState(2));
    }

    [Fact]
    public void NeighbourFailed_NextConnect_AsksAnew()
    {
        using TcpFixture net = ConnectToStranger();
        PassRequest(net);
        Fail(net);
        net.Tick();
        net.Tcp.Close(net.Id, net.Now);
        net.Id = net.Tcp.Connect(
            TcpFixture.OurAddress, 50000, TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
        net.Tick();
        Assert.Equal(TcpState.SynSent, net.State);
        PassRequest(net);
    }

    [Fact]
    public void SynReceived_NeighbourFails_IsForgotten()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynReceived);
        Forget(net);
        net.Advance(1500);
        PassRequest(net);
        Fail(net);
        net.Tick();
        Assert.Equal(0, net.Tcp.ConnectionCount);
        Assert.Equal(0, net.Tcp.GetListener(1).SynCount);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpAttemptFails]);
        net.AssertNothingHeld();
    }

    [Fact]
    public void Established_NeighbourFails_GoesOnAndTellsAtTheEnd()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Forget(net);
        net.Send(100);
        net.Advance(30_000);
        PassRequest(net);
        Fail(net);
        net.Tick();
        Assert.Equal(TcpState.Established, net.State);
        net.Advance(Duration.FromSeconds(3600));
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.HostUnreachable, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void Established_NeighbourFailsAndComesBack_ErrorIsForgotten()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Forget(net);
        net.Send(100);
        PassRequest(net);
        Fail(net);
        net.Tick();
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        Assert.Equal(100, net.Expect().Length);
        net.Peer(TcpFlags.Ack);
        net.Send(100);
        net.Advance(Duration.FromSeconds(3600));
        Assert.Equal(TcpError.TimedOut, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void NeighbourLostInFlight_ComesBackAfterTimeouts_AllGoesAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept(options: TcpFixture.SackOptions());
        net.Send(5 * Mss);
        Assert.Equal(5, net.ExpectAll().Count);
        Forget(net);
        net.Advance(20_000);
        net.ExpectNothing();
        Assert.InRange(net.Tcb.Backoff, 4, 10);
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        IReadOnlyList<SentSegment> sent = net.ExpectAll();
        Assert.Equal([0, Mss, 2 * Mss, 3 * Mss, 4 * Mss], sent.Select(segment => segment.Seq));
        Assert.All(sent, segment => Assert.Equal(net.Now, segment.Time));

        // Should that be lost, the next attempt is not as far away as after so many time-outs.
        Assert.Equal(0, net.ExpectWithin(Duration.FromSeconds(2)).Seq);
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcb.FlightSize);
    }

    [Fact]
    public void NeighbourDeadUntilItFails_ComesBackElsewhere_GoesThereAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(2 * Mss);
        net.Advance(10_000); // time-outs into the void
        Assert.InRange(net.ExpectAll().Count, 4, 20);
        Instant next = net.Stack.NextDeadline;
        Fail(net);
        net.Tick();
        net.ExpectNothing();
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, s_newMac);
        Assert.Equal([0, Mss], net.ExpectAll().Select(segment => segment.Seq));
        Assert.True(net.Now < next);
        Assert.Equal(s_newMac, net.Tcb.NextHopMac);
    }

    [Fact]
    public void WrittenWhileNeighbourIsLost_ComesBack_GoesOnceAndAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Forget(net);
        net.Send(3 * Mss);
        net.ExpectNothing();
        Assert.Equal(0, net.Tcb.FlightSize);
        net.Advance(5000);
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        Assert.Equal([0, Mss, 2 * Mss], net.ExpectAll().Select(segment => segment.Seq));
        Assert.Equal(0, net.Tcb.TotalRetransmissions);
        Assert.Equal(0, net.Tcb.Backoff);
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcb.SendQueueBytes);
    }

    [Fact]
    public void NeighbourFlushedAndBack_NoTimeout_NothingIsSentTwice()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(3 * Mss);
        net.ExpectAll();
        Forget(net);
        net.Tick();
        PassRequest(net);
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        net.ExpectNothing();
    }

    [Fact]
    public void ClosedWhileNeighbourIsLost_ComesBack_FinGoes()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Forget(net);
        net.Send(10);
        net.Close();
        net.Advance(3000);
        net.ExpectNothing();
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        SentSegment sent = net.Expect();
        Assert.True(sent.Is(TcpFlags.Fin));
        Assert.Equal(10, sent.Length);
    }

    [Fact]
    public void AckOwedWhileNeighbourIsLost_ComesBack_IsSent()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Forget(net);
        net.Peer(TcpFlags.Ack | TcpFlags.Psh, payload: TcpFixture.Bytes(10));
        net.Advance(500);
        net.ExpectNothing();
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        Assert.Equal(10, net.Expect().Ack);
    }

    [Fact]
    public void TimeoutOnAKnownNeighbour_KernelIsAskedToLook()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        Assert.False(net.Stack.Neighbors.TryDequeueRequest(out _, out _));
        net.Advance(1100);
        PassRequest(net);
        Assert.False(net.Stack.Neighbors.TryDequeueRequest(out _, out _));
    }

    [Fact]
    public void OwnAddressLost_ComesBack_NothingLeavesInBetweenAndAllGoesAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(Mss);
        net.ExpectAll();
        net.Stack.Interfaces.RemoveAddress(TcpFixture.InterfaceId, TcpFixture.OurAddress);
        net.Send(Mss);
        net.Advance(10_000);
        net.ExpectNothing();
        net.Stack.Interfaces.AddAddress(TcpFixture.InterfaceId, TcpFixture.OurAddress, 24);
        Assert.Equal([0, Mss], net.ExpectAll().Select(segment => segment.Seq));
        Assert.Equal(TcpState.Established, net.State);
    }

    private static TcpFixture ConnectToStranger()
    {
        var net = new TcpFixture(knowPeer: false) { LocalPort = 50000, RemotePort = 80 };
        net.Id = net.Tcp.Connect(
            TcpFixture.OurAddress, 50000, TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
        net.ExpectNothing();
        return net;
    }

    private static void PassRequest(TcpFixture net) => Assert.True(net.Stack.Neighbors.TryDequeueRequest(out _, out _));

    private static void Fail(TcpFixture net) => net.Stack.Neighbors.Fail(TcpFixture.InterfaceId, TcpFixture.PeerAddress);

    private static void Forget(TcpFixture net)
    {
        net.Stack.Neighbors.Remove(TcpFixture.InterfaceId, TcpFixture.PeerAddress);
        net.Tick();
    }
}
