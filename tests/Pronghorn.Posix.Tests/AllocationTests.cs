// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>After its construction the layer allocates nothing on the managed heap.</summary>
public sealed class AllocationTests
{
    [Fact]
    public void Requests_ThousandsOfThem_AllocateNothing()
    {
        using TwoSystems network = new();
        (int near, int far) = network.Connected(nonBlocking: true);
        int epoll = network.Far.Epoll();
        network.Far.Watch(epoll, far, Polling.In);
        byte[] room = new byte[64];
        byte[] events = new byte[16 * SocketLayer.EpollEventSize];
        Request(network, near, far, epoll, room, events, 1000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Request(network, near, far, epoll, room, events, 5000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static void Request(TwoSystems network, int near, int far, int epoll, byte[] room, byte[] events, int count)
    {
        PollRound round = default;
        Duration step = Duration.FromMilliseconds(1);
        for (int i = 0; i < count; i++)
        {
            network.Near.Layer.Send(near, room, 0, flush: true);
            while (network.Far.Layer.EpollCollect(epoll, events, ref round) == 0)
            {
                network.Step(network.Now + step);
            }

            network.Far.Layer.EpollBlock(epoll, 1);
            network.Far.Layer.EpollBlock(epoll, -1);
            long got = network.Far.Layer.Receive(far, room, 0);
            network.Far.Layer.Send(far, room.AsSpan(0, (int)got), 0, flush: true);
            while (network.Near.Layer.Receive(near, room, 0) < 0)
            {
                network.Step(network.Now + step);
            }
        }
    }
}
