// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>Words of two moves may come in the wrong order, and ports are used again: what is said of a stay changes no other.</summary>
public sealed class SteeringTablesTests(HandoffWorld world) : IClassFixture<HandoffWorld>, IDisposable
{
    private static readonly TcpEnd s_peer = new(IpAddress.Parse("10.2.0.1"), 1000);
    private static readonly Stay s_stay = new(77, 5);

    private readonly HandoffWorld.Node _node = world.Nodes[0];

    /// <summary>What says nothing of the entry: stays before it, and those of another connection on the same ends.</summary>
    public static TheoryData<ulong, uint> Strangers { get; } = new() { { 77, 4 }, { 78, 5 }, { 78, 6 } };

    private SteeringTables Tables => _node.Layer.Tables;

    private TcpEnd Known => _node.End(false, 80);

    private TcpEnd Owner => world.Nodes[1].End(false, 61_000);

    private TcpEnd NextOwner => world.Nodes[2].End(false, 61_000);

    private GivenEntry Given => new(SteeringMode.Redirect, Known, s_peer, Owner, _node.InterfaceIndex, s_stay);

    public void Dispose() => Tables.Clear();

    [Theory]
    [MemberData(nameof(Strangers))]
    [InlineData(77, 5)]
    public void Repoint_OfWhatIsNoLaterStay_ChangesNothing(ulong connection, uint epoch)
    {
        Give();
        Assert.Equal(0, Tables.Repoint(Known, s_peer, NextOwner, _node.InterfaceIndex, new Stay(connection, epoch)));
        AssertGiven(Given);
    }

    [Fact]
    public void Repoint_OfALaterStay_GoesToThatOwner_ByTheSameInterface()
    {
        Give();
        Assert.Equal(0, Tables.Repoint(Known, s_peer, NextOwner, _node.InterfaceIndex, new Stay(77, 8)));
        AssertGiven(Given with { Target = NextOwner, Stay = new Stay(77, 8) });

        // The word of the move before comes late.
        Assert.Equal(0, Tables.Repoint(Known, s_peer, Owner, _node.InterfaceIndex, new Stay(77, 7)));
        AssertGiven(Given with { Target = NextOwner, Stay = new Stay(77, 8) });
    }

    [Fact]
    public void Repoint_WhereNothingIsToBeDone_IsDone_AndWhileItIsHeldIsNot()
    {
        Assert.Equal(0, Tables.Repoint(Known, s_peer, NextOwner, _node.InterfaceIndex, s_stay.Next()));
        Assert.Equal((0, 0), Tables.CountEntries());

        Assert.Equal(0, Tables.Hold(Known, s_peer, s_stay));
        Assert.Equal(-Errno.Busy, Tables.Repoint(Known, s_peer, NextOwner, _node.InterfaceIndex, s_stay.Next()));
        Assert.True(Tables.FindGiven(Known, s_peer, out GivenEntry held));
        Assert.Equal((SteeringMode.Hold, s_stay), (held.Mode, held.Stay));

        Give();
        Assert.Equal(0, Tables.Bury(Known, s_peer, s_stay));
        Assert.Equal(0, Tables.Repoint(Known, s_peer, NextOwner, _node.InterfaceIndex, s_stay.Next()));
        AssertGiven(Given with { Mode = SteeringMode.Tombstone });
    }

    [Theory]
    [MemberData(nameof(Strangers))]
    public void Bury_OfAnEarlierStayOrAnotherConnection_ChangesNothing(ulong connection, uint epoch)
    {
        Give();
        Assert.Equal(-Errno.NoEntry, Tables.Bury(Known, s_peer, new Stay(connection, epoch)));
        AssertGiven(Given);
    }

    [Theory]
    [InlineData(5)]
    [InlineData(6)]
    public void Bury_OfThatStayOrALaterOne_LeavesItsLastSegmentsTheirWay(uint epoch)
    {
        Give();
        Assert.Equal(0, Tables.Bury(Known, s_peer, new Stay(77, epoch)));
        AssertGiven(Given with { Mode = SteeringMode.Tombstone, Stay = new Stay(77, epoch) });
    }

    [Fact]
    public void Bury_OfWhatIsHeldOrNotThere_IsRefused()
    {
        Assert.Equal(-Errno.NoEntry, Tables.Bury(Known, s_peer, s_stay));
        Assert.Equal(0, Tables.Hold(Known, s_peer, s_stay));
        Assert.Equal(-Errno.NoEntry, Tables.Bury(Known, s_peer, s_stay));
        Assert.Equal((1, 0), Tables.CountEntries());
    }

    [Theory]
    [MemberData(nameof(Strangers))]
    [InlineData(77, 5)]
    public void HoldReturning_OfWhatIsNoLaterStay_IsRefused(ulong connection, uint epoch)
    {
        Give();
        Assert.Equal(-Errno.NoEntry, Tables.HoldReturning(Known, s_peer, new Stay(connection, epoch), out _));
        AssertGiven(Given);
    }

