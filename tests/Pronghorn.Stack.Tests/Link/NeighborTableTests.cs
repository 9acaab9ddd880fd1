// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Link;

/// <summary>The bounds of the neighbour table: what frames can fill, what the kernel can, and what is counted.</summary>
public sealed class NeighborTableTests : IDisposable
{
    private readonly TcpFixture _net = new();

    private NeighborTable Table => _net.Stack.Neighbors;

    public void Dispose() => _net.Dispose();

    [Fact]
    public void StrangersAreLearnt_TableStaysBoundedAndTheKernelsEntriesStay()
    {
        const int Strangers = 3 * Limits.MaximumLearntNeighbors;
        for (int i = 0; i < Strangers; i++)
        {
            Table.Learn(TcpFixture.InterfaceId, Stranger(i), new MacAddress((ulong)(0x0200_0100_0000 + i)), true, _net.Now);
            Assert.InRange(Table.Count, 1, Limits.MaximumLearntNeighbors + 1);
        }

        Assert.Equal(Strangers - Limits.MaximumLearntNeighbors, _net.Stack.Counters[Counter.NeighborsEvicted]);
        Assert.Equal(Strangers - Limits.MaximumNeighborRequests, _net.Stack.Counters[Counter.NeighborRequestsDropped]);
        Assert.True(Table.TryResolve(TcpFixture.InterfaceId, TcpFixture.PeerAddress, _net.Now, out MacAddress mac));
        Assert.Equal(TcpFixture.PeerMac, mac);
        Assert.True(Table.TryResolve(TcpFixture.InterfaceId, Stranger(Strangers - 1), _net.Now, out mac));
        Assert.Equal(new MacAddress((ulong)(0x0200_0100_0000 + Strangers - 1)), mac);
        Assert.False(Table.IsKnown(TcpFixture.InterfaceId, Stranger(0)));
    }

    [Fact]
    public void SynFromAStranger_IsLearntAndTheKernelAsked()
    {
        using var net = new TcpFixture(new StackOptions { MaximumConnections = 4 }, knowPeer: false);
        net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, 16, 0, SocketSettings.Default, out _);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        Assert.Equal(1, net.Stack.Neighbors.Count);
        Assert.True(net.Stack.Neighbors.TryDequeueRequest(out _, out IpAddress asked)); // the kernel is to confirm it
        Assert.Equal(TcpFixture.PeerAddress, asked);
    }

    [Fact]
    public void KernelConfirmsALearntNeighbour_ItIsNoLongerEvicted()
    {
        Table.Learn(TcpFixture.InterfaceId, Stranger(0), TcpFixture.PeerMac, true, _net.Now);
        Assert.True(Table.Set(TcpFixture.InterfaceId, Stranger(0), TcpFixture.PeerMac));
        for (int i = 1; i <= 2 * Limits.MaximumLearntNeighbors; i++)
        {
            Table.Learn(TcpFixture.InterfaceId, Stranger(i), TcpFixture.PeerMac, true, _net.Now);
        }

        Assert.True(Table.IsKnown(TcpFixture.InterfaceId, Stranger(0)));
    }

    [Fact]
    public void KernelKnowsMoreThanFit_RestIsRefusedAndCounted()
    {
        for (int i = 1; i < Limits.MaximumNeighbors; i++)
        {
            Assert.True(Table.Set(TcpFixture.InterfaceId, Stranger(i), TcpFixture.PeerMac));
        }

        Assert.Equal(Limits.MaximumNeighbors, Table.Count);
        Assert.False(Table.Set(TcpFixture.InterfaceId, Stranger(0), TcpFixture.PeerMac));
        Assert.Equal(1, _net.Stack.Counters[Counter.NeighborsRefused]);
        Table.Remove(TcpFixture.InterfaceId, Stranger(7));
        Assert.True(Table.Set(TcpFixture.InterfaceId, Stranger(0), TcpFixture.PeerMac));
        Assert.False(Table.IsKnown(TcpFixture.InterfaceId, Stranger(7)));
        Assert.True(Enumerable.Range(8, 1000).All(i => Table.IsKnown(TcpFixture.InterfaceId, Stranger(i))));
    }

    [Fact]
    public void AskedForMoreThanFit_OldQuestionsGiveWayToWhatTheKernelKnows()
    {
        for (int i = 1; i < Limits.MaximumNeighbors; i++)
        {
            Assert.False(Table.TryResolve(TcpFixture.InterfaceId, Stranger(i), _net.Now, out _));
        }

        Assert.True(Table.Set(TcpFixture.InterfaceId, Stranger(0), TcpFixture.PeerMac));
        Assert.Equal(1, _net.Stack.Counters[Counter.NeighborsEvicted]);
        Assert.Equal(0, _net.Stack.Counters[Counter.NeighborsRefused]);
    }

    [Fact]
    public void SameAddressOnTwoInterfaces_AreTwoNeighbours()
    {
        Assert.True(Table.Set(7, TcpFixture.PeerAddress, new MacAddress(7)));
        Assert.True(Table.TryResolve(TcpFixture.InterfaceId, TcpFixture.PeerAddress, _net.Now, out MacAddress mac));
        Assert.Equal(TcpFixture.PeerMac, mac);
        Table.Remove(TcpFixture.InterfaceId, TcpFixture.PeerAddress);
        Assert.True(Table.TryResolve(7, TcpFixture.PeerAddress, _net.Now, out mac));
        Assert.Equal(new MacAddress(7), mac);
    }

    [Fact]
    public void RoutesAddressesInterfaces_MoreThanFit_AreRefusedAndCounted()
    {
        NetworkStack stack = _net.Stack;
        bool added = true;
        for (int i = 0; added; i++)
        {
            added = stack.Interfaces.Update(new NetworkInterface { Id = 100 + i, Mtu = 1500 });
        }

        Assert.Equal(Limits.MaximumInterfaces, stack.Interfaces.Interfaces.Length);
        Assert.Equal(1, stack.Counters[Counter.RoutingEntriesRefused]);
        added = true;
        for (int i = 0; added; i++)
        {
            added = stack.Interfaces.AddAddress(100, Stranger(i), 32);
        }

        Assert.Equal(Limits.MaximumInterfaces * 4, stack.Interfaces.Addresses.Length);
        Assert.Equal(2, stack.Counters[Counter.RoutingEntriesRefused]);
    }

    private static IpAddress Stranger(int number) => IpAddress.FromIpv4(0x0a01_0000 + (uint)number);
}
