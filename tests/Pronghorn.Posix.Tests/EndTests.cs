// SPDX-License-Identifier: Apache-2.0
using System;
using System.Text;
using Pronghorn.Stack;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>close(2), dup(2), SO_LINGER and the end of a process.</summary>
public sealed class EndTests : IDisposable
{
    private static readonly byte[] s_text = Encoding.ASCII.GetBytes("hello");

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Written_Close_IsDelivered()
    {
        (int near, int far) = _network.Connected();
        Near.Send(near, s_text);
        Near.Close(near);
        Assert.Equal(5, Far.Receive(far));
        Assert.Equal(0, Far.Receive(far));
        Assert.Equal(0, Near.Layer.SocketCount);
    }

    [Fact]
    public void Unread_Close_Resets()
    {
        (int near, int far) = _network.Connected();
        Far.Send(far, s_text);
        _network.Exchange();
        Near.Close(near);
        Assert.Equal(-Error.ConnectionReset, Far.Receive(far));
    }

    [Fact]
    public void LingerZero_Close_Resets()
    {
        (int near, int far) = _network.Connected();
        Near.SetLinger(near, 0);
        Near.Close(near);
        Assert.Equal(-Error.ConnectionReset, Far.Receive(far));
    }

    [Fact]
    public void Linger_Close_WaitsForTheAcknowledgement()
    {
        (int near, int far) = _network.Connected();
        Near.SetLinger(near, 5);
        Near.Send(near, s_text);
        Assert.Equal(SocketResult.Wait, Near.Layer.Close(near, final: false));
        Instant start = _network.Now;
        Near.Close(near);
        Assert.InRange((_network.Now - start).Milliseconds, 0, 100);
        Assert.Equal(5, Far.Receive(far));
    }

    [Fact]
    public void Linger_PeerGone_CloseGivesUpAfterTheTime()
    {
        (int near, _) = _network.Connected();
        Near.SetLinger(near, 2);
        Near.Driver.IsCut = true;
        Near.Send(near, s_text);
        Instant start = _network.Now;
        Near.Close(near);
        Assert.Equal(2000, (_network.Now - start).Milliseconds);
        Assert.Equal(0, Near.Layer.SocketCount);
    }

    [Fact]
    public void Linger_NonBlocking_CloseDoesNotWait()
    {
        (int near, _) = _network.Connected(nonBlocking: true);
        Near.SetLinger(near, 2);
        Near.Send(near, s_text);
        Assert.Equal(0, Near.Layer.Close(near, final: false));
    }

    [Fact]
    public void Copied_OneNumberClosed_TheOtherGoesOn()
    {
        (int near, int far) = _network.Connected();
        int copy = Near.Duplicate(near);
        Near.Close(near);
        Assert.Equal(5, Near.Send(copy, s_text));
        Assert.Equal(5, Far.Receive(far));
        Near.Close(copy);
        Assert.Equal(0, Far.Receive(far));
    }

