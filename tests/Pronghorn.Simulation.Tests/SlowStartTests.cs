// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Simulation.Tests;

/// <summary>How the first slow start ends on a link that loses nothing of its own.</summary>
public sealed class SlowStartTests
{
    private const int Bytes = 12 << 20;

    [Theory]
    [InlineData(CongestionAlgorithm.Cubic)]
    [InlineData(CongestionAlgorithm.NewReno)]
    public void QueueGrows_SlowStartOvershootsByAQuarter_NotByAll(CongestionAlgorithm algorithm)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.Congestion = algorithm;
        using var fabric = new Fabric(1);
        SimulatedHost client = fabric.AddHost("client");
        SimulatedHost server = fabric.AddHost("server");

        // 625 KB fit into the path, as many again into the queue. Doubling until something is lost loses a window of 800
        // segments and more; when the delay has shown the queue, the window grows by a quarter a round.
        Link link = fabric.Connect(client, server, new LinkSettings
        {
            Delay = Duration.FromMilliseconds(25), BitsPerSecond = 100_000_000, QueueBytes = 625_000,
        });
        int listener = server.Tcp.Listen(server.Address, 80, 1, 0, settings, out _);
        int near = client.Tcp.Connect(client.Address, 40000, server.Address, 80, 0, settings, fabric.Now, out _);
        int far = 0;
        Assert.True(fabric.RunUntil(() => server.Tcp.TryAccept(listener, out far), Duration.FromSeconds(60)));
        byte[] buffer = new byte[64 << 10];
        int sent = 0;
        int received = 0;
        bool Done()
        {
            int count = 1;
            while (sent < Bytes && count > 0)
            {
                count = client.Tcp.Send(
                    near, buffer.AsSpan(0, Math.Min(buffer.Length, Bytes - sent)), SendFlags.None, fabric.Now, out _);
                sent += count;
            }

            while ((count = server.Tcp.Receive(far, buffer, ReceiveFlags.None, fabric.Now, out _)) > 0)
            {
                received += count;
            }

            return received == Bytes;
        }

        Assert.True(fabric.RunUntil(Done, Duration.FromSeconds(60)));
        Assert.InRange(link.Forward.Lost, 1, 400);
        Assert.Equal(0, client.Stack.Counters[Counter.TcpTimeouts]);
    }
}
