// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>A connection was coming back to the node that its peer knows, and that node's daemon ended before it was there.</summary>
public sealed class AuditTests : IClassFixture<HandoffWorld>, IDisposable
{
    private static readonly TcpEnd s_peer = new(IpAddress.Parse("10.2.0.1"), 1000);
    private static readonly TimeSpan s_grace = TimeSpan.FromMilliseconds(50);
    private static readonly Stay s_stay = new(77, 5);

    // One for each test: a program that another test starts has a copy of a listener until it is executed.
    private static int s_port = 7500;

    private readonly HandoffWorld.Node _anchor;
    private readonly HandoffWorld.Node _owner;
    private readonly Lifetimes _anchors;
    private readonly Lifetimes _owners;
    private readonly Told _told = new();

    public AuditTests(HandoffWorld world)
    {
        ArgumentNullException.ThrowIfNull(world);
        (_anchor, _owner) = (world.Nodes[0], world.Nodes[1]);
        Assert.Equal(0, _anchor.Layer.Tables.Redirect(Known, s_peer, Owned, _anchor.InterfaceIndex, s_stay));
        Assert.Equal(0, _anchor.Layer.Tables.HoldReturning(Known, s_peer, s_stay.Next(), out _));
        _anchor.Layer.Tables.EndHolds();
        _anchors = Open(_anchor);
        _owners = Open(_owner);
    }

    private ushort Port { get; } = (ushort)Interlocked.Increment(ref s_port);

    private TcpEnd Known => _anchor.End(false, Port);

    private TcpEnd Owned => _owner.End(false, 61_000);

    [Fact]
    public void OwnerHasKeptIt_NothingIsWrong()
    {
        using Socket socket = _owner.Listen(false, Port);
        Assert.Equal(0, _owner.Layer.Tables.Translate(Owned, s_peer, Known, s_stay));
        Watch(socket, s_stay, Known, s_peer, Owned);

        AnswerOwner();

        Assert.Empty(_told.Messages);
    }

    [Fact]
    public void OwnerHasGivenIt_AndWaitsForWord_HearsThatItMayTakeItBack()
    {
        var item = new AuditItem(s_stay.Next(), Owned, s_peer, Known, IsUnsettled: true);

        new Audits(NodeOf(_anchor), _anchors, new Unsettled()).Answer(new Audit([item]), _told);

        Assert.Equal([new Ended(s_stay.Next(), Owned, s_peer, HasNeverLived: true)], _told.Messages);
    }

    [Fact]
    public void OwnerHasGivenIt_AndWaitsNoMore_ItHasEnded()
    {
        Assert.Equal(0, _owner.Layer.Tables.Redirect(Owned, s_peer, Known, _owner.InterfaceIndex, s_stay.Next()));

        AnswerOwner();

        // And has not moved on: that would be to where it is asked from.
        var ended = (Ended)Assert.Single(_told.Messages);
        Assert.Equal(new Ended(s_stay, Known, s_peer), ended);
        Assert.Equal(0, _anchor.Layer.Tables.Bury(ended.Known, ended.Remote, ended.Stay));
    }

    [Fact]
    public void OwnerHasGivenItToAnother_ItHasMoved()
    {
        TcpEnd next = Owned with { Address = IpAddress.Parse("10.2.0.13") };
        Assert.Equal(0, _owner.Layer.Tables.Redirect(Owned, s_peer, next, _owner.InterfaceIndex, s_stay.Next()));

        AnswerOwner();

        Assert.Equal([new Moved(s_stay.Next(), Known, s_peer, next)], _told.Messages);
    }

    /// <summary>The word of the move was lost, and the connection ended with the third node before its anchor asked.</summary>
    [Fact]
    public void OwnerHasGivenItToAnother_WhereItEnded_TheOwnerTellsAndNothingIsLeft()
    {
        TcpEnd next = Owned with { Address = IpAddress.Parse("10.2.0.13") };
        using Socket socket = _owner.Listen(false, Port);
        Assert.Equal(0, _owner.Layer.Tables.Translate(Owned, s_peer, Known, s_stay));
        Watch(socket, s_stay, Known, s_peer, Owned);
        Assert.Equal(0, _owner.Layer.Tables.Redirect(Owned, s_peer, next, _owner.InterfaceIndex, s_stay.Next()));
        _owners.Leave((int)socket.Handle, next, s_stay.Next());
        _told.Messages.Clear();
        _anchors.Bury(new Ended(s_stay.Next(), Known, s_peer));
        Assert.Empty(new Audits(NodeOf(_anchor), _anchors, new Unsettled()).About([Owned.Address]));
        var audits = new Audits(NodeOf(_owner), _owners, new Unsettled());

        Moved moved = Assert.Single(audits.LeftFrom([Known.Address]));
        _anchors.Repoint(moved, _told);
        _owners.Finish((Repointed)Assert.Single(_told.Messages));

        Assert.Empty(audits.LeftFrom([Known.Address]));
        AssertSoon(() => _owner.Layer.Tables.CountEntries() == (0, 0));
    }

