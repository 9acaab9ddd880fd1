// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;

namespace Pronghorn.Handoff.Daemon;

/// <summary>
/// What there is with one other daemon: up to two streams, one that each side opened. What is to be told while there is none is not
/// kept: over the next stream each side asks the other.
/// </summary>
internal sealed class PeerLink(HandoffPeer peer) : IMessageSender
{
    private readonly Lock _lock = new();
    private readonly List<PeerConnection> _connections = [];

    internal HandoffPeer Peer => peer;

    /// <summary>What last went wrong with it; null when it works, or nothing was tried yet.</summary>
    internal string? Problem { get; set; }

    /// <summary>When its address last answered, in any way; from <see cref="Environment.TickCount64"/>.</summary>
    internal long LastSeen { get; set; } = Environment.TickCount64;

    /// <summary>When its newest stream began; from <see cref="Environment.TickCount64"/>.</summary>
    internal long LastBegun { get; private set; }

    /// <summary>Connections that it had and that were given up, as its address did not answer any more.</summary>
    internal long GivenUp { get; set; }

    /// <summary>A stream that works, the newest: an older one may be dead without having said so. Null for none.</summary>
    internal PeerConnection? Connection
    {
        get
        {
            lock (_lock)
            {
                return _connections.LastOrDefault();
            }
        }
    }

    /// <summary>Moves under way.</summary>
    internal int ActiveMoves
    {
        get
        {
            lock (_lock)
            {
                return _connections.Sum(static connection => connection.ActiveMoves);
            }
        }
    }

    /// <summary>Uses a stream until it ends.</summary>
    /// <param name="connection">The stream; disposed of here.</param>
    /// <param name="cancellation">Ends it.</param>
    internal async Task UseAsync(PeerConnection connection, CancellationToken cancellation)
    {
        lock (_lock)
        {
            _connections.Add(connection);
            LastBegun = Environment.TickCount64;
        }

        Problem = null;
        await using (connection)
        {
            Task<string?> running = connection.RunAsync(cancellation);
            await connection.AuditAsync(peer.Addresses, cancellation);
            string? problem = await running;
            lock (_lock)
            {
                _connections.Remove(connection);
            }

            LastSeen = Environment.TickCount64;
            Problem = problem ?? "the other daemon has ended";
        }
    }

    /// <summary>Takes no connections from now on.</summary>
    internal void RefuseNew()
    {
        lock (_lock)
        {
            _connections.ForEach(static connection => connection.RefuseNew());
        }
    }

    /// <inheritdoc/>
    public ValueTask SendAsync(Message message, CancellationToken cancellation) =>
        Connection is { } connection ? connection.SendAsync(message, cancellation) : ValueTask.CompletedTask;
}
