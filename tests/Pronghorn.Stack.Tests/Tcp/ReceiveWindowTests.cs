// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 9293 3.8.6: the window that we offer.</summary>
public sealed class ReceiveWindowTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(1000)]
    public void Reader_TakesNothing_TheWindowShutsAtTheBuffersEnd(int segmentSize)
    {
        using var net = new TcpFixture();
        SocketSettings settings = SocketSettings.Default;
        settings.QuickAck = true;
        net.Accept(settings, net.FullOptions());
        int right = (int)(net.Tcb.ReceiveRight - net.PeerOrigin);
        int buffer = net.Tcb.ReceiveBuffer;
        int sent = 0;
        int edge = right;
        while (sent < edge && sent < 2 * buffer)
        {
            int count = Math.Min(segmentSize, edge - sent);
            net.Peer(TcpFlags.Ack, payload: new byte[count]);
            sent += count;
            foreach (SentSegment ack in net.ExpectAll())
            {
                edge = Math.Max(edge, ack.Ack + (ack.Window << net.Tcb.RcvWindShift));
            }
        }

        Assert.InRange(edge, buffer / 2, buffer);
        Assert.InRange(net.Tcb.ReceiveQueueBytes, 0, buffer);
    }

    [Fact]
    public void Window_ShutThenRead_OpensByAnUpdateAndNeverMovesBack()
    {
        using var net = new TcpFixture();
        SocketSettings settings = SocketSettings.Default;
        settings.ReceiveBuffer = 8000;
        net.Accept(settings);
        int edge = 8000;
        while (net.PeerNext < 8000)
        {
            net.Peer(TcpFlags.Ack, payload: new byte[1000]);
            foreach (SentSegment ack in net.ExpectAll())
            {
                Assert.InRange(ack.Ack + ack.Window, edge, 8000);
                edge = ack.Ack + ack.Window;
            }
        }

        net.Advance(1000);
        net.ExpectAll();
        Assert.Equal(0u, net.Tcb.RcvWnd);

        // Silly window avoidance (MUST-39): a little room is not told.
        net.Read(100);
        net.ExpectNothing();
        net.Read(3900);
        SentSegment update = net.Expect();
        Assert.Equal(8000, update.Ack);
        Assert.Equal(4000, update.Window);
    }

    [Fact]
    public void ZeroWindow_Reset_IsTaken()
    {
        using var net = new TcpFixture();
        SocketSettings settings = SocketSettings.Default;
        settings.ReceiveBuffer = 4096;
        net.Accept(settings);
        net.Peer(TcpFlags.Ack, payload: new byte[1460]);
        net.Peer(TcpFlags.Ack, payload: new byte[1460]);
        net.Peer(TcpFlags.Ack, payload: new byte[1176]);
        net.Advance(1000);
        net.ExpectAll();
        Assert.Equal(0u, net.Tcb.RcvWnd);
        net.Peer(TcpFlags.Rst);
        Assert.Equal(TcpState.Closed, net.State);
    }

    [Fact]
    public void ZeroWindow_PeerSendsOneByte_IsAnsweredAndNotTaken()
    {
        using var net = new TcpFixture();
        SocketSettings settings = SocketSettings.Default;
        settings.ReceiveBuffer = 4096;
        net.Accept(settings);
        net.Peer(TcpFlags.Ack, payload: new byte[1460]);
        net.Peer(TcpFlags.Ack, payload: new byte[1460]);
        net.Peer(TcpFlags.Ack, payload: new byte[1176]);
        net.Advance(1000);
        net.ExpectAll();
        Assert.Equal(0u, net.Tcb.RcvWnd);
        net.Peer(TcpFlags.Ack, 4096, payload: new byte[1]);
        SentSegment answer = net.Expect();
        Assert.Equal(4096, answer.Ack);
        Assert.Equal(0, answer.Window);
        Assert.Equal(4096, net.Tcb.ReceiveQueueBytes);
    }
}
