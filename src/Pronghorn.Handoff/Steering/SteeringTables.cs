// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Threading;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Steering;

/// <summary>What a node has of a connection that it gave away.</summary>
/// <param name="Mode">What becomes of the peer's packets.</param>
/// <param name="Local">The end that this node had: the one that the peer knows, or, where it came from another node, its end here.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Target">The end that it has at its owner.</param>
/// <param name="InterfaceIndex">The interface by which the owner is reached.</param>
/// <param name="Stay">Its stay with that owner.</param>
/// <param name="Via">An address of the owner's own, where it has the end that the peer knows; null: the target's.</param>
public readonly record struct GivenEntry(
    SteeringMode Mode, TcpEnd Local, TcpEnd Remote, TcpEnd Target, int InterfaceIndex, Stay Stay, IpAddress? Via = null)
{
    /// <summary>An address of the owner's own.</summary>
    public IpAddress Owner => Via ?? Target.Address;
}

/// <summary>What a node has of a connection that it was given.</summary>
/// <param name="Local">The end that its socket has here.</param>
/// <param name="Remote">The peer.</param>
/// <param name="Known">The end that the peer knows.</param>
/// <param name="Stay">Its stay here.</param>
/// <param name="HasLived">Whether it went on here.</param>
/// <param name="Anchor">An address of the node that the peer's packets come by.</param>
public readonly record struct TakenEntry(TcpEnd Local, TcpEnd Remote, TcpEnd Known, Stay Stay, bool HasLived, IpAddress Anchor);

/// <summary>
/// The tables of bpf/handoff.bpf.c: connections given away and connections taken. One process writes; in the programs only a SYN to a
/// tombstone takes an entry away.
/// </summary>
/// <remarks>Any thread. Methods return 0 or a negative error number.</remarks>
public sealed class SteeringTables : IDisposable
{
    private readonly BpfMap _inbound;
    private readonly BpfMap _outbound;

    // Of a look and what follows from it.
    private readonly Lock _lock = new();

    // Entries of _outbound, which no program adds to or takes from.
    private int _taken;

    internal SteeringTables(BpfMap inbound, BpfMap outbound)
    {
        _inbound = inbound;
        _outbound = outbound;
        _ = outbound.Count<ConnectionKey, OutboundEntry>(out _taken);
    }

    /// <summary>Whether no connection more can be taken.</summary>
    public bool IsTakenFull => Volatile.Read(ref _taken) >= _outbound.MaximumEntries;

