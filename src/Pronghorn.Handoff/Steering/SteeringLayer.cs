// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Steering;

/// <summary>
/// The programs of bpf/handoff.bpf.c on a node's interfaces and their tables. Links and maps are pinned: moved connections go on
/// while no daemon runs.
/// </summary>
public sealed class SteeringLayer : IDisposable
{
    private const string Resource = "handoff.bpf.o";

    private readonly BpfMap _inbound;
    private readonly BpfMap _outbound;
    private readonly BpfMap _settings;
    private readonly BpfMap _counters;

    private SteeringLayer(string folder, BpfObject opened)
    {
        _inbound = BpfMap.OpenPinned(Path.Combine(folder, "handoff_inbound"));
        _outbound = BpfMap.OpenPinned(Path.Combine(folder, "handoff_outbound"));
        _settings = BpfMap.OpenPinned(Path.Combine(folder, "handoff_settings"));
        _counters = opened.GetMap("handoff_counters");
    }

    /// <summary>Loads the programs and attaches them, or replaces those that are attached.</summary>
    /// <param name="folder">A folder of a mounted BPF file system, this instance's own.</param>
    /// <param name="interfaces">Indexes of the interfaces on which peers are reached and other nodes.</param>
    /// <param name="hold">Where packets wait during a move.</param>
    /// <exception cref="BpfException">The kernel lacks something, or a step failed.</exception>
    public static SteeringLayer Start(string folder, IReadOnlyList<int> interfaces, TapDevice hold)
    {
        ArgumentNullException.ThrowIfNull(interfaces);
        ArgumentNullException.ThrowIfNull(hold);
        string links = Path.Combine(folder, "links");
        BpfFileSystem.CreateFolder(links);
        using BpfObject opened = BpfObject.OpenResource(typeof(SteeringLayer).Assembly, Resource, folder);
        opened.Load();
        var layer = new SteeringLayer(folder, opened);
        try
        {
            layer._settings.Update(0u, (uint)hold.Index);
            layer.EndHolds();
            using BpfProgram ingress = opened.GetProgram("pronghorn_handoff_ingress");
            using BpfProgram egress = opened.GetProgram("pronghorn_handoff_egress");
            HashSet<string> wanted = [];
            foreach (int index in interfaces)
            {
                wanted.Add(Attach(links, index, ingress, BpfAttachType.TcxIngress));
                wanted.Add(Attach(links, index, egress, BpfAttachType.TcxEgress));
            }

            // The device goes with the process, and its link with the device.
            wanted.Add(Attach(links, hold.Index, ingress, BpfAttachType.TcxIngress));
            foreach (string other in Directory.GetFiles(links).Where(path => !wanted.Contains(Path.GetFileName(path))))
            {
                Detach(other);
            }

            return layer;
        }
        catch
        {
            layer.Dispose();
            throw;
        }
    }

    /// <summary>Detaches everything of an instance and removes its tables: connections that were moved are lost by it.</summary>
    public static void Remove(string folder)
    {
        string links = Path.Combine(folder, "links");
        if (Directory.Exists(links))
        {
            foreach (string link in Directory.GetFiles(links))
            {
                Detach(link);
            }
        }

        BpfFileSystem.RemoveFolder(folder);
    }

    /// <summary>From now on the peer's packets wait, and the socket's own do not leave.</summary>
    /// <returns>0, -E2BIG when the table is full, -EEXIST when the connection is held or redirected already.</returns>
    public int Hold(TcpEnd local, TcpEnd remote, uint epoch)
    {
        var entry = new InboundEntry { Mode = SteeringMode.Hold, Epoch = epoch };
        return _inbound.Update(ConnectionKey.Create(local, remote), entry, BpfUpdateMode.Add);
    }

