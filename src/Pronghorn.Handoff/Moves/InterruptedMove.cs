// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>Moves in which this node's daemon was ended. Their sockets are silent; only a worker has them still, and brings them.</summary>
/// <param name="node">The node, with what the former daemon has left.</param>
/// <param name="lifetimes">Connections that this node was given; null for none.</param>
/// <param name="unsettled">Asks new owners.</param>
/// <param name="limit">How long to ask.</param>
public sealed class InterruptedMove(SteeredNode node, Lifetimes? lifetimes, Unsettled unsettled, TimeSpan limit)
{
    private SteeringTables Tables => node.Layer.Tables;

    /// <summary>Ends a move from this node as it was decided.</summary>
    /// <param name="fd">The connection; the caller's to close.</param>
    /// <returns>None when it has moved, so that the socket has no connection any more; else that it stays, and works.</returns>
    public async Task<Refusal> EndAsync(int fd)
    {
        if (TcpSocket.GetLocal(fd, out TcpEnd local, out _) < 0 || TcpInformation.Query(fd, out TcpInformation information) < 0
            || information.State == KernelTcpState.Listen)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no connection");
        }

        if (TcpSocket.GetRemote(fd, out TcpEnd remote) < 0)
        {
            // The daemon let go of it, and ended before its worker had heard of that; or the peer has reset it. Either way it is not here.
            return Refusal.None;
        }

        if (!Tables.FindGiven(local, remote, out GivenEntry given))
        {
            ConnectionCapture.GiveBack(fd);
            return new Refusal(RefusalReason.Peer, "the daemon ended within the move");
        }

        if (given.Mode == SteeringMode.Hold)
        {
            // This daemon's own: its worker has gone from it, and asks before it is decided.
            return new Refusal(RefusalReason.Busy, "the connection is being moved; ask again");
        }

        var item = new AuditItem(given.Stay, local, remote, given.Target, IsUnsettled: true);
        if (given.Mode == SteeringMode.Redirect && await unsettled.WaitForOwnerAsync(item, limit) is false)
        {
            lifetimes?.TakeBack(fd, local, remote, given.Stay);
            ConnectionCapture.GiveBack(fd);
            Tables.Forget(local, remote);
            return new Refusal(RefusalReason.Peer, "the new owner's daemon ended within the move");
        }

        ConnectionCapture.Discard(fd);
        return Refusal.None;
    }

    /// <summary>Ends a move to this node, whose worker has the connection already.</summary>
    /// <param name="fd">The connection; the caller's to close.</param>
    /// <param name="isSimple">Whether it needs no more than to leave repair: no bytes of its own unsent, no FIN of the peer's.</param>
    /// <returns>None when it works, and is the worker's.</returns>
    public Refusal Finish(int fd, bool isSimple)
    {
        if (TcpSocket.GetLocal(fd, out TcpEnd local, out _) < 0 || TcpSocket.GetRemote(fd, out TcpEnd remote) < 0)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no connection");
        }

        // One that came back, of which it was not written down yet: it is with its owner.
        if (Tables.FindGiven(local, remote, out _))
        {
            ConnectionCapture.Discard(fd);
            return new Refusal(RefusalReason.State, "the connection is at its former owner");
        }

        Tables.SetLive(local, remote);
        if (isSimple)
        {
            ConnectionCapture.GiveBack(fd);
            return Refusal.None;
        }

        ConnectionImage? image = node.Images?.Find(local, remote);
        if (image is null && !TcpRepair.IsEntered(fd))
        {
            // It is whole: a daemon has finished it, and ended before its worker had heard of that.
            SocketOptions.RestoreAfterRepair(fd, default);
            return Refusal.None;
        }

        Refusal refusal = image is null
            ? new Refusal(RefusalReason.Peer, "the daemon ended with a part of the connection") : ConnectionRestore.Resume(fd, image);
        node.Images?.Forget(local, remote);
        if (refusal.IsNone)
        {
            FinSegment.Inject(image!, local, node, fd);
            return Refusal.None;
        }

        // Out of repair it is a reset, which tells the peer at once.
        ConnectionCapture.GiveBack(fd);
        ConnectionCapture.Discard(fd);
        return refusal;
    }
}
