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
    // Each address of a peer may fail in its own way, again and again.
    private const int MostTold = 16;

    private readonly Lock _lock = new();
    private readonly List<PeerConnection> _connections = [];
    private readonly HashSet<string> _told = [];
    private bool _isToldConnected;
    private bool _isToldSilent;
    private bool _isLost;
    private Task _auditing = Task.CompletedTask;
    private int _handshakes;

    internal HandoffPeer Peer => peer;

    /// <summary>What last went wrong with it; null where nothing has yet.</summary>
    internal string? Problem { get; set; }

    /// <summary>When its address last answered, in any way; from <see cref="Environment.TickCount64"/>.</summary>
    internal long LastSeen { get; set; } = Environment.TickCount64;

    /// <summary>Whether its kernel answered last and its daemon did not.</summary>
    internal bool IsHanging { get; set; }

    /// <summary>
    /// Whether there is a connection with its address, whatever its daemon says or does not say over it: as long as its kernel
    /// acknowledges, what it was given is in its hands.
    /// </summary>
    internal bool IsReached
    {
        get
        {
            lock (_lock)
            {
                return _handshakes + _connections.Count > 0;
            }
        }
    }

    /// <summary>When its newest stream began; from <see cref="Environment.TickCount64"/>.</summary>
    internal long LastBegun { get; private set; }

    /// <summary>Connections that it had and that were given up, as its address did not answer any more.</summary>
    internal long GivenUp { get; set; }

    /// <summary>
    /// A stream that works, the newest: an older one may be dead without having said so, and one over which nothing has come may be about
    /// to be refused. Null for none.
    /// </summary>
    internal PeerConnection? Connection
    {
        get
        {
            lock (_lock)
            {
                return _connections.LastOrDefault(static one => one.HasHeard && one.Silence is null)
                    ?? _connections.LastOrDefault(static one => one.HasHeard);
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
    /// <returns>Whether anything came over it.</returns>
    internal async Task<bool> UseAsync(PeerConnection connection, CancellationToken cancellation)
    {
        lock (_lock)
        {
            _connections.Add(connection);
            LastBegun = Environment.TickCount64;
        }

        await using (connection)
        {
            Task<string?> running = connection.RunAsync(cancellation);
            await connection.AuditAsync(peer.Addresses, cancellation);
            string? problem = await running;
            lock (_lock)
            {
                // Before it looks as if there were none: this node may have been stopped for longer than anybody waits for a peer.
                LastSeen = Environment.TickCount64;
                _connections.Remove(connection);
                _isLost |= connection.HasHeard && !_connections.Exists(static one => one.HasHeard);
            }

            // A client of TLS 1.3 has finished the handshake before it is refused, and the alert may be lost in the end of the stream.
            Problem = connection.HasHeard ? problem ?? "its daemon has ended"
                : $"it ended the stream before it said anything ({problem ?? "in order"}); it may refuse this node's certificate or key: "
                    + "its own log says why";
            return connection.HasHeard;
        }
    }

    /// <summary>A connection is there, and the handshake begins.</summary>
    internal void BeginHandshake()
    {
        lock (_lock)
        {
            LastSeen = Environment.TickCount64;
            _handshakes++;
        }
    }

    /// <summary>The handshake has ended.</summary>
    /// <param name="isAnswering">Whether the other's kernel was there until now.</param>
    internal void EndHandshake(bool isAnswering)
    {
        lock (_lock)
        {
            LastSeen = isAnswering ? Environment.TickCount64 : LastSeen;
            _handshakes--;
        }
    }

    /// <summary>Asks the other what has become of the connections between both; not before the last question has left.</summary>
    internal void Audit(CancellationToken cancellation)
    {
        if (_auditing.IsCompleted && Connection is { } connection)
        {
            _auditing = connection.AuditAsync(peer.Addresses, cancellation);
        }
    }

    /// <summary>What is new since it was asked last, as a line of a log; null for nothing. One thread asks.</summary>
    internal string? TakeNews()
    {
        if (Connection is { } connection)
        {
            _told.Clear();
            return TakeNews(connection.Silence);
        }

        if (Problem is not { } problem || _told.Count == MostTold || !_told.Add(problem))
        {
            return null;
        }

        (_isToldConnected, _isToldSilent) = (false, false);
        return $"peer {peer.Name}: not connected: {problem}";
    }

    private string? TakeNews(string? silence)
    {
        // Its daemon may have been started again between two questions.
        bool wasLost = Interlocked.Exchange(ref _isLost, false) && _isToldConnected;
        bool isNew = !_isToldConnected || wasLost || silence is not null != _isToldSilent;
        string state = silence
            ?? (wasLost ? $"connected again; before, {Problem}" : _isToldSilent ? "its daemon answers again" : "connected");
        (_isToldConnected, _isToldSilent) = (true, silence is not null);
        return isNew ? $"peer {peer.Name}: {state}" : null;
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
    public ValueTask SendAsync(Message message, CancellationToken cancellation)
    {
        PeerConnection? connection = Connection;
        if (connection is null)
        {
            lock (_lock)
            {
                connection = _connections.LastOrDefault();
            }
        }

        return connection is null ? ValueTask.CompletedTask : connection.SendAsync(message, cancellation);
    }
}
