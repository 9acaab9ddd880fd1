// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What the programs make of segments at an address that several nodes have.</summary>
public sealed class HandoffSeekVerdictTests : IClassFixture<VerdictNode>, IDisposable
{
    private const byte Fin = 1;
    private const byte Push = 8;
    private const byte Ack = TestFrame.Ack;
    private const ulong NodeMac = 0x02aaaaaaaaaa;
    private const ulong SoughtMark = 0x0251_0000_0000;
    private const ulong HeldMark = 0x0250_0000_0000;
    private const ulong WaitsMark = 0x0252_0000_0000;
    private static readonly Stay s_stay = new(1, 1);

    private readonly VerdictNode _node;

    public HandoffSeekVerdictTests(VerdictNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        _node = node;
        _node.SetTap(_node.Tap);
        _node.SetShared(true);
        _node.SetSeeking(true);
        _node.SetSeekLimit(false);
    }

    public void Dispose() => _node.Tables.Clear();

    [Theory]
    [InlineData(false, Ack)]
    [InlineData(false, Fin | Ack)]
    [InlineData(false, Push | Ack)]
    [InlineData(true, Ack)]
    [InlineData(true, Fin | Ack)]
    [InlineData(false, TestFrame.Rst)]
    [InlineData(true, TestFrame.Rst | Ack)]
    public void Stray_GoesToTheTap_MarkedAsTheFirst_AndThenAsOneThatWaits(bool isIpv6, byte flags)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = New(isIpv6);
        ulong sought = _node.Count(SteeringCounter.Sought);
        ulong held = _node.Count(SteeringCounter.Held);

        TestFrame sent = stray.Frame with { Flags = flags };
        (uint verdict, TestFrame first) = _node.Run(_node.Ingress, sent, _node.Peers);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(sent with { SourceMac = SoughtMark | InterfaceOf(_node.Peers) }, first);
        Assert.Equal(SteeringMode.Sought, ModeOf(stray));

        // The daemon is asked once, whatever comes then, and by whatever interface.
        (verdict, TestFrame second) = _node.Run(_node.Ingress, stray.Frame, _node.Way);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(stray.Frame with { SourceMac = WaitsMark | InterfaceOf(_node.Way) }, second);

