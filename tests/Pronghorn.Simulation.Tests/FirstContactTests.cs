// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Simulation.Tests;

/// <summary>The least that two stacks must manage.</summary>
public sealed class FirstContactTests
{
    private const ushort Port = 6379;

    [Fact]
    public void PerfectLink_HandshakeEchoBulkAndClose_LeavesNothingBehind()
    {
        using var fabric = new Fabric(1);
        SimulatedHost client = fabric.AddHost("client");
        SimulatedHost server = fabric.AddHost("server");
        fabric.Connect(client, server, LinkSettings.Perfect);

        int listener = server.Tcp.Listen(server.Address, Port, 16, 1, SocketSettings.Default, out TcpError error);
        Assert.NotEqual(0, listener);
        int near = client.Tcp.Connect(
            client.Address, 40000, server.Address, Port, 7, SocketSettings.Default, fabric.Now, out error);
        Assert.Equal(TcpError.None, error);
        int far = 0;
        Assert.True(fabric.RunUntil(() => server.Tcp.TryAccept(listener, out far), Duration.FromSeconds(3)));
        Assert.Equal(TcpState.Established, client.Tcp.GetState(near));

        Assert.Equal(1, client.Tcp.Send(near, "x"u8, SendFlags.None, fabric.Now, out error));
        byte[] one = new byte[1];
        Assert.True(fabric.RunUntil(() => server.Tcp.ReceivableBytes(far) == 1, Duration.FromSeconds(1)));
        Assert.Equal(1, server.Tcp.Receive(far, one, ReceiveFlags.None, fabric.Now, out error));
        Assert.Equal((byte)'x', one[0]);
        Assert.Equal(1, server.Tcp.Send(far, one, SendFlags.None, fabric.Now, out error));
        Assert.True(fabric.RunUntil(() => client.Tcp.ReceivableBytes(near) == 1, Duration.FromSeconds(1)));
        Assert.Equal(1, client.Tcp.Receive(near, one, ReceiveFlags.None, fabric.Now, out error));

        Transfer(fabric, client, near, server, far, 10 << 20);
        client.Tcp.Close(near, fabric.Now);
        Assert.True(fabric.RunUntil(() => server.Tcp.GetState(far) == TcpState.CloseWait, Duration.FromSeconds(1)));
        server.Tcp.Close(far, fabric.Now);
        Assert.True(fabric.RunUntil(() => server.Tcp.ConnectionCount == 0, Duration.FromSeconds(1)));
        Assert.Equal(1, client.Tcp.ConnectionCount);
        fabric.RunFor(Duration.FromSeconds(61));
        Assert.Equal(0, client.Tcp.ConnectionCount);
        Assert.Equal(client.Frames.FrameCount, client.Frames.FreeCount);
        Assert.Equal(server.Frames.FrameCount, server.Frames.FreeCount);
        Assert.Equal(0, client.Stack.Counters[Counter.TcpRetransSegs]);
    }

    private static void Transfer(Fabric fabric, SimulatedHost from, int source, SimulatedHost to, int sink, int total)
    {
        var content = new StreamContent(99);
        byte[] buffer = new byte[64 << 10];
        int sent = 0;
        int received = 0;
        bool Done()
        {
            while (sent < total)
            {
                int count = Math.Min(buffer.Length, total - sent);
                content.Fill(buffer.AsSpan(0, count), sent);
                int taken = from.Tcp.Send(source, buffer.AsSpan(0, count), SendFlags.None, fabric.Now, out _);
                sent += taken;
                if (taken == 0)
                {
                    break;
                }
            }

            int got;
            while ((got = to.Tcp.Receive(sink, buffer, ReceiveFlags.None, fabric.Now, out _)) > 0)
            {
                Assert.Equal(-1, content.FirstDifference(buffer.AsSpan(0, got), received));
                received += got;
            }

            return received == total;
        }

        Assert.True(fabric.RunUntil(Done, Duration.FromSeconds(60)), $"sent {sent}, received {received}");
    }
}
