// SPDX-License-Identifier: Apache-2.0
using System;
using System.Text;
using Pronghorn.Stack;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>poll(2) and threads that sleep in it or in a blocking call.</summary>
public sealed class PollTests : IDisposable
{
    private static readonly byte[] s_text = Encoding.ASCII.GetBytes("hello");

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(Polling.In, 0u)]
    [InlineData(Polling.Out, Polling.Out)]
    [InlineData(Polling.In | Polling.Out, Polling.Out)]
    [InlineData(Polling.WriteNormal, Polling.WriteNormal)]
    [InlineData(0u, 0u)]
    public void ConnectionWithoutData_Poll_TellsRoom(uint wanted, uint expected)
    {
        (int near, _) = _network.Connected();
        Assert.Equal((int)expected, Near.PollOne(near, wanted));
    }

    [Theory]
    [InlineData(Polling.In, Polling.In)]
    [InlineData(Polling.ReadNormal, Polling.ReadNormal)]
    [InlineData(Polling.Out, Polling.Out)]
    public void ConnectionWithData_Poll_TellsIt(uint wanted, uint expected)
    {
        (int near, int far) = _network.Connected();
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal((int)expected, Near.PollOne(near, wanted));
    }

    [Fact]
    public void Listener_Poll_TellsAConnectionToAccept()
    {
        int listener = Far.Listen(TwoSystems.Port);
        Assert.Equal(0, Far.PollOne(listener, Polling.In | Polling.Out));
        Near.StartConnect(Near.Socket(), Far.Address, TwoSystems.Port);
        _network.Exchange();
        Assert.Equal((int)Polling.In, Far.PollOne(listener, Polling.In | Polling.Out));
    }

    [Fact]
    public void Unconnected_Poll_IsHungUp()
    {
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        Assert.Equal((int)(Polling.Out | Polling.HangUp), Near.PollOne(fd, Polling.In | Polling.Out));
    }

    [Fact]
    public void OthersAmongThem_Poll_LeavesThemAlone()
    {
        (int near, _) = _network.Connected();
        PollDescriptor[] items =
        [
            new() { Descriptor = -1, Events = 1, Found = 33 },
            new() { Descriptor = Near.Device, Events = 1, Found = 34 },
            new() { Descriptor = near, Events = (short)Polling.Out, Found = 35 },
            new() { Descriptor = 100_000, Events = 1, Found = 36 },
        ];
        PollRound round = default;
        Assert.Equal(1, Near.Layer.PollDescriptors(items, ref round));
        Assert.Equal([33, 34, (short)Polling.Out, 36], Array.ConvertAll(items, item => item.Found));
    }

    [Fact]
    public void SetWithNothingReadyAnyMore_Poll_IsSilent()
    {
        (int near, int far) = _network.Connected();
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal((int)Polling.In, Near.PollOne(epoll, Polling.In));
        Near.Receive(near);
        Assert.Equal(0, Near.PollOne(epoll, Polling.In));
    }

    [Fact]
    public void ClosedWhilePolled_Number_IsNobodys()
    {
        (int near, _) = _network.Connected();
        Near.Close(near);
        Assert.Equal(0, Near.PollOne(near, Polling.In | Polling.Out));
    }

    [Fact]
    public void Asleep_AnyEvent_WakesEverySleeperUntilItIsBack()
    {
        (_, int far) = _network.Connected();
        int first = Near.Kernel.CreateEvent();
        int second = Near.Kernel.CreateEvent();
        Near.Layer.PollBlock(first, 1);
        Near.Layer.PollBlock(second, 1);
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal((1, 1), (Near.Kernel[first].Signals, Near.Kernel[second].Signals));
        Near.Layer.PollBlock(first, -1);
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal((1, 2), (Near.Kernel[first].Signals, Near.Kernel[second].Signals));
    }

    [Fact]
    public void ReadBeforeASleep_Driver_IsToldThatSomethingChanged()
    {
        (int near, int far) = _network.Connected();
        Far.Send(far, s_text);
        _network.Exchange();
        Near.Layer.PollBlock(Near.Device, 1);
        long before = Near.Driver.Activity;
        Near.Layer.PollBlock(Near.Device, 1);
        Assert.Equal(before, Near.Driver.Activity);
        Near.Receive(near);
        Near.Layer.PollBlock(Near.Device, 1);
        Assert.True(Near.Driver.Activity > before);
    }

    [Fact]
    public void MoreSleepersThanPlaces_Block_HarmsNobody()
    {
        for (int i = 0; i < 5000; i++)
        {
            Near.Layer.PollBlock(Near.Device, 1);
        }

        for (int i = 0; i < 5000; i++)
        {
            Near.Layer.PollBlock(Near.Device, -1);
        }

        (_, int far) = _network.Connected();
        Far.Send(far, s_text);
        _network.Exchange();
        Assert.Equal(0, Near.Kernel[Near.Device].Signals);
    }

    [Fact]
    public void Idle_NextRound_IsNever()
    {
        Assert.False(Near.Poll().IsSet);
        (int near, _) = _network.Connected();
        _network.Exchange();
        Near.Close(near);
        Assert.True(Near.Poll().IsSet);
    }

    [Fact]
    public void AnotherThreadsRound_RunningCount_TellsThatSomethingHappened()
    {
        (_, int far) = _network.Connected();
        PollRound before = default;
        Near.Layer.Poll(ref before);
        Far.Send(far, s_text);
        _network.Exchange();
        PollRound after = default;
        Near.Layer.Poll(ref after);
        Assert.Equal(0, after.Events);
        Assert.NotEqual(before.Dispatched, after.Dispatched);
    }
}