        // Given back too early, it goes round with what it says.
        TestFrame returned = AsGivenBack(second, _node.Way);
        (verdict, TestFrame again) = _node.Run(_node.Ingress, returned, _node.Tap);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(returned, again);
        Assert.Equal((sought + 1, held + 3), (_node.Count(SteeringCounter.Sought), _node.Count(SteeringCounter.Held)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NoDaemonSeeks_Passes(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        _node.SetSeeking(false);
        AssertIsTheKernels(New(isIpv6), Ack);
    }

    [Fact]
    public void DaemonIsExpectedBack_WhatItWouldAskForIsDropped_AndNothingIsKeptOfIt()
    {
        using Socket listener = _node.Listen(isIpv6: false);
        _node.SetSeeking(isThere: false, isExpected: true);
        Connection stray = New(isIpv6: false);
        ulong dropped = _node.Count(SteeringCounter.DropUnanswered);
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, stray.Frame, _node.Peers).Verdict);
        Assert.Equal(dropped + 1, _node.Count(SteeringCounter.DropUnanswered));
        Assert.Null(ModeOf(stray));

        // Handshakes are none of it.
        AssertIsTheKernels(New(isIpv6: false), TestFrame.Syn);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AddressIsNotShared_Passes(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        _node.SetShared(false);
        AssertIsTheKernels(New(isIpv6), Ack);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NoListener_Passes(bool isIpv6)
    {
        // Where none ever is: a program that another test starts may have a copy of a listener that was closed.
        Connection made = New(isIpv6);
        TcpEnd local = made.Local with { Port = 81 };
        AssertIsTheKernels(made with { Local = local, Frame = made.Frame with { Destination = local } }, Ack);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ConnectionOfThisNode_Passes(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        using Socket client = _node.Connect(isIpv6);
        var end = (IPEndPoint)client.LocalEndPoint!;
        var remote = new TcpEnd(IpAddress.Parse(end.Address.ToString()), (ushort)end.Port);
        Connection made = New(isIpv6);
        AssertIsTheKernels(made with { Remote = remote, Frame = made.Frame with { Source = remote } }, Ack);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Beginnings_Pass(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        byte[] others = [TestFrame.Syn, TestFrame.Syn | Ack, Fin, 0];
        foreach (byte flags in others)
        {
            AssertIsTheKernels(New(isIpv6), flags);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TooManyAtOnce_AreDroppedAndCounted_AndNothingIsKeptOfThem(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = New(isIpv6);
        ulong dropped = _node.Count(SteeringCounter.DropSeekLimit);
        _node.SetSeekLimit(true);
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, stray.Frame, _node.Peers).Verdict);
        Assert.Equal(dropped + 1, _node.Count(SteeringCounter.DropSeekLimit));
        Assert.Null(ModeOf(stray));

        // The peer sends again, and there is room.
        _node.SetSeekLimit(false);
        Assert.Equal(VerdictNode.Redirect, _node.Run(_node.Ingress, stray.Frame, _node.Peers).Verdict);
        Assert.Equal(SteeringMode.Sought, ModeOf(stray));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Unknown_IsTheKernels_WhichMayReset(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = Seek(isIpv6);
        TestFrame held = AsGivenBack(_node.Run(_node.Ingress, stray.Frame, _node.Peers).Frame, _node.Peers);
        Assert.Equal(0, _node.Tables.GiveUpSought(stray.Local, stray.Remote, isAnswered: true));
        ulong returned = _node.Count(SteeringCounter.Returned);

        _node.AssertPassesUntouched(_node.Ingress, stray.Frame.Build());
        _node.AssertPassesUntouched(_node.Egress, (stray.Frame.Turned with { Flags = TestFrame.Rst }).Build());

        // What waited comes in as if now.
        Assert.Equal(VerdictNode.Redirect, _node.Run(_node.Ingress, held, _node.Tap).Verdict);
        Assert.Equal(returned + 1, _node.Count(SteeringCounter.Returned));
        Assert.Equal(SteeringMode.Unknown, ModeOf(stray));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Unanswered_IsDroppedAndCounted_AlsoWhatWaited(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = Seek(isIpv6);
        TestFrame held = AsGivenBack(_node.Run(_node.Ingress, stray.Frame, _node.Peers).Frame, _node.Peers);
        Assert.Equal(0, _node.Tables.GiveUpSought(stray.Local, stray.Remote, isAnswered: false));
        ulong dropped = _node.Count(SteeringCounter.DropUnanswered);
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, stray.Frame, _node.Peers).Verdict);
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, held, _node.Tap).Verdict);
        Assert.Equal(dropped + 2, _node.Count(SteeringCounter.DropUnanswered));
        AssertResetIsDropped(stray);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sought_AResetOfThisNodes_DoesNotLeave(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        AssertResetIsDropped(Seek(isIpv6));
    }

    [Theory]
    [InlineData(SteeringMode.Sought)]
    [InlineData(SteeringMode.Unknown)]
    [InlineData(SteeringMode.Unanswered)]
    public void PeerUsesItsPortAgain_NothingIsLeftOfTheSearch(SteeringMode mode)
    {
        bool isIpv6 = mode == SteeringMode.Unknown;
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = Seek(isIpv6);
        Assert.True(mode == SteeringMode.Sought
            || _node.Tables.GiveUpSought(stray.Local, stray.Remote, mode == SteeringMode.Unknown) == 0);

        // What is no beginning changes nothing.
        _node.Run(_node.Ingress, stray.Frame with { Flags = TestFrame.Syn | Ack }, _node.Peers);
        Assert.Equal(mode, ModeOf(stray));
        AssertIsTheKernels(stray, TestFrame.Syn);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SoughtUnknownOrUnanswered_Errors_AreTheKernels(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        foreach (SteeringMode mode in (SteeringMode[])[SteeringMode.Sought, SteeringMode.Unknown, SteeringMode.Unanswered])
        {
            Connection stray = Seek(isIpv6);
            Assert.True(mode == SteeringMode.Sought
                || _node.Tables.GiveUpSought(stray.Local, stray.Remote, mode == SteeringMode.Unknown) == 0);
            Assert.Equal(mode, ModeOf(stray));
            TestFrame error = TestFrame.Error(stray.Frame.Turned, isIpv6 ? (byte)2 : (byte)3, isIpv6 ? (byte)0 : (byte)4, 1280);
            _node.AssertPassesUntouched(_node.Ingress, error.Build());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OwnerIsThisNode_ItComesInOnceMore_UnderTheOtherEnd(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = Seek(isIpv6);
        TestFrame held = AsGivenBack(_node.Run(_node.Ingress, stray.Frame, _node.Peers).Frame, _node.Peers);
        Assert.Equal(0, _node.Tables.RedirectSought(stray.Local, stray.Remote, stray.Target, interfaceIndex: 0, s_stay));
        ulong redirected = _node.Count(SteeringCounter.Redirected);
        ulong returned = _node.Count(SteeringCounter.Returned);

        // It is a hop: two such entries may lead to each other.
        (uint verdict, TestFrame frame) = _node.Run(_node.Ingress, stray.Frame, _node.Peers);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(stray.Frame with { Destination = stray.Target, HopLimit = 63 }, frame);
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, stray.Frame with { HopLimit = 1 }, _node.Peers).Verdict);

        (verdict, frame) = _node.Run(_node.Ingress, held, _node.Tap);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(held with { Destination = stray.Target, HopLimit = 63 }, frame);
        Assert.Equal(redirected + 2, _node.Count(SteeringCounter.Redirected));
        Assert.Equal(returned + 1, _node.Count(SteeringCounter.Returned));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OwnerHasTheEndThatThePeerKnows_ItGoesThereAsItIs(bool isIpv6)
    {
        using Socket listener = _node.Listen(isIpv6);
        Connection stray = Seek(isIpv6);
        Assert.Equal(0, _node.Tables.RedirectSought(
            stray.Local, stray.Remote, stray.Local, _node.Way, s_stay, via: stray.Target.Address));
        ulong redirected = _node.Count(SteeringCounter.Redirected);
        ulong dropped = _node.Count(SteeringCounter.DropHopLimit);
        (uint verdict, TestFrame frame) = _node.Run(_node.Ingress, stray.Frame, _node.Peers);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(stray.Frame with { HopLimit = 63 }, frame);
        Assert.Equal(redirected + 1, _node.Count(SteeringCounter.Redirected));

        // Two nodes that each take the other for the owner must not send one for ever.
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Ingress, stray.Frame with { HopLimit = 1 }, _node.Peers).Verdict);
        Assert.Equal(dropped + 1, _node.Count(SteeringCounter.DropHopLimit));
    }

    /// <summary>One that has just been asked for.</summary>
    private Connection Seek(bool isIpv6)
    {
        Connection made = New(isIpv6);
        Assert.Equal(VerdictNode.Redirect, _node.Run(_node.Ingress, made.Frame, _node.Peers).Verdict);
        Assert.Equal(SteeringMode.Sought, ModeOf(made));
        return made;
    }

    private Connection New(bool isIpv6)
    {
        (TcpEnd local, TcpEnd remote, TcpEnd target) = _node.NewEnds(isIpv6);
        var frame = new TestFrame { DestinationMac = NodeMac, Source = remote, Destination = local, Payload = [1, 2, 3, 4, 5] };
        return new Connection(local, remote, target, frame);
    }

    private SteeringMode? ModeOf(Connection connection) =>
        _node.Tables.FindGiven(connection.Local, connection.Remote, out GivenEntry entry) ? entry.Mode : null;

    private void AssertIsTheKernels(Connection connection, byte flags)
    {
        _node.AssertPassesUntouched(_node.Ingress, (connection.Frame with { Flags = flags }).Build());
        Assert.Null(ModeOf(connection));
    }

    private void AssertResetIsDropped(Connection connection)
    {
        ulong dropped = _node.Count(SteeringCounter.DropOwn);
        TestFrame reset = connection.Frame.Turned with { Flags = TestFrame.Rst };
        Assert.Equal(VerdictNode.Drop, _node.Run(_node.Egress, reset, _node.Peers).Verdict);
        Assert.Equal(dropped + 1, _node.Count(SteeringCounter.DropOwn));

        // What another node sends by way of this one is not its own.
        _node.AssertPassesUntouched(_node.Egress, reset.Build(), _node.Way);
    }

    /// <summary>As the daemon gives back what waited.</summary>
    private static TestFrame AsGivenBack(TestFrame frame, int index) => frame with { SourceMac = HeldMark | InterfaceOf(index) };

    private static ulong InterfaceOf(int index) => BinaryPrimitives.ReverseEndianness((uint)index);

    private static void AssertSame(TestFrame expected, TestFrame actual) => Assert.Equal(expected.Build(), actual.Build());

    private sealed record Connection(TcpEnd Local, TcpEnd Remote, TcpEnd Target, TestFrame Frame);
}
