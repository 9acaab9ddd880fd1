// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;

namespace Pronghorn.Handoff.Daemon;

/// <summary>
/// What there is with one other daemon: up to two streams, one that each side opened. What the other has to hear of the ends of
/// connections waits here while there is none.
/// </summary>
internal sealed class PeerLink(HandoffPeer peer, int mostWaiting) : IMessageSender
{
    private readonly Lock _lock = new();
    private readonly List<PeerConnection> _connections = [];
    private readonly Queue<Message> _waiting = new();

    internal HandoffPeer Peer => peer;

    /// <summary>What last went wrong with it; null when it works, or nothing was tried yet.</summary>
    internal string? Problem { get; set; }

    /// <summary>A stream that works, the oldest; null for none.</summary>
    internal PeerConnection? Connection
    {
        get
        {
            lock (_lock)
            {
                return _connections.FirstOrDefault();
            }
        }
    }

    /// <summary>Messages that wait for a stream.</summary>
    internal int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>Uses a stream until it ends.</summary>
    /// <param name="connection">The stream; disposed of here.</param>
    /// <param name="cancellation">Ends it.</param>
    internal async Task UseAsync(PeerConnection connection, CancellationToken cancellation)
    {
        Message[] late;
        lock (_lock)
        {
            _connections.Add(connection);
            late = [.. _waiting];
            _waiting.Clear();
        }

        Problem = null;
        await using (connection)
        {
            Task<string?> running = connection.RunAsync(cancellation);
            foreach (Message message in late)
            {
                await connection.SendAsync(message, cancellation);
            }

            string? problem = await running;
            lock (_lock)
            {
                _connections.Remove(connection);
            }

            Problem = problem ?? "the other daemon has ended";
        }
    }

    /// <inheritdoc/>
    public ValueTask SendAsync(Message message, CancellationToken cancellation)
    {
        PeerConnection? connection = Connection;
        if (connection is not null)
        {
            return connection.SendAsync(message, cancellation);
        }

        lock (_lock)
        {
            // The oldest goes first: its entry may have been forgotten over there by now.
            if (_waiting.Count >= mostWaiting)
            {
                _waiting.Dequeue();
            }

            _waiting.Enqueue(message);
        }

        return ValueTask.CompletedTask;
    }
}
