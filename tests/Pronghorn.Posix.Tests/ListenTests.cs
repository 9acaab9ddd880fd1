// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>listen(2) and accept(2).</summary>
public sealed class ListenTests : IDisposable
{
    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void NothingWaits_Accept_IsAgainOrWaits()
    {
        int blocking = Far.Listen(TwoSystems.Port);
        int not = Far.Listen(TwoSystems.Port + 1, nonBlocking: true);
        uint length = 0;
        Assert.Equal(SocketResult.Wait, Far.Layer.Accept(blocking, default, ref length, 0));
        Assert.Equal(-Error.Again, Far.Layer.Accept(not, default, ref length, 0));
    }

    [Fact]
    public void ReceiveTimeout_Accept_EndsWithAgain()
    {
        int listener = Far.Listen(TwoSystems.Port);
        Far.SetTime(listener, SocketOption.ReceiveTimeout, Duration.FromMilliseconds(250));
        Instant start = _network.Now;
        Assert.Equal(-Error.Again, Far.Accept(listener));
        Assert.Equal(250, (_network.Now - start).Milliseconds);
    }

    [Fact]
    public void KernelsSideOfAListener_NeverBlocks()
    {
        int listener = Far.Listen(TwoSystems.Port);
        Assert.NotEqual(0, Far.Kernel[listener].Flags & FileControl.NonBlocking);
        Assert.Equal(FileControl.ReadWrite, Far.Layer.GetFlags(listener));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(FileControl.NonBlocking, FileControl.NonBlocking)]
    [InlineData(FileControl.NonBlocking | FileControl.CloseOnExec, FileControl.NonBlocking)]
    public void Flags_Accept_GoToTheConnectionAlone(int flags, int expected)
    {
        int listener = Far.Listen(TwoSystems.Port);
        Assert.Equal(0, Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port));
        int fd = (int)Far.Accept(listener, flags);
        Assert.Equal(FileControl.ReadWrite | expected, Far.Layer.GetFlags(fd));
        Assert.Equal(FileControl.ReadWrite, Far.Layer.GetFlags(listener));
        Assert.Equal(DescriptorClass.Socket, Far.Kernel.GetClass(fd));
    }

    [Fact]
    public void NonBlockingListener_AcceptedConnection_Blocks()
    {
        int listener = Far.Listen(TwoSystems.Port, nonBlocking: true);
        Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port);
        _network.Exchange();
        int fd = (int)Far.Accept(listener);
        Assert.Equal(SocketResult.Wait, Far.Layer.Receive(fd, new byte[1], 0));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void Backlog_MoreConnect_OneMoreThanItWaits(int backlog)
    {
        int listener = Far.Listen(TwoSystems.Port, backlog, nonBlocking: true);
        for (int i = 0; i < backlog + 4; i++)
        {
            Near.StartConnect(Near.Socket(nonBlocking: true), Far.Address, TwoSystems.Port);
        }

        _network.Exchange();
        int accepted = 0;
        uint length = 0;
        while (Far.Layer.Accept(listener, default, ref length, 0) >= 0)
        {
            accepted++;
        }

        // Linux: sk_acceptq_is_full compares with "greater".
        Assert.Equal(backlog + 1, accepted);
    }

    [Fact]
    public void ListenAgain_Backlog_Changes()
    {
        int listener = Far.Listen(TwoSystems.Port, 1, nonBlocking: true);
        Assert.Equal(0, Far.Layer.Listen(listener, 100));
        Assert.Equal(100u, TcpInformation(Far, listener).Sacked);
    }

    [Fact]
    public void AdoptedBoundSocket_Listen_Listens()
    {
        int fd = Far.Socket(nonBlocking: true);
        Far.Bind(fd, Far.Address, TwoSystems.Port);
        Far.Layer.Adopt(fd);
        uint length = 0;
        Assert.Equal(-Error.Invalid, Far.Layer.Accept(fd, default, ref length, 0));
        Assert.Equal(0, Far.Layer.Listen(fd, 5));
        Assert.Equal(1, Far.Option(fd, OptionLevel.Socket, SocketOption.AcceptConnections));
        Assert.Equal(0, Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void Connection_Accept_IsInvalid()
    {
        (_, int far) = _network.Connected();
        Assert.Equal(-Error.Invalid, Far.Accept(far));
    }

    [Fact]
    public void PeerOfTheKernel_Accept_TakesItWhenNoneOfOursWaits()
    {
        int listener = Far.Listen(TwoSystems.Port);
        Far.Kernel[listener].Waiting.Enqueue(7777);
        Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port);
        _network.Exchange();
        byte[] name = new byte[SocketAddress.Length];
        uint length = 0;
        int first = Far.Layer.Accept(listener, name, ref length, 0);
        SocketAddress.TryRead(name, out IpAddress address, out _);
        Assert.Equal((Near.Address, DescriptorClass.Socket), (address, Far.Kernel.GetClass(first)));
        int second = Far.Layer.Accept(listener, name, ref length, 0);
        SocketAddress.TryRead(name, out _, out ushort port);
        Assert.Equal((7777, DescriptorClass.Kernel), (port, Far.Kernel.GetClass(second)));
    }

    [Fact]
    public void ShutDown_Listener_AcceptsNoMore()
    {
        int listener = Far.Listen(TwoSystems.Port);
        Assert.Equal(SocketResult.Kernel, Far.Layer.Shutdown(listener, 2));
        Assert.Equal(-Error.Invalid, Far.Accept(listener));
        Assert.Equal(-Error.ConnectionRefused, Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void SameEndTwice_Listen_IsInUse()
    {
        Far.Listen(Far.Address, TwoSystems.Port);
        int second = Far.Socket();
        Far.Kernel[second].Address = Far.Address;
        Far.Kernel[second].Port = TwoSystems.Port;
        Assert.Equal(-Error.AddressInUse, Far.Layer.Activate(second));
        Assert.Equal(DescriptorClass.Kernel, Far.Kernel.GetClass(second));
        Assert.Equal(1, Far.Layer.SocketCount);
    }

    [Fact]
    public void AddressNotServed_Listen_IsTheKernels() =>
        Assert.Equal(SocketResult.Kernel, Far.Listen(IpAddress.FromIpv4(0xc0a80001), TwoSystems.Port));

    [Fact]
    public void SteeringRefuses_Listen_LeavesTheSocketToTheKernel()
    {
        Far.Driver.OwnResult = -7;
        Assert.Equal(-7, Far.Listen(TwoSystems.Port));
        Assert.Equal(0, Far.Layer.SocketCount);
    }

    [Fact]
    public void DualStackListener_AcceptedNames_AreMapped()
    {
        int fd = Far.Kernel.Open(new KernelFile { IsIpv6 = true, Port = TwoSystems.Port }, DescriptorClass.Listening);
        Assert.Equal(0, Far.Layer.Activate(fd));
        int near = Near.Socket();
        Assert.Equal(0, Near.Connect(near, Far.Address, TwoSystems.Port));
        _network.Exchange();
        byte[] name = new byte[SocketAddress.Longest];
        uint length = 0;
        int accepted = Far.Layer.Accept(fd, name, ref length, 0);
        Assert.Equal((uint)SocketAddress.Longest, length);
        Assert.Equal(10, MemoryMarshal.Read<ushort>(name));
        Assert.Equal([0xff, 0xff, 10, 0, 0, 1], name[18..24]);
        Assert.Equal(10, Far.Option(accepted, OptionLevel.Socket, SocketOption.Domain));
        Assert.Equal(0, Far.Option(accepted, OptionLevel.Ipv6, Ipv6Option.Ipv6Only));
        Assert.Equal(0, Far.Layer.GetName(accepted, name, ref length, peer: false));
        Assert.Equal([10, 0, 0, 2], name[20..24]);
    }

    [Fact]
    public void Closed_Listener_ResetsWhatWaits()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int near = Near.Socket();
        Near.Connect(near, Far.Address, TwoSystems.Port);
        _network.Exchange();
        Far.Close(listener);
        Assert.Equal(-Error.ConnectionReset, Near.Receive(near));
    }

    [Fact]
    public void ResetWhileItWaits_Connection_IsAcceptedAndTellsTheReset()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int near = Near.Socket();
        Near.Connect(near, Far.Address, TwoSystems.Port);
        Near.SetLinger(near, 0);
        Near.Close(near);
        _network.Exchange();
        int far = (int)Far.Accept(listener);
        Assert.True(far > 0);
        Assert.Equal(-Error.ConnectionReset, Far.Receive(far));
        Assert.Equal(0, Far.Receive(far));
    }

    [Fact]
    public void Wildcard_Listener_OwnsEveryAddressAlsoThoseThatCome()
    {
        IpAddress second = IpAddress.FromIpv4(0x0a000009);
        int listener = Far.Listen(TwoSystems.Port);
        Assert.Equal([(Far.Address, TwoSystems.Port)], Far.Driver.Owned.Keys);
        Far.Driver.AddAddress(second);
        _network.Run(Duration.FromSeconds(3));
        Assert.Contains((second, TwoSystems.Port), Far.Driver.Owned.Keys);
        Far.Close(listener);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
    }

    [Fact]
    public void AddressGoesAndReturns_ItsEnds_AreGivenBackAndOwnedAgain()
    {
        IpAddress second = IpAddress.FromIpv4(0x0a000009);
        Far.Driver.AddAddress(second);
        int listener = Far.Listen(TwoSystems.Port);
        Far.Driver.RemoveAddress(second);
        _network.Exchange();
        Assert.Equal([(Far.Address, TwoSystems.Port)], Far.Driver.Owned.Keys);

        // The kernel may have taken connections while it was away, so it is asked until it has none.
        Far.Kernel.Connections[TwoSystems.Port] = 1;
        Far.Driver.AddAddress(second);
        Far.Poll();
        Assert.Equal(EndSteering.CheckKernel, Far.Driver.Owned[(second, TwoSystems.Port)]);
        Far.Kernel.Connections.Clear();
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(EndSteering.Ours, Far.Driver.Owned[(second, TwoSystems.Port)]);
        Far.Driver.RemoveAddress(second);
        Far.Close(listener);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
    }

    [Fact]
    public void AddressIsAway_ListenersBeginAndEnd_EndsAreCountedRight()
    {
        IpAddress second = IpAddress.FromIpv4(0x0a000009);
        Far.Driver.AddAddress(second);
        int first = Far.Listen(TwoSystems.Port);
        Far.Driver.RemoveAddress(second);
        _network.Exchange();
        Far.Close(first);
        int next = Far.Listen(TwoSystems.Port);
        Far.Driver.AddAddress(second);
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(2, Far.Driver.Owned.Count);
        Assert.All(Far.Driver.Owned.Values, steering => Assert.Equal(EndSteering.Ours, steering));
        Far.Close(next);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SteeringRefusesAnAddressThatComes_AndTakesItLater_ItIsOwned(bool wasThere)
    {
        IpAddress second = IpAddress.FromIpv4(0x0a000009);
        int listener = -1;
        if (wasThere)
        {
            Far.Driver.AddAddress(second);
            listener = Far.Listen(TwoSystems.Port);
            Far.Driver.RemoveAddress(second);
            Far.Poll();
        }

        listener = listener < 0 ? Far.Listen(TwoSystems.Port) : listener;
        Far.Driver.OwnResult = -7; // E2BIG: the map is full
        Far.Driver.AddAddress(second);
        _network.Run(Duration.FromSeconds(3));
        Assert.DoesNotContain((second, TwoSystems.Port), Far.Driver.Owned.Keys);
        Assert.InRange(Far.Driver.Stack.Counters[Counter.EndsRefused], 3, 5);
        Far.Driver.OwnResult = 0;
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(EndSteering.Ours, Far.Driver.Owned[(second, TwoSystems.Port)]);
        long refused = Far.Driver.Stack.Counters[Counter.EndsRefused];
        Far.Close(listener);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
        Assert.Equal(refused, Far.Driver.Stack.Counters[Counter.EndsRefused]);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void TwoListenersOnAPort_AddressComesAndOneCloses_TheOtherGoesOn(bool wildcardCloses, bool refusedAtFirst)
    {
        // A program that watches addresses itself listens on the new one before the layer hears of it.
        IpAddress second = IpAddress.FromIpv4(0x0a000009);
        int wildcard = Far.Listen(TwoSystems.Port);
        Far.Driver.AddAddress(second);
        int other = Far.ListenBeside(wildcard, second);
        Far.Driver.OwnResult = refusedAtFirst ? -7 : 0;
        Far.Poll();
        Far.Driver.OwnResult = 0;
        _network.Run(Duration.FromSeconds(3));
        Far.Close(wildcardCloses ? wildcard : other);
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(EndSteering.Ours, Far.Driver.Owned[(second, TwoSystems.Port)]);
        Assert.Equal(!wildcardCloses, Far.Driver.Owned.ContainsKey((Far.Address, TwoSystems.Port)));
        Far.Close(wildcardCloses ? other : wildcard);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
    }

    [Fact]
    public void ListenerClosedBeforeItsConnections_End_LeavesNewOnesToTheKernel()
    {
        (int near, int far) = _network.Connected(); // its listener is closed
        Assert.Equal(EndSteering.Lingering, Far.Driver.Owned[(Far.Address, TwoSystems.Port)]);
        int again = Far.Listen(TwoSystems.Port);
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(EndSteering.Ours, Far.Driver.Owned[(Far.Address, TwoSystems.Port)]);
        Far.Close(again);
        Assert.Equal(EndSteering.Lingering, Far.Driver.Owned[(Far.Address, TwoSystems.Port)]);
        Near.Close(near);
        Far.Close(far);
        _network.Run(Duration.FromSeconds(70));
        Assert.Empty(Far.Driver.Owned);
    }

    [Fact]
    public void ConnectFailedThenListen_Closed_OwnsNothing()
    {
        int fd = Far.Socket();
        Assert.True(Far.Connect(fd, Near.Address, TwoSystems.Port) < 0);
        Assert.Equal(0, Far.Layer.Listen(fd, 4));
        Far.Close(fd);
        _network.Run(Duration.FromSeconds(3));
        Assert.Empty(Far.Driver.Owned);
    }

    [Fact]
    public void ConnectionsOfTheKernelOnThePort_Steering_AsksTheKernelUntilTheyEnd()
    {
        Far.Kernel.Connections[TwoSystems.Port] = 1;
        Far.Listen(TwoSystems.Port);
        Assert.Equal(EndSteering.CheckKernel, Far.Driver.Owned[(Far.Address, TwoSystems.Port)]);
        Far.Kernel.Connections.Clear();
        _network.Run(Duration.FromSeconds(3));
        Assert.Equal(EndSteering.Ours, Far.Driver.Owned[(Far.Address, TwoSystems.Port)]);
    }

    [Fact]
    public void FirstNumberOfACopiedListenerClosed_ShutDownAndListen_GoOn()
    {
        int listener = Far.Listen(TwoSystems.Port);
        int copy = Far.Duplicate(listener);
        Far.Close(listener);

        // The old number is another file's now, which has a name of its own.
        int other = Far.Kernel.Open(new KernelFile { Port = 99 }, least: listener);
        Assert.Equal(listener, other);
        Assert.Equal(SocketResult.Kernel, Far.Layer.Shutdown(copy, 2));
        Assert.Equal(0, Far.Layer.Listen(copy, 4));
        Assert.Equal(FileControl.ReadWrite, Far.Kernel[other].Flags);
        Assert.Equal(0, Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port));
    }

    private static TcpInformation TcpInformation(TestSystem system, int fd)
    {
        byte[] value = new byte[256];
        Assert.Equal(0, system.Layer.GetOption(fd, OptionLevel.Tcp, TcpOption.Information, value, out _));
        return MemoryMarshal.Read<TcpInformation>(value);
    }
}
