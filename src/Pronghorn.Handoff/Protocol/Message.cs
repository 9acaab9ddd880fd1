// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// What daemons say to each other. Most messages are about one move, which its origin has numbered at random; the others are about
/// what became of connections that have moved.
/// </summary>
/// <param name="Move">Number of the move; 0 where it is about none.</param>
public abstract record Message(ulong Move);

/// <summary>Origin to target: may this connection come? Nothing has happened to it yet.</summary>
/// <param name="Move">Number of the move.</param>
/// <param name="Stay">The stay that begins with the move.</param>
/// <param name="IsIpv6">Whether its socket is of AF_INET6.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Listener">The listener at the target whose worker is to have it.</param>
/// <param name="Worker">Index of that worker, where several have listeners of one address and port.</param>
/// <param name="Anchor">An address of the node that the peer's packets come by.</param>
public sealed record Prepare(
    ulong Move, Stay Stay, bool IsIpv6, TcpEnd Known, TcpEnd Remote, TcpEnd Listener, uint Worker, IpAddress Anchor) : Message(Move);

/// <summary>Target to origin: it may come.</summary>
/// <param name="Move">Number of the move.</param>
public sealed record Prepared(ulong Move) : Message(Move);

/// <summary>Origin to target: the connection, held from now on.</summary>
/// <param name="Move">Number of the move.</param>
/// <param name="Image">An image as bytes.</param>
public sealed record Transfer(ulong Move, ReadOnlyMemory<byte> Image) : Message(Move);

/// <summary>Target to origin: the connection is in a socket here, silent. The origin decides now.</summary>
/// <param name="Move">Number of the move.</param>
/// <param name="Local">The end that it has at the target; another than the peer knows, and perhaps another port.</param>
public sealed record Restored(ulong Move, TcpEnd Local) : Message(Move);

/// <summary>Origin to target: it is yours. From here on there is no way back.</summary>
/// <param name="Move">Number of the move.</param>
public sealed record Commit(ulong Move) : Message(Move);

/// <summary>Target to origin: the connection works here, and its worker has it.</summary>
/// <param name="Move">Number of the move.</param>
public sealed record Live(ulong Move) : Message(Move);

/// <summary>Either way: the move is not made, or not to be made.</summary>
/// <param name="Move">Number of the move.</param>
/// <param name="Refusal">Why.</param>
public sealed record Refused(ulong Move, Refusal Refusal) : Message(Move);

/// <summary>Owner to anchor: the connection is not here any more; its entry may become a tombstone.</summary>
/// <param name="Stay">Its stay here.</param>
/// <param name="Known">The end that the asker, or the peer, knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="HasNeverLived">
/// It was restored here and never went on, because the daemon ended: nothing was sent to the peer, and whoever gave it may take it back.
/// </param>
public sealed record Ended(Stay Stay, TcpEnd Known, TcpEnd Remote, bool HasNeverLived = false) : Message(0);

/// <summary>Owner to anchor: the connection has moved on; the peer's packets are to go to its new owner, not by way of this one.</summary>
/// <param name="Stay">Its stay with the new one.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Target">The end that it has at the new one.</param>
public sealed record Moved(Stay Stay, TcpEnd Known, TcpEnd Remote, TcpEnd Target) : Message(0);

/// <summary>Anchor to owner: nothing more goes by way of you, but for what is under way.</summary>
/// <param name="Stay">The stay that <see cref="Moved"/> told of.</param>
public sealed record Repointed(Stay Stay) : Message(0);

/// <summary>
/// Anchor to owner, over each new stream and from time to time: these I gave you. What is not so is answered by <see cref="Ended"/> or
/// <see cref="Moved"/>, so no word of either need arrive.
/// </summary>
/// <param name="Items">The connections, at most <see cref="MostItems"/>.</param>
public sealed record Audit(ImmutableArray<AuditItem> Items) : Message(0)
{
    /// <summary>Most connections of one message.</summary>
    public const int MostItems = 512;
}

/// <summary>A connection of an <see cref="Audit"/>.</summary>
/// <param name="Stay">Its stay with the owner.</param>
/// <param name="Known">The end that the asker had.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Target">The end that it has at the owner.</param>
/// <param name="IsUnsettled">The owner has not said yet that it works there, and the asker waits for that.</param>
public readonly record struct AuditItem(Stay Stay, TcpEnd Known, TcpEnd Remote, TcpEnd Target, bool IsUnsettled);

/// <summary>Owner to the node that gave: the connection works here.</summary>
/// <param name="Stay">Its stay here.</param>
public sealed record Owned(Stay Stay) : Message(0);

/// <summary>Target to origin, over a later stream: was the connection given? The stream ended before that was heard.</summary>
/// <param name="Stay">The stay that would begin.</param>
public sealed record Asked(Stay Stay) : Message(0);

/// <summary>
/// A node by which a peer's packets come, to all others: whose is this connection? It began at another node that has the same address.
/// </summary>
/// <param name="Round">Drawn by who asks: which answers belong to it.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
public sealed record Sought(ulong Round, TcpEnd Known, TcpEnd Remote) : Message(Round);

/// <summary>Owner to the node that asked: it is here, and you are its anchor from now on.</summary>
/// <param name="Stay">Its stay here.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Target">The end that it has here.</param>
/// <param name="HasEnded">
/// It has just ended, and what is late belongs here, unless another node has one that the peer began since then.
/// </param>
public sealed record Found(Stay Stay, TcpEnd Known, TcpEnd Remote, TcpEnd Target, bool HasEnded = false) : Message(0);

/// <summary>Owner to the node that was its anchor: another is now. What still comes there is to be asked for.</summary>
/// <param name="Stay">Its stay here.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
public sealed record Released(Stay Stay, TcpEnd Known, TcpEnd Remote) : Message(0);

/// <summary>To the node that asked: it is not here. One that is being moved has no answer: it is asked for again.</summary>
/// <param name="Round">That of the question.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
public sealed record NotFound(ulong Round, TcpEnd Known, TcpEnd Remote) : Message(Round);

/// <summary>Origin to target: what was asked. Not said while it is not decided.</summary>
/// <param name="Stay">The stay.</param>
/// <param name="IsGiven">Whether the connection is the target's.</param>
public sealed record Decided(Stay Stay, bool IsGiven) : Message(0);

/// <summary>Either way, once a second over each stream: this daemon works.</summary>
public sealed record Heartbeat() : Message(0);