    [Fact]
    public void HoldReturning_OfALaterStay_Holds_AndSaysWhereItIs()
    {
        Assert.Equal(-Errno.NoEntry, Tables.HoldReturning(Known, s_peer, s_stay, out _));
        Give();
        Assert.Equal(0, Tables.HoldReturning(Known, s_peer, s_stay.Next(), out GivenEntry owner));
        Assert.Equal(Given, owner);
        Assert.True(Tables.FindGiven(Known, s_peer, out GivenEntry held));
        Assert.Equal(SteeringMode.Hold, held.Mode);

        // One at a time, and what is held is nobody's to take away.
        Assert.Equal(-Errno.NoEntry, Tables.HoldReturning(Known, s_peer, new Stay(77, 9), out _));
        Assert.Equal(-Errno.Exists, Tables.Hold(Known, s_peer, new Stay(77, 9)));
        Assert.Equal(0, Tables.ForgetGiven(Known, s_peer));
        Assert.Equal((1, 0), Tables.CountEntries());
    }

    [Theory]
    [MemberData(nameof(Strangers))]
    [InlineData(77, 6)]
    public void ForgetBuried_OfAnyOtherStay_ChangesNothing(ulong connection, uint epoch)
    {
        Give();
        Assert.Equal(0, Tables.Bury(Known, s_peer, s_stay));
        Assert.Equal(-Errno.NoEntry, Tables.ForgetBuried(Known, s_peer, new Stay(connection, epoch)));
        AssertGiven(Given with { Mode = SteeringMode.Tombstone });
    }

    [Fact]
    public void ForgetBuried_OfThatStay_TakesTheTombstoneAway_AndNothingThatLives()
    {
        Give();
        Assert.Equal(-Errno.NoEntry, Tables.ForgetBuried(Known, s_peer, s_stay));
        AssertGiven(Given);
        Assert.Equal(0, Tables.Bury(Known, s_peer, s_stay));
        Assert.Equal(0, Tables.ForgetBuried(Known, s_peer, s_stay));
        Assert.Equal((0, 0), Tables.CountEntries());
        Assert.Equal(-Errno.NoEntry, Tables.ForgetBuried(Known, s_peer, s_stay));
    }

    [Fact]
    public void EndHolds_ConnectionThatWasComingBack_IsItsOwnersAgain_AsItWas()
    {
        Give();
        Assert.Equal(0, Tables.HoldReturning(Known, s_peer, s_stay.Next(), out _));
        Assert.Equal(0, Tables.Hold(Known, s_peer with { Port = 1001 }, s_stay));

        Tables.EndHolds();

        // With the stay that it has there: the owner's next words are about that one.
        Assert.Equal((1, 0), Tables.CountEntries());
        AssertGiven(Given);
        Assert.Equal(0, Tables.HoldReturning(Known, s_peer, s_stay.Next(), out GivenEntry owner));
        Assert.Equal(Given, owner);
    }

    [Fact]
    public void SetLive_KeepsWhatWasCounted_AndMakesNoEntry()
    {
        Assert.Equal(-Errno.NoEntry, Tables.SetLive(Known, s_peer));
        Assert.Equal((0, 0), Tables.CountEntries());
        Assert.Equal(0, Tables.Translate(Known, s_peer, Owner, s_stay));
        Assert.True(Tables.FindTaken(Known, s_peer, out TakenEntry taken));
        Assert.Equal(new TakenEntry(Known, s_peer, Owner, s_stay, HasLived: false, Owner.Address), taken);
        using BpfMap map = BpfMap.OpenPinned(Path.Combine(_node.Folder, "handoff_outbound"));
        ConnectionKey key = ConnectionKey.Create(Known, s_peer);
        Assert.Equal(0, map.Lookup(key, out OutboundEntry entry));
        (entry.Packets, entry.Bytes) = (7, 900);
        Assert.Equal(0, map.Update(key, entry));

        Assert.Equal(0, Tables.SetLive(Known, s_peer));

        Assert.Equal(0, map.Lookup(key, out entry));
        Assert.Equal((7ul, 900ul, 1), (entry.Packets, entry.Bytes, entry.IsLive));
        Assert.True(Tables.FindTaken(Known, s_peer, out taken));
        Assert.Equal(new TakenEntry(Known, s_peer, Owner, s_stay, HasLived: true, Owner.Address), taken);
    }

    private void Give() => Assert.Equal(0, Tables.Redirect(Known, s_peer, Owner, _node.InterfaceIndex, s_stay));

    private void AssertGiven(GivenEntry wanted)
    {
        Assert.True(Tables.FindGiven(Known, s_peer, out GivenEntry found));
        Assert.Equal(wanted, found);
    }
}