    [Fact]
    public async Task OwnerHasGivenItToAnother_WhichMayNotHaveIt_TheAnchorIsNotTold()
    {
        TcpEnd next = Owned with { Address = IpAddress.Parse("10.2.0.13") };
        using Socket socket = _owner.Listen(false, Port);
        Assert.Equal(0, _owner.Layer.Tables.Translate(Owned, s_peer, Known, s_stay));
        Watch(socket, s_stay, Known, s_peer, Owned);
        _owners.Leave((int)socket.Handle, next, s_stay.Next());
        var unsettled = new Unsettled();
        Task<bool?> asking = unsettled.WaitForOwnerAsync(
            new AuditItem(s_stay.Next(), Owned, s_peer, next, IsUnsettled: true), TimeSpan.FromMinutes(1));
        var audits = new Audits(NodeOf(_owner), _owners, unsettled);

        Assert.Empty(audits.LeftFrom([Known.Address]));
        unsettled.Settle(s_stay.Next(), isOwned: true);

        Assert.True(await asking);
        Assert.Single(audits.LeftFrom([Known.Address]));
    }

    [Fact]
    public void AnchorIsLost_WhatCameByItEnds_AndNothingElse()
    {
        using Socket listener = _owner.Listen(false, Port);
        using Socket one = Connect();
        using Socket came = listener.Accept();
        using Socket two = Connect();
        using Socket own = listener.Accept();
        TcpEnd other = Known with { Address = IpAddress.Parse("10.2.0.13") };
        TcpEnd local = _owner.End(false, Port);
        Assert.Equal(0, TcpSocket.GetRemote((int)came.Handle, out TcpEnd peer));
        Assert.Equal(0, TcpSocket.GetRemote((int)own.Handle, out TcpEnd otherPeer));
        Watch(came, s_stay, Known, peer, local);
        Watch(own, new Stay(78, 1), other, otherPeer, local);

        Assert.Equal(1, _owners.EndOfAnchor([Known.Address]));

        Assert.Equal(SocketError.ConnectionAborted, Assert.Throws<SocketException>(() => came.Receive(new byte[1])).SocketErrorCode);
        came.Dispose();
        own.Send("here"u8);
        Assert.Equal(4, two.Receive(new byte[9]));
        AssertSoon(() => _owners.TakenCount == 1);
    }

    public void Dispose()
    {
        _anchors.Dispose();
        _owners.Dispose();
        _anchor.Layer.Tables.Clear();
        _owner.Layer.Tables.Clear();
    }

    /// <summary>The anchor asks about what it gave, and the owner answers.</summary>
    private void Watch(Socket socket, Stay stay, TcpEnd known, TcpEnd remote, TcpEnd local) => _owners.Watch(
        (int)socket.Handle, new Prepare(0, stay, false, known, remote, local, 0, known.Address), local, _told);

    private void AnswerOwner()
    {
        Audit audit = Assert.Single(new Audits(NodeOf(_anchor), _anchors, new Unsettled()).About([Owned.Address]));
        new Audits(NodeOf(_owner), _owners, new Unsettled()).Answer(audit, _told);
    }

    private Socket Connect() => NamespaceThread.Run(_owner.Place, () =>
    {
        var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000 };
        made.Connect(IPAddress.Parse(_owner.Address(false)), Port);
        return made;
    });

    private static void AssertSoon(Func<bool> holds)
    {
        for (long end = Environment.TickCount64 + 30_000; !holds();)
        {
            Assert.True(Environment.TickCount64 < end, "not within half a minute");
        }
    }

    private static Lifetimes Open(HandoffWorld.Node node) => NamespaceThread.Run(node.Place, () =>
    {
        Assert.Equal(0, Lifetimes.Open(NodeOf(node), s_grace, out Lifetimes? made));
        return made!;
    });

    private static SteeredNode NodeOf(HandoffWorld.Node node) => new(node.Layer, node.Hold, node.InterfaceIndex, default);

    private sealed class Told : IMessageSender
    {
        public List<Message> Messages { get; } = [];

        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            Messages.Add(message);
            return ValueTask.CompletedTask;
        }
    }
}