    /// <summary>From now on the peer's packets go to the new owner.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="target">The end that the new owner has given the connection.</param>
    /// <param name="interfaceIndex">The interface by which the new owner is reached.</param>
    /// <param name="epoch">Number of the move.</param>
    public int Redirect(TcpEnd local, TcpEnd remote, TcpEnd target, int interfaceIndex, uint epoch)
    {
        var entry = new InboundEntry
        {
            Mode = SteeringMode.Redirect,
            Epoch = epoch,
            Target = MapAddress.From(target.Address),
            TargetPort = BinaryPrimitives.ReverseEndianness(target.Port),
            Interface = (uint)interfaceIndex,
        };
        return _inbound.Update(ConnectionKey.Create(local, remote), entry);
    }

    /// <summary>A connection that was given away has moved on from its owner to another.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="target">The end that it has now.</param>
    /// <param name="epoch">Number of the move; words of two moves may come in the wrong order.</param>
    /// <returns>0, also where there is nothing to do any more; -EBUSY while the connection is held.</returns>
    public int Repoint(TcpEnd local, TcpEnd remote, TcpEnd target, uint epoch)
    {
        int found = _inbound.Lookup(ConnectionKey.Create(local, remote), out InboundEntry entry);
        if (found == 0 && entry.Mode == SteeringMode.Hold)
        {
            return -Errno.Busy;
        }

        return found == 0 && entry.Mode == SteeringMode.Redirect && entry.Epoch < epoch
            ? Redirect(local, remote, target, (int)entry.Interface, epoch)
            : 0;
    }

