// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Steering;

/// <summary>
/// The programs of bpf/handoff.bpf.c on a node's interfaces and their tables. Links and maps are pinned: moved connections go on
/// while no daemon runs.
/// </summary>
public sealed class SteeringLayer : IDisposable
{
    /// <summary>Entries that each table has, unless said otherwise.</summary>
    public const int DefaultLimit = 65_536;

    private const string Resource = "handoff.bpf.o";
    private const string InboundMap = "handoff_inbound";
    private const string OutboundMap = "handoff_outbound";
    private const string SettingsMap = "handoff_settings";
    private const string CountersMap = "handoff_counters";
    private const string SharedMap = "handoff_shared";
    private const string SeekingMap = "handoff_seeking";

    // HANDOFF_COUNTERS_ROOM of bpf/common/handoff_maps.h.
    private const uint CountersRoom = 64;

    // After the last word of a daemon: it asks nobody any more.
    private const ulong SeekingNanoseconds = 5_000_000_000;

    private readonly BpfMap _settings;
    private readonly BpfMap _counters;
    private readonly BpfMap _seeking;

    private SteeringLayer(string folder)
    {
        Tables = new SteeringTables(
            BpfMap.OpenPinned(Path.Combine(folder, InboundMap)), BpfMap.OpenPinned(Path.Combine(folder, OutboundMap)));
        _settings = BpfMap.OpenPinned(Path.Combine(folder, SettingsMap));
        _counters = BpfMap.OpenPinned(Path.Combine(folder, CountersMap));
        _seeking = BpfMap.OpenPinned(Path.Combine(folder, SeekingMap));
    }

    /// <summary>The tables.</summary>
    public SteeringTables Tables { get; }

    /// <summary>Loads the programs and attaches them, or replaces those that are attached.</summary>
    /// <param name="folder">A folder of a mounted BPF file system, this instance's own.</param>
    /// <param name="interfaces">Indexes of the interfaces on which peers are reached and other nodes.</param>
    /// <param name="hold">Where packets wait during a move.</param>
    /// <param name="limit">
    /// Entries of each table. Tables that are there with another number stay as they are while there is anything in them.
    /// </param>
    /// <param name="shared">Addresses that several nodes have, at most 16: what is not known there is asked for.</param>
    /// <exception cref="BpfException">The kernel lacks something, or a step failed.</exception>
    public static SteeringLayer Start(
        string folder, IReadOnlyList<int> interfaces, TapDevice hold, int limit = DefaultLimit,
        IReadOnlyCollection<IpAddress>? shared = null)
    {
        ArgumentNullException.ThrowIfNull(interfaces);
        ArgumentNullException.ThrowIfNull(hold);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        string links = Path.Combine(folder, "links");
        BpfFileSystem.CreateFolder(links);
        using BpfObject opened = BpfObject.OpenResource(typeof(SteeringLayer).Assembly, Resource, folder);
        SetSizes(opened, folder, (uint)limit);
        opened.Load();
        var layer = new SteeringLayer(folder);
        try
        {
            layer._settings.Update(0u, (uint)hold.Index);
            layer._seeking.Update(0u, default(SeekingEntry));
            layer.Tables.EndHolds();
            SetShared(folder, shared ?? []);
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

    /// <summary>Takes over what <see cref="Start"/> of this process has set up, perhaps before it gave up its privileges.</summary>
    /// <exception cref="BpfException">It is not there.</exception>
    public static SteeringLayer Open(string folder) => new(folder);

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

    /// <summary>
    /// A daemon is there that asks other nodes for connections at shared addresses; to be said again before five seconds have passed.
    /// </summary>
    /// <param name="absence">
    /// For how long without a word of it packets of connections that it would ask for are dropped: resets could end what lives elsewhere.
    /// </param>
    public void KeepSeeking(TimeSpan absence)
    {
        ulong now = (ulong)Libc.MonotonicNanoseconds();
        _ = _seeking.Lookup(0u, out SeekingEntry entry);
        entry.AsksUntil = now + SeekingNanoseconds;
        entry.DropsUntil = now + ((ulong)absence.TotalMilliseconds * 1_000_000);
        _seeking.Update(0u, entry);
    }

    /// <summary>The daemon ends: nobody is asked any more, and what would be asked for is dropped as long as was said.</summary>
    public void PauseSeeking()
    {
        if (_seeking.Lookup(0u, out SeekingEntry entry) == 0)
        {
            entry.AsksUntil = 0;
            _seeking.Update(0u, entry);
        }
    }

    /// <summary>Lets go of the tables; what is attached stays.</summary>
    public void Dispose()
    {
        Tables.Dispose();
        _settings.Dispose();
        _counters.Dispose();
        _seeking.Dispose();
    }

    private static void SetShared(string folder, IReadOnlyCollection<IpAddress> shared)
    {
        using BpfMap map = BpfMap.OpenPinned(Path.Combine(folder, SharedMap));
        while (map.FirstKey(out MapAddress former) == 0)
        {
            map.Delete(former);
        }

        foreach (IpAddress address in shared)
        {
            int result = map.Update(MapAddress.From(address), 1u);
            if (result < 0)
            {
                throw new BpfException(BpfStep.UseMap, $"{SharedMap} for {address}", -result);
            }
        }
    }

    private static void SetSizes(BpfObject opened, string folder, uint limit)
    {
        (string Name, int ValueSize)[] tables =
            [(InboundMap, Unsafe.SizeOf<InboundEntry>()), (OutboundMap, Unsafe.SizeOf<OutboundEntry>())];
        foreach ((string name, int valueSize) in tables)
        {
            opened.SetMaximumEntries(name, RenewUnlessUsed(Path.Combine(folder, name), limit, valueSize) ?? limit);
        }

        // Of another version of the programs, with less room: they begin anew.
        using BpfMap? counters = BpfMap.TryOpenPinned(Path.Combine(folder, CountersMap));
        if (counters is not null && counters.MaximumEntries != CountersRoom)
        {
            BpfFileSystem.Unpin(Path.Combine(folder, CountersMap));
        }
    }

    /// <summary>Removes a pinned table of another size, unless connections are in it, which would be lost.</summary>
    /// <returns>The size of the table that stays; null where there is none any more.</returns>
    private static uint? RenewUnlessUsed(string path, uint limit, int valueSize)
    {
        using BpfMap? table = BpfMap.TryOpenPinned(path);
        if (table is null)
        {
            return null;
        }

        bool isSame = table.ValueSize == valueSize;
        bool isUsed = table.FirstKey(out ConnectionKey _) == 0;
        if (!isSame && isUsed)
        {
            throw new BpfException(
                BpfStep.UseMap,
                $"{path}, which another version of Pronghorn made and whose connections go on: this version cannot take them over; start "
                + $"it when they have ended, or remove {Path.GetDirectoryName(path)}, which ends them",
                Errno.Invalid);
        }

        if (isSame && (isUsed || table.MaximumEntries == limit))
        {
            return table.MaximumEntries;
        }

        BpfFileSystem.Unpin(path);
        return null;
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
