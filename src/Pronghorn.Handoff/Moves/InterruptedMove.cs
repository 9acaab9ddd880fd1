// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>A move in which this node's daemon was ended. Its socket is left silent; only its worker has it still, and brings it.</summary>
public static class InterruptedMove
{
    /// <summary>Ends the move as the tables say that it was decided.</summary>
    /// <param name="tables">What the former daemon has left.</param>
    /// <param name="fd">The connection; the caller's to close.</param>
    /// <returns>None when it has moved, so that the socket has no connection any more; else that it stays, and works.</returns>
    public static Refusal End(SteeringTables tables, int fd)
    {
        System.ArgumentNullException.ThrowIfNull(tables);
        if (TcpSocket.GetLocal(fd, out TcpEnd local, out _) < 0 || TcpSocket.GetRemote(fd, out TcpEnd remote) < 0)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no connection");
        }

        if (tables.FindGiven(local, remote, out GivenEntry given))
        {
            if (given.Mode == SteeringMode.Hold)
            {
                // This daemon's own: its worker has gone from it, and asks before it is decided.
                return new Refusal(RefusalReason.Busy, "the connection is being moved; ask again");
            }

            // The new owner asks, or is told with the next audit.
            ConnectionCapture.Discard(fd);
            return Refusal.None;
        }

        ConnectionCapture.GiveBack(fd);
        return new Refusal(RefusalReason.Peer, "the daemon ended within the move");
    }

    /// <summary>Ends a move to this node, whose worker has the connection already.</summary>
    /// <param name="tables">What the former daemon has left.</param>
    /// <param name="fd">The connection; the caller's to close.</param>
    /// <param name="isSimple">Whether it needs no more than to leave repair: no bytes of its own unsent, no FIN of the peer's.</param>
    /// <returns>None when it works, and is the worker's.</returns>
    public static Refusal Finish(SteeringTables tables, int fd, bool isSimple)
    {
        System.ArgumentNullException.ThrowIfNull(tables);
        if (TcpSocket.GetLocal(fd, out TcpEnd local, out _) < 0 || TcpSocket.GetRemote(fd, out TcpEnd remote) < 0)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no connection");
        }

        // One that came back, of which it was not written down yet: it is with its owner.
        if (tables.FindGiven(local, remote, out _))
        {
            ConnectionCapture.Discard(fd);
            return new Refusal(RefusalReason.State, "the connection is at its former owner");
        }

        tables.SetLive(local, remote);
        ConnectionCapture.GiveBack(fd);
        if (isSimple)
        {
            return Refusal.None;
        }

        // What it lacked ended with the daemon. Out of repair it is a reset, which tells the peer at once.
        ConnectionCapture.Discard(fd);
        return new Refusal(RefusalReason.Peer, "the daemon ended with a part of the connection");
    }
}
