// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Pronghorn.Stack;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>epoll(7).</summary>
public sealed class EpollTests : IDisposable
{
    private const uint ReadHangUp = 0x2000; // EPOLLRDHUP
    private static readonly byte[] s_text = Encoding.ASCII.GetBytes("hello");

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void LevelTriggered_UnreadData_IsReportedAgainAndAgain()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Assert.Equal(0, Near.Watch(epoll, near, Polling.In));
        Assert.Empty(Near.Events(epoll));
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal([(Polling.In, near)], Near.Events(epoll));
        Assert.Equal([(Polling.In, near)], Near.Events(epoll));
        Near.Receive(near);
        Assert.Empty(Near.Events(epoll));
    }

    [Fact]
    public void EdgeTriggered_UnreadData_IsReportedOnceForEachArrival()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In | Polling.EdgeTriggered);
        for (int i = 0; i < 3; i++)
        {
            Far.Send(far, s_text);
            _network.Exchange();
            Assert.Equal([(Polling.In, near)], Near.Events(epoll));
            Assert.Empty(Near.Events(epoll));
        }
    }

    [Fact]
    public void EdgeTriggered_ReadyWhenAdded_IsReported()
    {
        (int near, _) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.Out | Polling.EdgeTriggered);
        Assert.Equal([(Polling.Out, near)], Near.Events(epoll));
        Assert.Empty(Near.Events(epoll));
    }

    [Theory]
    [InlineData(Polling.OneShot)]
    [InlineData(Polling.OneShot | Polling.EdgeTriggered)]
    public void OneShot_Reported_IsSilentUntilChanged(uint how)
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In | how);
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Single(Near.Events(epoll));
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Empty(Near.Events(epoll));
        Assert.Equal(0, Near.Layer.EpollControl(epoll, Polling.Modify, near, Polling.In | how, (ulong)near));
        Assert.Equal([(Polling.In, near)], Near.Events(epoll));
    }

    [Fact]
    public void Modified_EventsAndData_AreTheNewOnes()
    {
        (int near, _) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Near.Layer.EpollControl(epoll, Polling.Modify, near, Polling.Out, 77);
        Assert.Equal([(Polling.Out, 77)], Near.Events(epoll));
        Near.Layer.EpollControl(epoll, Polling.Modify, near, Polling.In, 78);
        Assert.Empty(Near.Events(epoll));
    }

    public static TheoryData<string, int> Errors => new()
    {
        { "add twice", -Error.Exists },
        { "modify what is not there", -Error.NoEntry },
        { "delete what is not there", -Error.NoEntry },
        { "modify in a new set", -Error.NoEntry },
        { "unknown operation", -Error.Invalid },
        { "a socket as a set", -Error.Invalid },
        { "not a socket", -Error.Invalid },
        { "modify an exclusive member", -Error.Invalid },
        { "make a member exclusive", -Error.Invalid },
    };

    [Theory]
    [MemberData(nameof(Errors))]
    public void Mistake_Control_IsRefused(string name, int expected)
    {
        (int near, _) = _network.Connected();
        int epoll = Near.Epoll();
        int other = Near.Duplicate(near);
        uint how = name == "modify an exclusive member" ? Polling.In | Polling.Exclusive : Polling.In;
        Assert.Equal(0, Near.Watch(epoll, near, how));
        int result = name switch
        {
            "add twice" => Near.Watch(epoll, near, Polling.In),
            "modify what is not there" => Near.Layer.EpollControl(epoll, Polling.Modify, other, Polling.In, 0),
            "delete what is not there" => Near.Layer.EpollControl(epoll, Polling.Delete, other, 0, 0),
            "modify in a new set" => Near.Layer.EpollControl(Near.Epoll(), Polling.Modify, near, Polling.In, 0),
            "unknown operation" => Near.Layer.EpollControl(epoll, 4, near, Polling.In, 0),
            "a socket as a set" => Near.Watch(other, near, Polling.In),
            "not a socket" => Near.Watch(epoll, epoll, Polling.In),
            "make a member exclusive" =>
                Near.Layer.EpollControl(epoll, Polling.Modify, near, Polling.In | Polling.Exclusive, 0),
            _ => Near.Layer.EpollControl(epoll, Polling.Modify, near, Polling.In, 0),
        };
        Assert.Equal(expected, result);
    }

    public static TheoryData<string, uint, uint> Ends => new()
    {
        { "peer shut down", Polling.In, Polling.In },
        { "peer shut down", Polling.In | ReadHangUp, Polling.In | ReadHangUp },
        { "peer shut down", 0, 0 },
        { "both shut down", Polling.In | Polling.Out, Polling.In | Polling.Out | Polling.HangUp },
        { "both shut down", 0, Polling.HangUp },
        { "peer reset", 0, Polling.ErrorEvent | Polling.HangUp },
        {
            "peer reset",
            Polling.In | Polling.Out | ReadHangUp,
            Polling.In | Polling.Out | Polling.ErrorEvent | Polling.HangUp | ReadHangUp
        },
        { "own shut down", Polling.In | Polling.Out, Polling.Out },
        { "receiving shut down", Polling.In | ReadHangUp, Polling.In | ReadHangUp },
    };

    [Theory]
    [MemberData(nameof(Ends))]
    public void End_Events_AreThoseOfLinux(string name, uint wanted, uint expected)
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, wanted);
        switch (name)
        {
            case "peer shut down":
                Far.Layer.Shutdown(far, 1);
                break;
            case "both shut down":
                Far.Layer.Shutdown(far, 1);
                _network.Exchange();
                Near.Layer.Shutdown(near, 1);
                break;
            case "own shut down":
                Near.Layer.Shutdown(near, 1);
                break;
            case "receiving shut down":
                Near.Layer.Shutdown(near, 0);
                break;
            default:
                Far.SetLinger(far, 0);
                Far.Close(far);
                break;
        }

        _network.Exchange();
        Assert.Equal(expected == 0 ? [] : [(expected, near)], Near.Events(epoll));
        Assert.Equal(expected & ~(ReadHangUp & ~wanted), (uint)Near.PollOne(near, wanted));
    }

    [Fact]
    public void SeveralSets_OneSocket_EachReportsInItsOwnWay()
    {
        (int near, int far) = _network.Connected();
        int level = Near.Epoll();
        int edge = Near.Epoll();
        int output = Near.Epoll();
        Near.Watch(level, near, Polling.In);
        Near.Watch(edge, near, Polling.In | Polling.EdgeTriggered);
        Near.Watch(output, near, Polling.Out);
        Far.Send(far, s_text);
        _network.Exchange();
        for (int i = 0; i < 2; i++)
        {
            Assert.Single(Near.Events(level));
            Assert.Equal(i == 0 ? 1 : 0, Near.Events(edge).Count);
            Assert.Equal([(Polling.Out, near)], Near.Events(output));
        }

        Near.Layer.EpollControl(level, Polling.Delete, near, 0, 0);
        Assert.Empty(Near.Events(level));
        Assert.Single(Near.Events(output));
    }

    [Fact]
    public void TwoNumbersOfOneSocket_OneSet_AreTwoMembers()
    {
        (int near, int far) = _network.Connected();
        int copy = Near.Duplicate(near);
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Assert.Equal(0, Near.Watch(epoll, copy, Polling.In));
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal([near, copy], Near.Events(epoll).Select(item => item.Data).Order());

        // epoll(7): a closed number stays a member while the open file lives.
        Near.Close(near);
        Assert.Equal(2, Near.Events(epoll).Count);
        Near.Close(copy);
        Assert.Empty(Near.Events(epoll));
    }

    [Fact]
    public void ManyReady_ShortRoom_StarvesNobody()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int epoll = Far.Epoll();
        HashSet<int> sockets = [];
        for (int i = 0; i < 10; i++)
        {
            int near = Near.Socket();
            Near.Connect(near, Far.Address, TwoSystems.Port);
            int far = (int)Far.Accept(listener);
            sockets.Add(far);
            Far.Watch(epoll, far, Polling.In);
            Near.Send(near, s_text);
        }

        _network.Exchange();
        HashSet<int> seen = [];
        for (int i = 0; i < 4; i++)
        {
            foreach ((_, int fd) in Far.Events(epoll, room: 3))
            {
                seen.Add(fd);
            }
        }

        Assert.Equal(sockets, seen);
    }

    [Fact]
    public void ClosedSocket_Set_ForgetsItAlsoWhenItWasReady()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In | Polling.Out);
        Far.Send(far, s_text);
        _network.Exchange();
        Near.Close(near);
        Assert.Empty(Near.Events(epoll));
    }

    [Fact]
    public void ClosedSet_Sockets_GoOn()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        int kept = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Near.Watch(kept, near, Polling.In);
        int open = Near.Kernel.OpenCount;
        Near.Close(epoll);
        Assert.Equal(open - 2, Near.Kernel.OpenCount); // its eventfd, too
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal([(Polling.In, near)], Near.Events(kept));
    }

    [Fact]
    public void Listener_Member_IsWatchedInTheKernelToo()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int epoll = Far.Epoll();
        Assert.Equal(1, Far.Watch(epoll, listener, Polling.In));
        Assert.Equal((Polling.In, (ulong)listener), Far.Kernel[epoll].Members[listener]);
        Near.StartConnect(Near.Socket(), Far.Address, TwoSystems.Port);
        _network.Exchange();
        Assert.Equal([(Polling.In, listener)], Far.Events(epoll));
        Assert.Equal(1, Far.Layer.EpollControl(epoll, Polling.Modify, listener, Polling.In | Polling.EdgeTriggered, 9));
        Assert.Equal((Polling.In | Polling.EdgeTriggered, 9ul), Far.Kernel[epoll].Members[listener]);
        Assert.Equal(1, Far.Layer.EpollControl(epoll, Polling.Delete, listener, 0, 0));
        Assert.DoesNotContain(listener, Far.Kernel[epoll].Members.Keys);
    }

    [Fact]
    public void Unconnected_Member_IsHungUpAndLaterConnected()
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket(nonBlocking: true);
        Near.Layer.Adopt(fd);
        int epoll = Near.Epoll();
        Near.Watch(epoll, fd, Polling.In | Polling.Out);
        Assert.Equal([(Polling.Out | Polling.HangUp, fd)], Near.Events(epoll));
        Near.StartConnect(fd, Far.Address, TwoSystems.Port);
        Assert.Empty(Near.Events(epoll));
        _network.Exchange();
        Assert.Equal([(Polling.Out, fd)], Near.Events(epoll));
    }

    [Fact]
    public void TakenOver_Set_WakesWhoSleepsInItAlready()
    {
        (int near, _) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Assert.Equal(DescriptorClass.Epoll, Near.Kernel.GetClass(epoll));
        int wake = EventOf(epoll);
        Assert.Equal(1, Near.Kernel[wake].Signals);
        Assert.Equal((Polling.In | Polling.EdgeTriggered, TestSystem.InternalData), Near.Kernel[epoll].Members[wake]);
        Assert.Contains(Near.Netlink, Near.Kernel[epoll].Members.Keys);
    }

    [Fact]
    public void Asleep_Arrival_SignalsOnce()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        int wake = EventOf(epoll);
        int before = Near.Kernel[wake].Signals;
        Near.Layer.EpollBlock(epoll, 1);
        Assert.Equal(1, Near.Driver.Sleeps);
        Far.Send(far, s_text);
        _network.Exchange();
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal(1, Near.Kernel[wake].Signals - before);
        Near.Layer.EpollBlock(epoll, -1);
        Assert.Single(Near.Events(epoll));
    }

    [Fact]
    public void Awake_Device_StaysInTheSetForAWhileOnly()
    {
        (int near, _) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Assert.DoesNotContain(Near.Device, Near.Kernel[epoll].Members.Keys);
        Near.Layer.EpollBlock(epoll, 1);
        Assert.Contains(Near.Device, Near.Kernel[epoll].Members.Keys);
        Near.Layer.EpollBlock(epoll, -1);
        Near.Events(epoll);
        Assert.Contains(Near.Device, Near.Kernel[epoll].Members.Keys);
        _network.Run(Duration.FromMilliseconds(5));
        Near.Events(epoll);
        Assert.DoesNotContain(Near.Device, Near.Kernel[epoll].Members.Keys);
    }

    [Fact]
    public void Nested_Arrival_MakesTheRealSetReadable()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Near.Layer.EpollNested(epoll);
        int wake = EventOf(epoll);
        int before = Near.Kernel[wake].Signals;
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.True(Near.Kernel[wake].Signals > before);
        Assert.Contains(Near.Device, Near.Kernel[epoll].Members.Keys);
        Assert.Equal((int)Polling.In, Near.PollOne(epoll, Polling.In));
    }

    [Fact]
    public void FirstNumberOfACopiedSetClosed_TheOther_IsWokenAndAsksTheRealSet()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        int copy = Near.Duplicate(epoll);
        Near.Close(epoll);

        // Whoever has the number now must not become a set with our device in it.
        int other = Near.Kernel.Open(new KernelFile(), least: epoll);
        Assert.Equal(epoll, other);
        Near.Layer.EpollBlock(copy, 1);
        Assert.Empty(Near.Kernel[other].Members);
        Assert.Contains(Near.Device, Near.Kernel[copy].Members.Keys);
        Far.Send(far, s_text);
        _network.Exchange();
        Near.Layer.EpollBlock(copy, -1);
        Assert.Equal([(Polling.In, near)], Near.Events(copy));
        _network.Run(Duration.FromMilliseconds(5));
        Near.Events(copy);
        Assert.DoesNotContain(Near.Device, Near.Kernel[copy].Members.Keys);
    }

    [Fact]
    public void SetOfNobody_Collect_IsABadDescriptor()
    {
        PollRound round = default;
        Assert.Equal(-Error.BadDescriptor, Near.Layer.EpollCollect(99, new byte[64], ref round));
        Assert.Equal(_network.Now, round.Now);
    }

    [Fact]
    public void DeletedWhileReady_OthersBehindIt_AreReported()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int epoll = Far.Epoll();
        List<int> sockets = [];
        for (int i = 0; i < 3; i++)
        {
            Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port);
            sockets.Add((int)Far.Accept(listener));
            Far.Watch(epoll, sockets[i], Polling.Out);
        }

        Far.Layer.EpollControl(epoll, Polling.Delete, sockets[1], 0, 0);
        Assert.Equal([sockets[0], sockets[2]], Far.Events(epoll).Select(item => item.Data));
        Far.Layer.EpollControl(epoll, Polling.Delete, sockets[0], 0, 0);
        Assert.Equal([sockets[2]], Far.Events(epoll).Select(item => item.Data));
    }

    private int EventOf(int epoll) =>
        Near.Kernel[epoll].Members.Keys.Single(fd => fd != Near.Device && fd != Near.Netlink);
}
