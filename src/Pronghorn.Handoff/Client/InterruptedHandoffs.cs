// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;

namespace Pronghorn.Handoff.Client;

/// <summary>
/// Handoffs in which the daemon ended: the next daemon knows what was decided, and wakes the connection or ends it. All of a worker ask
/// over one session: hundreds may have been under way, and the daemon has few for each worker.
/// </summary>
/// <param name="path">The daemon's socket.</param>
internal sealed class InterruptedHandoffs(string path)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private Task<ControlSession>? _session;
    private int _asking;

    /// <summary>Waits for a daemon, and asks it.</summary>
    /// <param name="question">What to ask: <see cref="WorkerMessageKind.Recover"/> or <see cref="WorkerMessageKind.Finish"/>.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="limit">How long to wait for a daemon.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="IOException">No daemon has answered in time.</exception>
    internal async Task<HandoffResult> EndAsync(
        WorkerMessage question, SafeHandle connection, TimeSpan limit, CancellationToken cancellation)
    {
        long began = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            _asking++;
        }

        try
        {
            while (true)
            {
                try
                {
                    ControlSession session = await Connect().WaitAsync(cancellation).ConfigureAwait(false);
                    HandoffResult result = await session.AskAsync(question, connection, cancellation).ConfigureAwait(false);
                    if (result.Reason != RefusalReason.Busy || Stopwatch.GetElapsedTime(began) > limit)
                    {
                        return result;
                    }
                }
                catch (Exception failure) when (failure is IOException or SocketException or ObjectDisposedException)
                {
                    if (Stopwatch.GetElapsedTime(began) > limit)
                    {
                        throw new IOException(
                            $"{path}: the handoff daemon has gone within a move, and no other came: {failure.Message}", failure);
                    }
                }

                await Task.Delay(s_pause, cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            await LeaveAsync().ConfigureAwait(false);
        }
    }

    private Task<ControlSession> Connect()
    {
        lock (_lock)
        {
            if (_session is { IsCompleted: true } && (!_session.IsCompletedSuccessfully || _session.Result.Ended.IsCompleted))
            {
                _ = CloseAsync(_session);
                _session = null;
            }

            return _session ??= ControlSession.ConnectAsync(path, CancellationToken.None);
        }
    }

    private async Task LeaveAsync()
    {
        Task<ControlSession>? unused = null;
        lock (_lock)
        {
            if (--_asking == 0)
            {
                (unused, _session) = (_session, null);
            }
        }

        await CloseAsync(unused).ConfigureAwait(false);
    }

    private static async Task CloseAsync(Task<ControlSession>? session)
    {
        try
        {
            if (session is not null)
            {
                await (await session.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (SocketException)
        {
            // It has never been one.
        }
    }
}
