// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Client;

/// <summary>
/// A worker's connection to the daemon of its node, as libtcpm is in C: it gives established connections to workers of other nodes, and
/// takes those that come. Any number of calls may be under way at once, by any threads; none of them blocks one.
/// </summary>
public sealed class HandoffClient : IAsyncDisposable
{
    /// <summary>Where daemons have their sockets unless tcpm.conf(5) says otherwise.</summary>
    public const string DefaultFolder = "/run/tcpm";

    // Moves of a batch at once: twice as many are a sixth quicker together, and each stands still twice as long (docs/handoff.md).
    private const int BatchWindow = 8;

    private const int SequencedPackets = 0x80005; // SOCK_SEQPACKET | SOCK_CLOEXEC

    private static readonly TimeSpan s_drain = TimeSpan.FromSeconds(1);

    private readonly ControlSession _control;
    private readonly InterruptedHandoffs _interrupted;
    private readonly Channel<ReceivedConnection> _connections = Channel.CreateUnbounded<ReceivedConnection>();
    private readonly string _path;

    // What has come and is silent still, by number; the reader's alone.
    private readonly Dictionary<uint, (ReceivedConnection Connection, int Result)> _silent = [];
    private Socket? _delivery;
    private Task _reading = Task.CompletedTask;
    private int _isDisposed;
    private bool _hasLostDaemon;

    private HandoffClient(ControlSession control, string path)
    {
        _control = control;
        _path = path;
        _interrupted = new InterruptedHandoffs(path);
    }

    /// <summary>How long another daemon is waited for when one has gone within a move: a busy machine needs seconds to start it.</summary>
    internal TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Connections that come, for one reader or several. It completes when the daemon has gone or this is disposed.</summary>
    public ChannelReader<ReceivedConnection> Connections => _connections.Reader;

    /// <summary>Completes when the daemon has gone, or this is disposed: registrations are over, connect anew.</summary>
    public Task Ended => _control.Ended;

    /// <summary>Questions that the daemon has not answered yet.</summary>
    public int OutstandingCount => _control.OutstandingCount;

