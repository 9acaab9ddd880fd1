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

        // The new owner asks, or is told with the next audit.
        if (tables.FindGiven(local, remote, out GivenEntry given) && given.Mode != SteeringMode.Hold)
        {
            ConnectionCapture.Discard(fd);
            return Refusal.None;
        }

        ConnectionCapture.GiveBack(fd);
        return new Refusal(RefusalReason.Peer, "the daemon ended within the move");
    }
}
