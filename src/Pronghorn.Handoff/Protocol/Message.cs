// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>What daemons say to each other. Each message is about one move, which its origin has numbered at random.</summary>
/// <param name="Move">Number of the move.</param>
public abstract record Message(ulong Move);

/// <summary>Origin to target: may this connection come? Nothing has happened to it yet.</summary>
/// <param name="Move">Number of the move.</param>
/// <param name="Epoch">How often the connection has moved, this move included: 1 or more.</param>
/// <param name="IsIpv6">Whether its socket is of AF_INET6.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Listener">The listener at the target whose worker is to have it.</param>
/// <param name="Worker">Index of that worker, where several have listeners of one address and port.</param>
public sealed record Prepare(ulong Move, uint Epoch, bool IsIpv6, TcpEnd Known, TcpEnd Remote, TcpEnd Listener, uint Worker)
    : Message(Move);

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

/// <summary>Owner to anchor: the connection has ended here; its entry may become a tombstone.</summary>
/// <param name="Move">Number of the move that brought it here.</param>
/// <param name="Epoch">Its epoch.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
public sealed record Ended(ulong Move, uint Epoch, TcpEnd Known, TcpEnd Remote) : Message(Move);

/// <summary>Owner to anchor: the connection has moved on; the peer's packets are to go to its new owner, not by way of this one.</summary>
/// <param name="Move">Number of the move that took it on.</param>
/// <param name="Epoch">Its epoch.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Target">The end that it has at the new one.</param>
public sealed record Moved(ulong Move, uint Epoch, TcpEnd Known, TcpEnd Remote, TcpEnd Target) : Message(Move);

/// <summary>Anchor to owner: nothing more goes by way of you, but for what is under way.</summary>
/// <param name="Move">Number of the move that took the connection on.</param>
public sealed record Repointed(ulong Move) : Message(Move);
