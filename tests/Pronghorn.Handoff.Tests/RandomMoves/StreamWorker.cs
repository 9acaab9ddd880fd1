// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Tests.RandomMoves;

/// <summary>
/// A node's worker, which sends and takes the streams of <see cref="StreamOracle"/> and gives each connection away in the middle of them,
/// with bytes unread and bytes unsent, to a node that it draws.
/// </summary>
internal sealed class StreamWorker : IAsyncDisposable
{
    private const int LargestPart = 20_000;

    private readonly int _node;
    private readonly DaemonWorld _world;
    private readonly Socket[] _listeners;
    private readonly CancellationTokenSource _stopped = new();
    private readonly ConcurrentDictionary<Task, bool> _serving = new();
    private readonly Task _running;
    private volatile HandoffClient? _daemon;
    private long _moved;

    /// <summary>Begins to serve.</summary>
    /// <param name="world">The nodes.</param>
    /// <param name="node">Its own.</param>
    public StreamWorker(DaemonWorld world, int node)
    {
        (_world, _node) = (world, node);
        _listeners = NamespaceThread.Run(world.NodeOf(node), () => ((bool[])[false, true]).Select(isIpv6 =>
        {
            var end = new IPEndPoint(IPAddress.Parse(DaemonWorld.AddressOf(node, isIpv6)), DaemonWorld.Port);
            var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            ServerSocket.Listen(listener, end, backlog: 512);
            return listener;
        }).ToArray());
        _running = Task.WhenAll([TalkToDaemonAsync(), .. _listeners.Select(AcceptAsync)]);
    }

    /// <summary>Connections that it gave away.</summary>
    public long Moved => Interlocked.Read(ref _moved);

    /// <summary>Whether it has a daemon that knows it.</summary>
    public bool IsRegistered => _daemon is not null;

    /// <summary>What was not as it must be.</summary>
    public ConcurrentQueue<string> Problems { get; } = new();

    public async ValueTask DisposeAsync()
    {
        await _stopped.CancelAsync();
        Array.ForEach(_listeners, static listener => listener.Dispose());
        await _running;
        await Task.WhenAll(_serving.Keys);
        _stopped.Dispose();
    }

    private async Task TalkToDaemonAsync()
    {
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                await using HandoffClient client = await HandoffClient.ConnectAsync(
                    WorkerService.Las, 0, _world.SocketsOf(_node), _stopped.Token);
                await RegisterAsync(client);
                _daemon = client;
                await foreach (ReceivedConnection came in client.Connections.ReadAllAsync(_stopped.Token))
                {
                    Serve(came.ToSocket(), StreamState.Read(came.Tag.Span), came.Consumed);
                }
            }
            catch (Exception ended) when (ended is IOException or OperationCanceledException)
            {
                // There is none at the moment.
                await Task.Delay(5, CancellationToken.None);
            }