    [Fact]
    public void Copied_FlagsAndOptions_AreShared()
    {
        (int near, _) = _network.Connected();
        int copy = Near.Duplicate(near);
        Near.Layer.SetFlags(copy, FileControl.NonBlocking);
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.NoDelay, 1);
        Assert.Equal(FileControl.ReadWrite | FileControl.NonBlocking, Near.Layer.GetFlags(near));
        Assert.Equal(1, Near.Option(copy, OptionLevel.Tcp, TcpOption.NoDelay));
    }

    [Fact]
    public void FirstNumberOfACopiedSocketClosed_Connect_UsesTheOther()
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        int copy = Near.Duplicate(fd);
        Near.Close(fd);

        // Whoever has the number now must not be bound for us.
        int other = Near.Kernel.Open(new KernelFile(), least: fd);
        Assert.Equal(fd, other);
        Assert.Equal(0, Near.Connect(copy, Far.Address, TwoSystems.Port));
        Assert.Equal(0, Near.Kernel[other].Port);
        Assert.NotEqual(0, Near.Kernel[copy].Port);
    }

    [Theory]
    [InlineData(0, 1, 2)]
    [InlineData(0, 2, 1)]
    [InlineData(1, 0, 2)]
    [InlineData(2, 1, 0)]
    public void CopiesOfASocketClosed_InAnyOrder_TheLastIsUsed(int first, int second, int last)
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        int[] copies = [fd, Near.Duplicate(fd), Near.Duplicate(fd)];
        int unrelated = Near.Socket();
        Near.Layer.Adopt(unrelated);
        foreach (int closed in (int[])[copies[first], copies[second]])
        {
            Near.Close(closed);
            Assert.Equal(closed, Near.Kernel.Open(new KernelFile(), least: closed));
        }

        Assert.Equal(0, Near.Connect(copies[last], Far.Address, TwoSystems.Port));
        Assert.NotEqual(0, Near.Kernel[copies[last]].Port);
        Assert.Equal((0, 0), (Near.Kernel[copies[first]].Port, Near.Kernel[copies[second]].Port));
        Near.Close(copies[last]);
        Assert.Equal(1, Near.Layer.SocketCount);
    }

    [Fact]
    public void CopiedSocket_LeftToTheKernel_EveryNumberIsTheKernels()
    {
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        int[] copies = [fd, Near.Duplicate(fd), Near.Duplicate(fd)];
        Near.Driver.OwnResult = -7; // E2BIG: the map is full
        Assert.Equal(SocketResult.Fallback - 7, Near.StartConnect(copies[1], Far.Address, TwoSystems.Port));
        Assert.All(copies, copy => Assert.Equal(DescriptorClass.Kernel, Near.Kernel.GetClass(copy)));
        Assert.All(copies, copy => Assert.Equal(-Error.BadDescriptor, Near.Layer.GetFlags(copy)));
        Assert.Equal(0, Near.Layer.SocketCount);
    }

    [Fact]
    public void NumberClosedUnnoticedAndUsedForACopy_ClosingTheOthers_Ends()
    {
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        int stale = Near.Duplicate(fd);
        int other = Near.Socket();
        Near.Layer.Adopt(other);
        Assert.Equal(0, Near.Layer.Duplicate(other, stale));
        Assert.Equal(0, Near.Layer.Duplicate(other, other));
        Near.Close(other);
        Near.Close(stale);
        Near.Close(fd);
        Assert.Equal(-Error.BadDescriptor, Near.Layer.GetFlags(stale));
    }

    [Fact]
    public void NumberOutOfRange_Duplicate_IsABadDescriptor()
    {
        (int near, _) = _network.Connected();
        Assert.Equal(-Error.BadDescriptor, Near.Layer.Duplicate(near, KernelModel.Size));
        Assert.Equal(-Error.BadDescriptor, Near.Layer.Duplicate(near, -1));
    }

    [Fact]
    public void Finish_EverySocket_IsLetGoAndWhatWasWrittenCounted()
    {
        (int near, int far) = _network.Connected();
        Near.Listen(TwoSystems.Port + 1);
        int epoll = Near.Epoll();
        Near.Watch(epoll, near, Polling.In);
        Near.Send(near, s_text);
        Near.Layer.Finish();
        Assert.True(Near.Driver.IsFinished);
        Assert.Equal(DescriptorClass.Kernel, Near.Kernel.GetClass(near));
        PollRound round = default;
        Near.Layer.Poll(ref round);
        Assert.Equal(1, round.Unsent);
        Assert.Equal(5, Far.Receive(far));
        Far.Close(far);
        _network.Exchange();
        Near.Layer.Poll(ref round);
        Assert.Equal(0, round.Unsent);
        Assert.Equal(0, Near.Layer.SocketCount);
    }

    [Fact]
    public void ThousandConnections_ComeAndGo_NothingIsLeft()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int nearOpen = Near.Kernel.OpenCount;
        int farOpen = -1;
        for (int i = 0; i < 1000; i++)
        {
            int near = Near.Socket();
            Assert.Equal(0, Near.Connect(near, Far.Address, TwoSystems.Port));
            int far = (int)Far.Accept(listener);
            Near.Send(near, s_text);
            Assert.Equal(5, Far.Receive(far));
            Near.Close(near);
            Assert.Equal(0, Far.Receive(far));
            Far.Close(far);
            farOpen = farOpen < 0 ? Far.Kernel.OpenCount : farOpen;
        }

        Assert.Equal((0, 1), (Near.Layer.SocketCount, Far.Layer.SocketCount));

        // One placeholder stays on either side, whatever the number of connections.
        Assert.InRange(Near.Kernel.OpenCount, nearOpen, nearOpen + 1);
        Assert.Equal(farOpen, Far.Kernel.OpenCount);
        _network.Run(Duration.FromSeconds(120));
        Assert.Empty(Near.Driver.Owned);
    }
}