    /// <summary>From now on the peer's packets wait, and the socket's own do not leave.</summary>
    /// <returns>0, -E2BIG when the table is full, -EEXIST when the connection is held or redirected already.</returns>
    public int Hold(TcpEnd local, TcpEnd remote, Stay stay)
    {
        var entry = new InboundEntry { Mode = SteeringMode.Hold, Connection = stay.Connection, Epoch = stay.Epoch };
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Update(key, entry, BpfUpdateMode.Add);
        }
    }

    /// <summary>From now on the peer's packets go to the new owner.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="target">The end that the new owner has given the connection.</param>
    /// <param name="interfaceIndex">The interface by which the new owner is reached.</param>
    /// <param name="stay">The stay that begins.</param>
    /// <param name="via">An address of the owner's own, on that interface's link, where the end is one that this node has too.</param>
    public int Redirect(TcpEnd local, TcpEnd remote, TcpEnd target, int interfaceIndex, Stay stay, IpAddress? via = null)
    {
        lock (_lock)
        {
            return Put(ConnectionKey.Create(local, remote), SteeringMode.Redirect, target, interfaceIndex, stay, via);
        }
    }

    /// <summary>A connection that was given away has moved on from its owner to another.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="target">The end that it has now.</param>
    /// <param name="interfaceIndex">The interface by which other nodes are reached.</param>
    /// <param name="stay">The stay that began; words of two moves may come in the wrong order.</param>
    /// <returns>0, also where there is nothing to do any more; -EBUSY while the connection is held.</returns>
    public int Repoint(TcpEnd local, TcpEnd remote, TcpEnd target, int interfaceIndex, Stay stay)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            if (_inbound.Lookup(key, out InboundEntry entry) < 0 || !stay.IsAfter(entry.Stay))
            {
                return 0;
            }

            return entry.Mode switch
            {
                SteeringMode.Hold => -Errno.Busy,
                SteeringMode.Redirect => Put(key, SteeringMode.Redirect, target, interfaceIndex, stay),
                _ => 0,
            };
        }
    }

    /// <summary>A connection that was given away comes back: until it is here, the peer's packets wait.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="stay">The stay that begins with it.</param>
    /// <param name="owner">Where it is, for the case that it stays there.</param>
    /// <returns>0, or a negative error number: -ENOENT where it was not given away, or not before that stay.</returns>
    public int HoldReturning(TcpEnd local, TcpEnd remote, Stay stay, out GivenEntry owner)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            int found = _inbound.Lookup(key, out InboundEntry entry);
            owner = entry.At(key);
            return found < 0 || entry.Mode != SteeringMode.Redirect || !stay.IsAfter(entry.Stay)
                ? -Errno.NoEntry
                : Put(key, SteeringMode.Hold, owner.Target, owner.InterfaceIndex, stay, owner.Via, stay.Epoch - entry.Epoch);
        }
    }

    /// <summary>The connection has ended at its owner, where its last segments still go, until <see cref="ForgetBuried"/>.</summary>
    /// <returns>0, or -ENOENT where there is nothing of it, or it moved once more after that stay.</returns>
    public int Bury(TcpEnd local, TcpEnd remote, Stay stay)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            // A later stay than is known here: the word of that move comes by another node, and may come after this.
            return _inbound.Lookup(key, out InboundEntry entry) < 0 || entry.Mode != SteeringMode.Redirect
                || (entry.Stay != stay && !stay.IsAfter(entry.Stay))
                ? -Errno.NoEntry
                : Put(key, SteeringMode.Tombstone, entry.TargetEnd, (int)entry.Interface, stay, entry.At(key).Via);
        }
    }

    /// <summary>The peer's packets come by another node now; what comes here nevertheless is to be asked for.</summary>
    /// <returns>0, or -ENOENT where there is nothing of it, or it has come by here again since that stay.</returns>
    public int Release(TcpEnd local, TcpEnd remote, Stay stay)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Lookup(key, out InboundEntry entry) == 0 && entry.Mode == SteeringMode.Redirect
                && (entry.Stay == stay || stay.IsAfter(entry.Stay)) ? _inbound.Delete(key) : -Errno.NoEntry;
        }
    }

    /// <summary>Nothing late is expected any more.</summary>
    public int ForgetBuried(TcpEnd local, TcpEnd remote, Stay stay)
    {
        // A new connection of the peer's from the same port may have come, and have moved.
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Lookup(key, out InboundEntry entry) == 0 && entry.Mode == SteeringMode.Tombstone && entry.Stay == stay
                ? _inbound.Delete(key)
                : -Errno.NoEntry;
        }
    }

    /// <summary>The peer's packets are this node's own again, unless the connection is held.</summary>
    public int ForgetGiven(TcpEnd local, TcpEnd remote)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            int found = _inbound.Lookup(key, out InboundEntry entry);
            return found == 0 && entry.Mode != SteeringMode.Hold ? _inbound.Delete(key) : found;
        }
    }

    /// <summary>The peer's packets are this node's own again.</summary>
    public int Forget(TcpEnd local, TcpEnd remote)
    {
        lock (_lock)
        {
            return _inbound.Delete(ConnectionKey.Create(local, remote));
        }
    }

    /// <summary>What a connection that this node has sends is sent as from another end.</summary>
    /// <param name="local">The end that the socket has here.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="known">The end that the peer knows.</param>
    /// <param name="stay">Its stay here.</param>
    /// <param name="anchor">An address of the node that the peer's packets come by; null: the one that the peer knows.</param>
    public int Translate(TcpEnd local, TcpEnd remote, TcpEnd known, Stay stay, IpAddress? anchor = null)
    {
        var entry = new OutboundEntry
        {
            Connection = stay.Connection,
            Source = MapAddress.From(known.Address),
            Anchor = MapAddress.From(anchor ?? known.Address),
            SourcePort = BinaryPrimitives.ReverseEndianness(known.Port),
            Epoch = stay.Epoch,
        };
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            int added = _outbound.Update(key, entry, BpfUpdateMode.Add);
            _taken += added == 0 ? 1 : 0;
            return added == -Errno.Exists ? _outbound.Update(key, entry, BpfUpdateMode.Replace) : added;
        }
    }

    /// <summary>
    /// From now on what was restored here may send. Until then the peer must not hear that there is no socket, nor that one has what it
    /// sent: that would be lost with a daemon that ends now, as the connection goes on where it came from.
    /// </summary>
    public int SetLive(TcpEnd local, TcpEnd remote)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            int found = _outbound.Lookup(key, out OutboundEntry entry);
            entry.IsLive = 1;
            return found < 0 ? found : _outbound.Update(key, entry, BpfUpdateMode.Replace);
        }
    }

    /// <summary>The peer's packets come by another node from now on.</summary>
    /// <returns>0, or -ENOENT where the connection is not there.</returns>
    public int SetAnchor(TcpEnd local, TcpEnd remote, IpAddress anchor)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            int found = _outbound.Lookup(key, out OutboundEntry entry);
            entry.Anchor = MapAddress.From(anchor);
            return found < 0 ? found : _outbound.Update(key, entry, BpfUpdateMode.Replace);
        }
    }

    /// <summary>A connection that other nodes were asked for is found.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="target">The end that it has at its owner.</param>
    /// <param name="interfaceIndex">The interface by which the owner is reached; 0: the owner is this node.</param>
    /// <param name="stay">Its stay there.</param>
    /// <param name="via">As for <see cref="Redirect"/>.</param>
    /// <returns>0, or -ENOENT where it is not asked for any more.</returns>
    public int RedirectSought(TcpEnd local, TcpEnd remote, TcpEnd target, int interfaceIndex, Stay stay, IpAddress? via = null)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Lookup(key, out InboundEntry entry) == 0 && entry.Mode == SteeringMode.Sought
                ? Put(key, SteeringMode.Redirect, target, interfaceIndex, stay, via)
                : -Errno.NoEntry;
        }
    }

    /// <summary>A connection that other nodes were asked for is not found.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="isAnswered">Whether all were asked: the kernel may say that there is none.</param>
    /// <returns>0, or -ENOENT where it is not asked for any more.</returns>
    public int GiveUpSought(TcpEnd local, TcpEnd remote, bool isAnswered)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Lookup(key, out InboundEntry entry) == 0 && entry.Mode == SteeringMode.Sought
                ? Put(key, isAnswered ? SteeringMode.Unknown : SteeringMode.Unanswered, default, 0, default)
                : -Errno.NoEntry;
        }
    }

    /// <summary>The next packet of a connection that was not found may be asked for again.</summary>
    public int ForgetSought(TcpEnd local, TcpEnd remote)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        lock (_lock)
        {
            return _inbound.Lookup(key, out InboundEntry entry) == 0 && IsOfSeeking(entry.Mode) ? _inbound.Delete(key) : -Errno.NoEntry;
        }
    }

    /// <summary>Finds a connection that came from another node.</summary>
    public bool FindTaken(TcpEnd local, TcpEnd remote, out TakenEntry taken)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        bool isFound = _outbound.Lookup(key, out OutboundEntry entry) == 0;
        taken = entry.At(key);
        return isFound;
    }

    /// <summary>Finds a connection that was given away.</summary>
    public bool FindGiven(TcpEnd local, TcpEnd remote, out GivenEntry given)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        bool isFound = _inbound.Lookup(key, out InboundEntry entry) == 0;
        given = entry.At(key);
        return isFound;
    }

    /// <summary>Ends the translation.</summary>
    public int ForgetTranslation(TcpEnd local, TcpEnd remote)
    {
        lock (_lock)
        {
            int deleted = _outbound.Delete(ConnectionKey.Create(local, remote));
            _taken -= deleted == 0 ? 1 : 0;
            return deleted;
        }
    }

    /// <summary>All connections given away; one that comes or goes meanwhile may be missing.</summary>
    public IReadOnlyCollection<GivenEntry> ListGiven()
    {
        List<KeyValuePair<ConnectionKey, InboundEntry>> read = [];
        _ = _inbound.ReadAll(read);
        return read.ConvertAll(static one => one.Value.At(one.Key));
    }

    /// <summary>All connections taken; one that comes or goes meanwhile may be missing.</summary>
    public IReadOnlyCollection<TakenEntry> ListTaken()
    {
        List<KeyValuePair<ConnectionKey, OutboundEntry>> read = [];
        _ = _outbound.ReadAll(read);
        return read.ConvertAll(static one => one.Value.At(one.Key));
    }

    /// <summary>Forgets every connection, given away or taken.</summary>
    public void Clear()
    {
        foreach (BpfMap map in (BpfMap[])[_inbound, _outbound])
        {
            while (map.FirstKey(out ConnectionKey key) == 0)
            {
                map.Delete(key);
            }
        }

        _taken = 0;
    }

    /// <summary>Entries that either table can have.</summary>
    public (int Inbound, int Outbound) Limits => ((int)_inbound.MaximumEntries, (int)_outbound.MaximumEntries);

    /// <summary>Entries of either table.</summary>
    public (int Inbound, int Outbound) CountEntries()
    {
        _ = _inbound.Count<ConnectionKey, InboundEntry>(out int inbound);
        _ = _outbound.Count<ConnectionKey, OutboundEntry>(out int outbound);
        return (inbound, outbound);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inbound.Dispose();
        _outbound.Dispose();
    }

    /// <summary>
    /// Moves in which a former daemon was ended: nobody will finish them. A connection that was coming back is with its owner still.
    /// </summary>
    internal void EndHolds()
    {
        foreach (GivenEntry given in ListGiven())
        {
            ConnectionKey key = ConnectionKey.Create(given.Local, given.Remote);
            if (_inbound.Lookup(key, out InboundEntry entry) < 0 || (entry.Mode != SteeringMode.Hold && !IsOfSeeking(entry.Mode)))
            {
                continue;
            }

            if (given.InterfaceIndex != 0)
            {
                // The stay that the owner knows: it says nothing of the one that did not begin.
                Stay stay = entry.Stay with { Epoch = entry.Epoch - entry.Returning };
                Put(key, SteeringMode.Redirect, given.Target, given.InterfaceIndex, stay, given.Via);
            }
            else
            {
                _inbound.Delete(key);
            }
        }
    }

    private static bool IsOfSeeking(SteeringMode mode) =>
        mode is SteeringMode.Sought or SteeringMode.Unknown or SteeringMode.Unanswered;

    private int Put(
        ConnectionKey key, SteeringMode mode, TcpEnd target, int interfaceIndex, Stay stay, IpAddress? via = null, uint returning = 0)
    {
        var entry = new InboundEntry
        {
            Mode = mode,
            Connection = stay.Connection,
            Epoch = stay.Epoch,
            Target = MapAddress.From(target.Address),
            Via = via is { } address ? MapAddress.From(address) : default,
            TargetPort = BinaryPrimitives.ReverseEndianness(target.Port),
            Returning = (ushort)Math.Min(returning, ushort.MaxValue),
            Interface = (uint)interfaceIndex,
        };
        return _inbound.Update(key, entry);
    }
}
