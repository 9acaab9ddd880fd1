// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>The nodes that peers' packets come by: where an address is shared, a connection's may become another one.</summary>
public sealed partial class Lifetimes
{
    // Connections whose packets may come by any of several nodes, by what the peer knows.
    private readonly ConcurrentDictionary<(TcpEnd Known, TcpEnd Remote), Taken> _shared = new();

    // Of a connection's anchor: while it is being moved it has to stay.
    private readonly Lock _anchorLock = new();
    private readonly HomeAnchor _home;

    /// <summary>From now on the peer's packets wait, unless they have come by another node since it was asked to move.</summary>
    /// <param name="fd">The connection's socket.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="request">What the target was asked.</param>
    /// <returns>What <see cref="SteeringTables.Hold"/> returns, or -EAGAIN.</returns>
    public int Hold(int fd, TcpEnd local, Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        lock (_anchorLock)
        {
            return FindTaken(fd, out TakenEntry taken) && taken.Anchor != request.Anchor
                ? -Errno.TryAgain : _node.Layer.Tables.Hold(local, request.Remote, request.Stay);
        }
    }

    /// <summary>Another node, or this, has packets of a connection that may be here: it is its anchor from now on.</summary>
    /// <param name="known">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="other">The other node; null: this one.</param>
    /// <param name="found">What is here, if it is here.</param>
    public SoughtState Reanchor(TcpEnd known, TcpEnd remote, AskedNode? other, out SoughtConnection found)
    {
        found = default;
        if (!_node.SharedAddresses.Contains(known.Address))
        {
            return SoughtState.NotHere;
        }

        SoughtState state = FindTaken(known, remote, other, out found);
        if (state is SoughtState.Here or SoughtState.Moving || other is not { } asker)
        {
            return state;
        }

        // What the peer has begun since then, from the same port and by this node, is not what has left or ended.
        SoughtState own = FindOwn(known, remote, asker, out SoughtConnection begun);
        found = own == SoughtState.NotHere ? found : begun;
        return own == SoughtState.NotHere ? state : own;
    }

    private SoughtState FindTaken(TcpEnd known, TcpEnd remote, AskedNode? other, out SoughtConnection found)
    {
        found = default;
        if (!_shared.TryGetValue((known, remote), out Taken? taken))
        {
            return SoughtState.NotHere;
        }

        lock (_anchorLock)
        {
            // From when it is held until it has left for good there is an entry of the stay after this one.
            bool isMoving = _node.Layer.Tables.FindGiven(taken.Local, remote, out _);
            SoughtState state = taken.State switch
            {
                TakenState.Open => isMoving ? SoughtState.Moving : SoughtState.Here,
                TakenState.Ended => SoughtState.Ended,
                TakenState.NeverLived => SoughtState.Moving,
                _ => SoughtState.NotHere,
            };
            if (state is SoughtState.Here or SoughtState.Ended)
            {
                found = new SoughtConnection(taken.Stay, taken.Local);
            }

            if (state == SoughtState.Here)
            {
                SetAnchor(taken, other?.Address ?? _node.Addresses[0], other?.Sender ?? _home);
            }

            return state;
        }
    }

    /// <summary>
    /// A node has gone for good: what came by it and is here gets no packet of its peer any more. Its sockets end, as the node itself
    /// does not know them when it is back; the peer, if it can be reached, is told. What has a shared address goes on: its packets may
    /// come by another node.
    /// </summary>
    /// <param name="addresses">Its addresses.</param>
    /// <returns>How many connections that were.</returns>
    public int EndOfAnchor(IReadOnlyCollection<IpAddress> addresses)
    {
        foreach ((Stay stay, (Taken taken, _)) in _left)
        {
            if (addresses.Contains(taken.AnchorAddress) && _left.TryRemove(stay, out _))
            {
                After(() => Forget(taken));
            }
        }

        return _taken.Count(taken => addresses.Contains(taken.Value.AnchorAddress) && !IsHome(taken.Value)
            && !IsShared(taken.Value) && DestroySocket(taken.Key, taken.Value.Local, taken.Value.Remote) == 0);
    }

    /// <summary>A connection that began here and has not moved yet.</summary>
    private SoughtState FindOwn(TcpEnd known, TcpEnd remote, AskedNode asker, out SoughtConnection found)
    {
        found = default;
        bool hasSocket = HasSocket(known, remote, out ulong cookie);
        lock (_anchorLock)
        {
            if (_node.Layer.Tables.FindGiven(known, remote, out GivenEntry given))
            {
                // Its socket is kept, silent, until the new owner has said that it works there.
                return hasSocket || given.Mode == SteeringMode.Hold ? SoughtState.Moving : SoughtState.NotHere;
            }

            if (!hasSocket)
            {
                return SoughtState.NotHere;
            }

            var stay = new Stay(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))), 1);
            var taken = new Taken(new TakenEntry(known, remote, known, stay, HasLived: true, asker.Address), asker.Sender);
            Watch(cookie, taken);
            found = new SoughtConnection(stay, known);
        }

        // One that ended in between has nobody who says so.
        if (!HasSocket(known, remote, out _) && _taken.TryRemove(cookie, out Taken? ended))
        {
            End(ended);
        }

        return SoughtState.Here;
    }

    private bool HasSocket(TcpEnd local, TcpEnd remote, out ulong cookie)
    {
        lock (_diagnostics)
        {
            int result = _diagnostics.Find(local.Address, local.Port, remote.Address, remote.Port, out DiagnosedSocket socket);
            cookie = socket.Cookie;
            return result == 0 && (KernelTcpState)socket.State is KernelTcpState.Established or KernelTcpState.FinWait1
                or KernelTcpState.FinWait2 or KernelTcpState.CloseWait or KernelTcpState.LastAck or KernelTcpState.Closing;
        }
    }

    private void SetAnchor(Taken taken, IpAddress address, IMessageSender sender)
    {
        (IpAddress former, IMessageSender? formerSender) = (taken.AnchorAddress, taken.Anchor);
        if (former == address)
        {
            return;
        }

        taken.SetAnchor(address, sender);
        _node.Layer.Tables.SetAnchor(taken.Local, taken.Remote, address);

        // If this is lost, the former hears of it when it asks the next time.
        _ = formerSender?.SendAsync(new Released(taken.Stay, taken.Known, taken.Remote), CancellationToken.None).AsTask();
    }

    /// <summary>The peer's packets come by this node, which has it with the end that the peer knows: there are no entries.</summary>
    private bool IsHome(Taken taken) =>
        taken.Local == taken.Known && (!IsShared(taken) || _node.Addresses.Contains(taken.AnchorAddress));

    private void Own(Taken taken)
    {
        _owners[(taken.Local, taken.Remote)] = taken;
        if (IsShared(taken))
        {
            _shared[(taken.Known, taken.Remote)] = taken;
        }
    }

    private bool IsShared(Taken taken) => _node.SharedAddresses.Contains(taken.Known.Address);

    /// <summary>This node where it is both: the one that has a connection, and the one that the peer's packets come by.</summary>
    private sealed class HomeAnchor(Lifetimes lifetimes) : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            switch (message)
            {
                case Ended ended:
                    lifetimes.Bury(ended);
                    break;
                case Moved moved:
                    lifetimes.Repoint(moved, this);
                    break;
                case Released released:
                    lifetimes._node.Layer.Tables.Release(released.Known, released.Remote, released.Stay);
                    break;
                case Repointed repointed:
                    lifetimes.Finish(repointed);
                    break;
            }

            return ValueTask.CompletedTask;
        }
    }
}
