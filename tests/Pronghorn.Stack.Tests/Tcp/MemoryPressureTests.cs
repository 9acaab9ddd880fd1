// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Frames are fewer than the windows promise: nobody may starve the others for good.</summary>
public sealed class MemoryPressureTests
{
    [Fact]
    public void Frames_AlmostGone_UnreadConnectionYieldsAndIsServedLater()
    {
        using var net = new TcpFixture(frames: 256);
        net.Accept();
        var held = new List<int>();
        net.Peer(TcpFlags.Ack, payload: new byte[1400]);
        Assert.Equal(1400, net.Tcp.ReceivableBytes(net.Id));
        while (net.Frames.FreeCount > 6)
        {
            Assert.True(net.Frames.TryRent(out int frame));
            held.Add(frame);
        }

        // The queue holds unread bytes: this segment is not taken, and not acknowledged.
        net.Peer(TcpFlags.Ack, payload: new byte[1400]);
        Assert.Equal(1400, net.Tcp.ReceivableBytes(net.Id));
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpReceiveBufferFull]);

        // An empty queue may still take one.
        net.Read();
        net.Peer(TcpFlags.Ack, 1400, payload: new byte[1400]);
        Assert.Equal(1400, net.Tcp.ReceivableBytes(net.Id));

        foreach (int frame in held)
        {
            net.Frames.Release(frame);
        }

        net.Peer(TcpFlags.Ack, 2800, payload: new byte[1000]);
        Assert.Equal(2400, net.Tcp.ReceivableBytes(net.Id));
    }

    [Fact]
    public void Frames_HeldByManySenders_AnEighthIsLeftToReceiveInto()
    {
        const int Frames = 1024;
        const int Reserve = Frames / Limits.ReceiveFrameShare;
        const int MoreThanFair = 2 * Limits.FairSendFrames * 1460;
        using var net = new TcpFixture(frames: Frames);
        net.Accept();
        while (net.Frames.FreeCount > Reserve + 4)
        {
            Assert.True(net.Frames.TryRent(out _));
        }

        Assert.Equal(4 * 1460, net.Send(MoreThanFair));
        Assert.Equal(Reserve, net.Frames.FreeCount);
        Assert.Equal(0, net.Send(1));
    }
}
