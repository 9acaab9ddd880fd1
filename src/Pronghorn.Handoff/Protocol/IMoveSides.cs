// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>What the origin of a move does to its connection; the kernel's side of it.</summary>
public interface IOriginSide
{
    /// <summary>Whether the connection can go, and what of it does not change: nothing is held for that.</summary>
    Refusal Inspect();

    /// <summary>The peer's segments wait from now on, and nothing of this node's leaves.</summary>
    Refusal Hold();

    /// <summary>Reads the connection out of its socket, which stays silent until one of the next two.</summary>
    Refusal TryTake(out ConnectionImage? image);

    /// <summary>The socket goes on as if nothing had been; what was held is given to it.</summary>
    void GiveBack();

    /// <summary>The peer's segments go to the new owner, those held first; the socket stays silent until one of the others.</summary>
    /// <param name="target">The end that the connection has at its new owner.</param>
    Refusal LetGo(TcpEnd target);

    /// <summary>The socket is closed without a packet.</summary>
    /// <param name="target">The end that the connection has at its new owner.</param>
    void Finish(TcpEnd target);

    /// <summary>The end that the connection has here.</summary>
    TcpEnd Local { get; }
}

/// <summary>What the target of a move does; the kernel's side of it.</summary>
public interface ITargetSide
{
    /// <summary>Whether the connection may come: there is a worker for it, and room.</summary>
    Refusal TryReserve(Prepare request);

    /// <summary>Makes the socket, silent, at an end of this node's that is free.</summary>
    Refusal TryRestore(Prepare request, ConnectionImage image, out TcpEnd local);

    /// <summary>The socket works, and its worker gets it.</summary>
    Refusal GoLive(Prepare request);

    /// <summary>Nothing of the move is left.</summary>
    void Drop(Prepare request);
}
