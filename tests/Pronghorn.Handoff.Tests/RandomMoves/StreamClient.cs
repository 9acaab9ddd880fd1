// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Lab;

namespace Pronghorn.Handoff.Tests.RandomMoves;

/// <summary>A client that knows every byte of both streams; it has heard of no node but the one that it connected to.</summary>
internal static class StreamClient
{
    // A daemon that is killed may leave a connection silent for 30 s. An acknowledgement from before that is an RTT of as much to the
    // kernel, and its RTO is three times that, when a segment is lost then.
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(150);

    /// <summary>One connection from its beginning to its end.</summary>
    /// <exception cref="InvalidOperationException">A byte was wrong or missing, or it was reset.</exception>
    public static async Task RunAsync(DaemonWorld world, Random random)
    {
        int node = random.Next(world.Nodes);
        bool isIpv6 = random.Next(2) == 1;
        var state = new StreamState((ulong)random.NextInt64(), random.Next(1, 300_000), 0, 0);
        var end = new IPEndPoint(IPAddress.Parse(DaemonWorld.AddressOf(node, isIpv6)), DaemonWorld.Port);
        using Socket socket = NamespaceThread.Run(
            world.Client, () => new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        using var limit = new CancellationTokenSource(s_longest);
        try
        {
            await socket.ConnectAsync(end, limit.Token);
            Task up = SendAsync(socket, state, random.Next(), limit.Token);
            await ReceiveAsync(socket, state, limit.Token);
            await up;
        }
        catch (Exception failure)
        {
            int port = ((IPEndPoint?)socket.LocalEndPoint)?.Port ?? 0;
            throw new InvalidOperationException($"to {end}, {state}: {failure.Message}\n{await world.DescribeAsync(port)}", failure);
        }
    }

    private static async Task SendAsync(Socket socket, StreamState state, int seed, CancellationToken cancellation)
    {
        await socket.SendAsync(state.ToBytes().AsMemory(0, StreamOracle.HeaderLength), cancellation);
        var random = new Random(seed);
        byte[] buffer = new byte[8000];
        for (long sent = 0, all = StreamOracle.UpLength(state.Down); sent < all;)
        {
            Memory<byte> part = buffer.AsMemory(0, (int)Math.Min(all - sent, random.Next(1, buffer.Length)));
            StreamOracle.Fill(part.Span, state.Seed, isDown: false, sent);
            sent += await socket.SendAsync(part, cancellation);
        }
    }

    private static async Task ReceiveAsync(Socket socket, StreamState state, CancellationToken cancellation)
    {
        byte[] buffer = new byte[16_384];
        long received = 0;
        int got;
        while ((got = await socket.ReceiveAsync(buffer, cancellation)) > 0)
        {
            long wrong = StreamOracle.FindWrong(buffer.AsSpan(0, got), state.Seed, isDown: true, received);
            if (wrong >= 0)
            {
                throw new InvalidOperationException($"byte {wrong} of {state.Down} is wrong");
            }

            received += got;
        }

        if (received != state.Down)
        {
            throw new InvalidOperationException($"the end came after {received} bytes of {state.Down}");
        }
    }
}