    /// <summary>A connection that was given away comes back: until it is here, the peer's packets wait.</summary>
    /// <param name="local">The end that the peer knows.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="epoch">Number of the move that brings it.</param>
    /// <param name="owner">Where it is, for the case that it stays there.</param>
    /// <returns>0, or a negative error number: -ENOENT where it was not given away, or not before that move.</returns>
    public int HoldReturning(TcpEnd local, TcpEnd remote, uint epoch, out (TcpEnd End, int Interface, uint Epoch) owner)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        int found = _inbound.Lookup(key, out InboundEntry entry);
        owner = (entry.TargetEnd, (int)entry.Interface, entry.Epoch);
        return found < 0 || entry.Mode != SteeringMode.Redirect || entry.Epoch >= epoch
            ? -Errno.NoEntry
            : _inbound.Update(key, new InboundEntry { Mode = SteeringMode.Hold, Epoch = epoch }, BpfUpdateMode.Replace);
    }

    /// <summary>The connection has ended at its new owner: what is late is dropped until <see cref="ForgetBuried"/>.</summary>
    /// <returns>0, or a negative error number: -ENOENT where it was not given away, or moved once more after that move.</returns>
    public int Bury(TcpEnd local, TcpEnd remote, uint epoch)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        int found = _inbound.Lookup(key, out InboundEntry entry);

        // A later move than is known here: the word of it comes by another node, and may come after this.
        return found < 0 || entry.Mode != SteeringMode.Redirect || entry.Epoch > epoch
            ? -Errno.NoEntry
            : _inbound.Update(key, new InboundEntry { Mode = SteeringMode.Tombstone, Epoch = epoch }, BpfUpdateMode.Replace);
    }

    /// <summary>Nothing late is expected any more.</summary>
    public int ForgetBuried(TcpEnd local, TcpEnd remote, uint epoch)
    {
        // A new connection of the peer's from the same port may have come, and have moved.
        ConnectionKey key = ConnectionKey.Create(local, remote);
        int found = _inbound.Lookup(key, out InboundEntry entry);
        return found == 0 && entry.Mode == SteeringMode.Tombstone && entry.Epoch == epoch ? _inbound.Delete(key) : -Errno.NoEntry;
    }

    /// <summary>What this node has of a connection that went on from it, or ended, goes; one that is held stays.</summary>
    public int ForgetLeft(TcpEnd local, TcpEnd remote)
    {
        ConnectionKey key = ConnectionKey.Create(local, remote);
        int found = _inbound.Lookup(key, out InboundEntry entry);
        return found == 0 && entry.Mode != SteeringMode.Hold ? _inbound.Delete(key) : found;
    }

    /// <summary>The peer's packets are this node's own again.</summary>
    public int Forget(TcpEnd local, TcpEnd remote) => _inbound.Delete(ConnectionKey.Create(local, remote));

    /// <summary>What a connection that this node has sends is sent as from another end.</summary>
    /// <param name="local">The end that the socket has here.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="known">The end that the peer knows.</param>
    /// <param name="epoch">Number of the move.</param>
    public int Translate(TcpEnd local, TcpEnd remote, TcpEnd known, uint epoch)
    {
        var entry = new OutboundEntry
        {
            Source = MapAddress.From(known.Address),
            SourcePort = BinaryPrimitives.ReverseEndianness(known.Port),
            Epoch = epoch,
        };
        return _outbound.Update(ConnectionKey.Create(local, remote), entry);
    }

    /// <summary>Whether what a connection sends is sent as from another end: it came from another node.</summary>
    public bool IsTranslated(TcpEnd local, TcpEnd remote) =>
        _outbound.Lookup(ConnectionKey.Create(local, remote), out OutboundEntry _) == 0;

    /// <summary>Ends the translation.</summary>
    public int ForgetTranslation(TcpEnd local, TcpEnd remote) => _outbound.Delete(ConnectionKey.Create(local, remote));

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
    }

    /// <summary>Entries of either table.</summary>
    public (int Inbound, int Outbound) CountEntries() => (Count(_inbound), Count(_outbound));

    /// <summary>A counter's sum over all processors.</summary>
    public ulong Read(SteeringCounter counter)
    {
        Span<ulong> values = stackalloc ulong[BpfMap.PossibleProcessors];
        ulong sum = 0;
        if (_counters.LookupPerProcessor((uint)counter, values) == 0)
        {
            foreach (ulong value in values)
            {
                sum += value;
            }
        }

        return sum;
    }

    /// <summary>Lets go of the tables; what is attached stays.</summary>
    public void Dispose()
    {
        _inbound.Dispose();
        _outbound.Dispose();
        _settings.Dispose();
        _counters.Dispose();
    }

    /// <summary>Moves in which a former daemon was ended: nobody will finish them.</summary>
    private void EndHolds()
    {
        List<ConnectionKey> held = [];
        int left = (int)_inbound.MaximumEntries;
        for (int found = _inbound.FirstKey(out ConnectionKey key); found == 0 && left > 0; found = _inbound.NextKey(key, out key), left--)
        {
            if (_inbound.Lookup(key, out InboundEntry entry) == 0 && entry.Mode == SteeringMode.Hold)
            {
                held.Add(key);
            }
        }

        held.ForEach(key => _inbound.Delete(key));
    }

    private static int Count(BpfMap map)
    {
        // Entries come and go meanwhile, and a key that has gone leads back to the first.
        int count = 0;
        int most = (int)map.MaximumEntries;
        for (int found = map.FirstKey(out ConnectionKey key); found == 0 && count < most; found = map.NextKey(key, out key))
        {
            count++;
        }

        return count;
    }

    private static string Attach(string links, int index, BpfProgram program, BpfAttachType type)
    {
        string name = string.Create(
            CultureInfo.InvariantCulture, $"{(type == BpfAttachType.TcxIngress ? "in" : "out")}_{index}");
        string path = Path.Combine(links, name);
        using BpfLink? existing = BpfLink.TryOpenPinned(path);
        if (existing is not null)
        {
            if (existing.GetState().InterfaceIndex == index)
            {
                existing.Update(program);
                return name;
            }

            File.Delete(path);
        }

        using BpfLink link = BpfLink.AttachTcx(program, index, type);
        link.Pin(path);
        return name;
    }

    private static void Detach(string path)
    {
        using BpfLink? link = BpfLink.TryOpenPinned(path);
        link?.Detach();
        File.Delete(path);
    }
}
