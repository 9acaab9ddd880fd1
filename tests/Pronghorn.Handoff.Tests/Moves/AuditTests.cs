// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
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
    private const int Port = 7500;

    private static readonly TcpEnd s_peer = new(IpAddress.Parse("10.2.0.1"), 1000);
    private static readonly Stay s_stay = new(77, 5);

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

    private TcpEnd Known => _anchor.End(false, Port);

    private TcpEnd Owned => _owner.End(false, 61_000);

    [Fact]
    public void OwnerHasKeptIt_NothingIsWrong()
    {
        using Socket socket = _owner.Listen(false, Port);
        Assert.Equal(0, _owner.Layer.Tables.Translate(Owned, s_peer, Known, s_stay));
        _owners.Watch((int)socket.Handle, s_stay, Known, s_peer, Owned, _told);

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

    public void Dispose()
    {
        _anchors.Dispose();
        _owners.Dispose();
        _anchor.Layer.Tables.Clear();
        _owner.Layer.Tables.Clear();
    }

    /// <summary>The anchor asks about what it gave, and the owner answers.</summary>
    private void AnswerOwner()
    {
        Audit audit = Assert.Single(new Audits(NodeOf(_anchor), _anchors, new Unsettled()).About([Owned.Address]));
        new Audits(NodeOf(_owner), _owners, new Unsettled()).Answer(audit, _told);
    }

    private static Lifetimes Open(HandoffWorld.Node node) => NamespaceThread.Run(node.Place, () =>
    {
        Assert.Equal(0, Lifetimes.Open(NodeOf(node), TimeSpan.FromMinutes(1), out Lifetimes? made));
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