    /// <summary>Connects to the daemon.</summary>
    /// <param name="service">The worker's kind.</param>
    /// <param name="worker">Its index, below svcWorkerNum.</param>
    /// <param name="folder">The daemon's folder; null: of the environment variable TCPM_SOCKET_DIRECTORY, else /run/tcpm.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="IOException">No daemon answers there.</exception>
    public static async Task<HandoffClient> ConnectAsync(
        WorkerService service, int worker, string? folder = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(worker);
        folder ??= Environment.GetEnvironmentVariable("TCPM_SOCKET_DIRECTORY") ?? DefaultFolder;
        string path = WorkerServer.PathOf(folder, service == WorkerService.Vlb ? "vlb" : "las", worker);
        ControlSession control;
        try
        {
            control = await ControlSession.ConnectAsync(path, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            string reason = (failure as SocketException)?.SocketErrorCode switch
            {
                // .NET's name of ENOENT.
                SocketError.AddressNotAvailable => FormattableString.Invariant(
                    $"there is no such socket: no daemon has been started, or its svcWorkerNum is not more than {worker}"),
                SocketError.ConnectionRefused => "the one that made it has ended",
                _ => failure.Message,
            };
            throw new IOException($"{path}: no handoff daemon answers ({reason})", failure);
        }

        var client = new HandoffClient(control, path);
        try
        {
            await client.OpenDeliveryAsync(cancellation).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes connections that other nodes hand to a listener and a worker index.</summary>
    /// <param name="listener">A listening socket that is bound there, which shows that it may; it stays the caller's.</param>
    /// <param name="end">The address and port that others name.</param>
    /// <param name="worker">The worker index that they name.</param>
    /// <param name="cancellation">Ends the waiting; whether it was registered is then not known.</param>
    /// <exception cref="IOException">The daemon has gone.</exception>
    public Task<HandoffResult> RegisterAsync(SafeHandle listener, TcpEnd end, uint worker, CancellationToken cancellation = default) =>
        _control.AskAsync(new WorkerMessage(WorkerMessageKind.Register) { End = end, Worker = worker }, listener, cancellation);

    /// <summary>Ends a registration. Connections that have come stay.</summary>
    /// <param name="end">The address and port that were registered.</param>
    /// <param name="worker">The worker index that was registered.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="IOException">The daemon has gone.</exception>
    public Task<HandoffResult> UnregisterAsync(TcpEnd end, uint worker, CancellationToken cancellation = default) =>
        _control.AskAsync(new WorkerMessage(WorkerMessageKind.Unregister) { End = end, Worker = worker }, null, cancellation);

    /// <summary>
    /// Moves an established connection to a worker of another node. When that is done, close it: nothing is sent by it. Otherwise it is
    /// as it was, and here. Nobody may use it meanwhile.
    /// </summary>
    /// <param name="connection">The connection; it stays the caller's.</param>
    /// <param name="target">Address and port that the other worker has registered.</param>
    /// <param name="worker">Its index.</param>
    /// <param name="consumed">What was read of the stream already and the new owner is to read again.</param>
    /// <param name="tag">What else goes along; with what was consumed at most <see cref="WorkerMessage.MaximumContent"/> bytes.</param>
    /// <param name="cancellation">
    /// Ends the waiting, not the move: where the connection is then is not known, and closing it is all that is left to do.
    /// </param>
    /// <exception cref="IOException">The daemon has gone, and was not started again within thirty seconds.</exception>
    public async Task<HandoffResult> HandOffAsync(
        SafeHandle connection,
        TcpEnd target,
        uint worker,
        ReadOnlyMemory<byte> consumed,
        ReadOnlyMemory<byte> tag = default,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(connection);
        if (Ended.IsCompleted && _isDisposed == 0)
        {
            return new HandoffResult(RefusalReason.Peer, "the handoff daemon has gone; connections stay where they are");
        }

        var message = new WorkerMessage(WorkerMessageKind.Handoff) { End = target, Worker = worker, Consumed = consumed, Tag = tag };
        try
        {
            return await _control.AskAsync(message, connection, cancellation).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // Also where this was disposed of as the daemon has gone, which may have left it silent: only a daemon can wake it.
            return await _interrupted.EndAsync(
                new WorkerMessage(WorkerMessageKind.Recover), connection, Patience, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Moves many connections, as <see cref="HandOffAsync"/> does each: all that a worker has before it is stopped, say. As many at once
    /// as keep both daemons busy; more would only wait frozen.
    /// </summary>
    /// <param name="batch">The connections.</param>
    /// <param name="cancellation">Begins no more; those under way are finished.</param>
    /// <returns>
    /// What has become of each, in the same order. Of one that was not begun the reason is <see cref="RefusalReason.Refused"/>, and of
    /// one whose daemon has gone for good <see cref="RefusalReason.Kernel"/>: only closing it is left.
    /// </returns>
    public async Task<IReadOnlyList<HandoffResult>> HandOffAllAsync(
        IReadOnlyList<HandoffRequest> batch, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var results = new HandoffResult[batch.Count];
        int next = -1;
        await Task.WhenAll(Enumerable.Range(0, Math.Min(BatchWindow, batch.Count)).Select(_ => MoveSomeAsync())).ConfigureAwait(false);
        return results;

        async Task MoveSomeAsync()
        {
            for (int i = Interlocked.Increment(ref next); i < batch.Count; i = Interlocked.Increment(ref next))
            {
                results[i] = cancellation.IsCancellationRequested
                    ? new HandoffResult(RefusalReason.Refused, "the batch was cancelled before its turn came")
                    : await TryHandOffAsync(batch[i]).ConfigureAwait(false);
            }
        }
    }

    private async Task<HandoffResult> TryHandOffAsync(HandoffRequest one)
    {
        try
        {
            return await HandOffAsync(one.Connection, one.Target, one.Worker, one.Consumed, one.Tag, default).ConfigureAwait(false);
        }
        catch (IOException failure)
        {
            return new HandoffResult(RefusalReason.Kernel, failure.Message);
        }
        catch (ObjectDisposedException)
        {
            return new HandoffResult(RefusalReason.Refused, "this worker's connection to its daemon was closed");
        }
    }

    /// <summary>
    /// Ends registrations and the connection to the daemon. Connections that were not taken yet are reset: where the daemon has gone, read
    /// <see cref="Connections"/> to its end first.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        _hasLostDaemon = Ended.IsCompleted;
        await _control.DisposeAsync().ConfigureAwait(false);
        if (_hasLostDaemon)
        {
            // What it had given and was not read yet: then comes the end.
            await Task.WhenAny(_reading, Task.Delay(s_drain)).ConfigureAwait(false);
        }

        _delivery?.Dispose();
        await _reading.ConfigureAwait(false);
        _connections.Writer.TryComplete();
        while (_connections.Reader.TryRead(out ReceivedConnection? left))
        {
            _ = TcpSocket.Disconnect((int)left.Socket.DangerousGetHandle());
            left.Dispose();
        }
    }

    private async Task OpenDeliveryAsync(CancellationToken cancellation)
    {
        int result = Libc.SocketPair(SequencedPackets, out int own, out int theirs);
        if (result < 0)
        {
            throw new IOException($"socketpair(2) failed with {-result} (errno(3))");
        }

        using var given = new SafeSocketHandle(theirs, ownsHandle: true);
        _delivery = new Socket(new SafeSocketHandle(own, ownsHandle: true));
        _reading = ReadConnectionsAsync(_delivery);
        var greeting = new WorkerMessage(WorkerMessageKind.Hello);
        HandoffResult hello = await _control.AskAsync(greeting, given, cancellation).ConfigureAwait(false);
        if (!hello.IsDone)
        {
            throw new IOException($"{_path}: the daemon does not take this worker: {hello.Text}");
        }
    }

    private async Task ReadConnectionsAsync(Socket delivery)
    {
        byte[] buffer = new byte[WorkerMessage.MaximumLength];
        try
        {
            // Looks first: a descriptor comes by recvmsg(2) alone.
            while (await delivery.ReceiveAsync(buffer.AsMemory(0, 1), SocketFlags.Peek).ConfigureAwait(false) > 0)
            {
                long length = DescriptorPassing.Receive((int)delivery.Handle, buffer, out int fd);
                if (length == 0)
                {
                    break;
                }

                if (length > 0)
                {
                    Take(buffer.AsSpan(0, (int)length), fd);
                }
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The end, however it came.
        }

        (ReceivedConnection Connection, int Result)[] silent = [.. _silent.Values];
        _silent.Clear();
        if (_isDisposed != 0 && !_hasLostDaemon)
        {
            // They are live as soon as the daemon has no more to do with them, and closing says so to the client.
            Array.ForEach(silent, static one => one.Connection.Dispose());
            return;
        }

        // Not waited for: whoever disposes of this does not wait for the next daemon.
        _ = FinishSilentAsync(silent);
    }

    /// <summary>
    /// The daemon ended before it said that these are live: the next one says so. Where nobody takes them any more they are reset, as
    /// their clients would wait for ever.
    /// </summary>
    private async Task FinishSilentAsync((ReceivedConnection Connection, int Result)[] silent)
    {
        // All together wait no longer than one.
        long began = Stopwatch.GetTimestamp();
        foreach ((ReceivedConnection connection, int result) in silent)
        {
            try
            {
                var question = new WorkerMessage(WorkerMessageKind.Finish) { Result = result };
                HandoffResult finished = await _interrupted.EndAsync(
                    question, connection.Socket, Patience - Stopwatch.GetElapsedTime(began), default).ConfigureAwait(false);
                if (finished.IsDone && _connections.Writer.TryWrite(connection))
                {
                    continue;
                }

                if (finished.IsDone)
                {
                    _ = TcpSocket.Disconnect((int)connection.Socket.DangerousGetHandle());
                }
            }
            catch (IOException)
            {
                // No daemon has come.
            }

            connection.Dispose();
        }

        _connections.Writer.TryComplete();
    }

    private void Take(ReadOnlySpan<byte> bytes, int fd)
    {
        var socket = new SafeSocketHandle(fd, ownsHandle: true);
        try
        {
            var message = WorkerMessage.Read(bytes);
            if (message.Kind == WorkerMessageKind.Connection && fd >= 0)
            {
                var received = new ReceivedConnection(socket, message.End, message.Worker, message.Consumed, message.Tag);
                _silent[message.Sequence] = (received, message.Result);
                return;
            }

            socket.Dispose();
            if (message.Kind == WorkerMessageKind.Release
                && _silent.Remove(message.Sequence, out (ReceivedConnection Connection, int Result) released)
                && (message.Result != 0 || !_connections.Writer.TryWrite(released.Connection)))
            {
                released.Connection.Dispose();
            }
        }
        catch (ImageFormatException)
        {
            // A daemon of another version: the client sees a reset rather than nothing.
            _ = TcpSocket.Disconnect(fd);
            socket.Dispose();
        }
    }
}