            _daemon = null;
        }
    }

    private async Task RegisterAsync(HandoffClient client)
    {
        try
        {
            for (int i = 0; i < _listeners.Length; i++)
            {
                await client.RegisterAsync(_listeners[i].SafeHandle, EndOf(_node, isIpv6: i == 1), 0, _stopped.Token);
            }
        }
        catch (IOException)
        {
            // It has gone again. What came to the first listener has come nevertheless.
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                Socket socket = await listener.AcceptAsync(_stopped.Token);
                byte[] header = new byte[StreamOracle.HeaderLength];
                for (int got = 0; got < header.Length;)
                {
                    got += await socket.ReceiveAsync(header.AsMemory(got), _stopped.Token);
                }

                byte[] state = new byte[StreamState.Length];
                header.CopyTo(state, 0);
                Serve(socket, StreamState.Read(state), default);
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It is over.
        }
    }

    private void Serve(Socket socket, StreamState state, ReadOnlyMemory<byte> consumed)
    {
        Task serving = Task.Run(() => ServeAsync(socket, state, consumed));
        _serving[serving] = true;
        _ = serving.ContinueWith(done => _serving.TryRemove(done, out _), TaskScheduler.Default);
    }

    private async Task ServeAsync(Socket socket, StreamState state, ReadOnlyMemory<byte> consumed)
    {
        using (socket)
        {
            try
            {
                socket.Blocking = false;
                Take(ref state, consumed.Span);
                byte[] buffer = new byte[LargestPart];
                while (state.Sent < state.Down || state.Received < StreamOracle.UpLength(state.Down))
                {
                    bool isBusy = Send(socket, ref state, buffer) | Receive(socket, ref state, buffer);
                    if (Random.Shared.Next(4) == 0 && await TryMoveAsync(socket, state, buffer) is { } after)
                    {
                        if (after.HasMoved)
                        {
                            return;
                        }

                        Take(ref state, after.Kept.Span);
                    }

                    if (!isBusy)
                    {
                        await Task.Delay(1, _stopped.Token);
                    }
                }

                socket.Shutdown(SocketShutdown.Send);
            }
            catch (Exception failure) when (failure is SocketException or IOException or OperationCanceledException)
            {
                Problems.Enqueue($"node {_node}, {state}: {failure.Message}");
            }
        }
    }

    private void Take(ref StreamState state, ReadOnlySpan<byte> bytes)
    {
        long wrong = StreamOracle.FindWrong(bytes, state.Seed, isDown: false, state.Received);
        if (wrong >= 0)
        {
            Problems.Enqueue($"node {_node}: byte {wrong} of the client's stream is wrong, {state}");
        }

        state.Received += bytes.Length;
    }

    private static bool Send(Socket socket, ref StreamState state, byte[] buffer)
    {
        int length = (int)Math.Min(state.Down - state.Sent, Random.Shared.Next(1, LargestPart));
        Span<byte> part = buffer.AsSpan(0, length);
        StreamOracle.Fill(part, state.Seed, isDown: true, state.Sent);
        int sent = length == 0 ? 0 : socket.Send(part, SocketFlags.None, out SocketError error) is int count && error == SocketError.Success
            ? count
            : ThrowUnlessFull(error);
        state.Sent += sent;
        return sent > 0;
    }

    private bool Receive(Socket socket, ref StreamState state, byte[] buffer)
    {
        int room = (int)Math.Min(StreamOracle.UpLength(state.Down) - state.Received, Random.Shared.Next(1, LargestPart));
        int got = ReceiveSome(socket, buffer.AsSpan(0, room));
        Take(ref state, buffer.AsSpan(0, got));
        return got > 0;
    }

    private static int ReceiveSome(Socket socket, Span<byte> buffer)
    {
        int got = buffer.Length == 0 ? 0 : socket.Receive(buffer, SocketFlags.None, out SocketError error) is int count
            && error == SocketError.Success ? count : ThrowUnlessFull(error);
        return got;
    }

    private static int ThrowUnlessFull(SocketError error) =>
        error == SocketError.WouldBlock ? 0 : throw new SocketException((int)error);

    /// <summary>Tries it. What it read and did not give away is kept.</summary>
    private async Task<(bool HasMoved, ReadOnlyMemory<byte> Kept)?> TryMoveAsync(Socket socket, StreamState state, byte[] buffer)
    {
        if (_daemon is not { } daemon)
        {
            return null;
        }

        // A request that was read half goes along.
        int room = (int)Math.Min(StreamOracle.UpLength(state.Down) - state.Received, Random.Shared.Next(0, 200));
        int got = ReceiveSome(socket, buffer.AsSpan(0, room));
        byte[] consumed = buffer[..got];
        int other = (_node + Random.Shared.Next(1, _world.Nodes)) % _world.Nodes;
        bool isIpv6 = socket.AddressFamily == AddressFamily.InterNetworkV6;
        HandoffResult result = default;
        try
        {
            result = await daemon.HandOffAsync(socket.SafeHandle, EndOf(other, isIpv6), 0, consumed, state.ToBytes());
        }
        catch (ObjectDisposedException)
        {
            // The daemon has just gone, and it was not asked.
            return (false, consumed);
        }

        if (result.IsDone)
        {
            Interlocked.Increment(ref _moved);
        }

        return (result.IsDone, consumed);
    }

    private static TcpEnd EndOf(int node, bool isIpv6) => new(IpAddress.Parse(DaemonWorld.AddressOf(node, isIpv6)), DaemonWorld.Port);
}
