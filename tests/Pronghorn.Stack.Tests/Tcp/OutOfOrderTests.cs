// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>The queue of what came too early, and what is reported of it (RFC 2018, RFC 2883).</summary>
public sealed class OutOfOrderTests
{
    [Fact]
    public void SegmentWithFin_TwiceOutOfOrder_IsKeptOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < 3; i++)
        {
            net.Peer(TcpFlags.Ack | TcpFlags.Fin, 100, payload: TcpFixture.Bytes(50));
            Assert.Equal(1, net.Tcb.OutOfOrderFrames);
            Assert.Equal(0, net.Expect().Ack);
        }

        net.Peer(TcpFlags.Ack, 0, payload: TcpFixture.Bytes(100));
        Assert.Equal(151, net.Expect().Ack);
        Assert.Equal(TcpState.CloseWait, net.State);
        Assert.Equal(150, net.Read().Length);
    }

    [Fact]
    public void LargerSegmentWithFin_OverASmallerOneWithFin_KeepsTheEndWhereItIs()
    {
        using TcpFixture net = new TcpFixture().Accept();
        byte[] all = TcpFixture.Bytes(200);
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, 150, payload: all.AsSpan(150));
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, 100, payload: all.AsSpan(100));
        net.Peer(TcpFlags.Ack, 0, payload: all.AsSpan(0, 100));
        IReadOnlyList<SentSegment> answers = net.ExpectAll();
        Assert.Equal(201, answers[^1].Ack);
        Assert.Equal(TcpState.CloseWait, net.State);
        Assert.Equal(all, net.Read());
    }
}
