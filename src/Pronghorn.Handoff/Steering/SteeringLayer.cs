// SPDX-License-Identifier: Apache-2.0
using System;
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
    /// <summary>Entries that each table has, unless said otherwise.</summary>
    public const int DefaultLimit = 65_536;

    private const string Resource = "handoff.bpf.o";
    private const string InboundMap = "handoff_inbound";
    private const string OutboundMap = "handoff_outbound";
    private const string SettingsMap = "handoff_settings";
    private const string CountersMap = "handoff_counters";

    private readonly BpfMap _settings;
    private readonly BpfMap _counters;

    private SteeringLayer(string folder)
    {
        Tables = new SteeringTables(
            BpfMap.OpenPinned(Path.Combine(folder, InboundMap)), BpfMap.OpenPinned(Path.Combine(folder, OutboundMap)));
        _settings = BpfMap.OpenPinned(Path.Combine(folder, SettingsMap));
        _counters = BpfMap.OpenPinned(Path.Combine(folder, CountersMap));
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
    /// <exception cref="BpfException">The kernel lacks something, or a step failed.</exception>
    public static SteeringLayer Start(string folder, IReadOnlyList<int> interfaces, TapDevice hold, int limit = DefaultLimit)
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
            layer.Tables.EndHolds();
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

    /// <summary>Lets go of the tables; what is attached stays.</summary>
    public void Dispose()
    {
        Tables.Dispose();
        _settings.Dispose();
        _counters.Dispose();
    }

    private static void SetSizes(BpfObject opened, string folder, uint limit)
    {
        string[] tables = [InboundMap, OutboundMap];
        foreach (string table in tables)
        {
            opened.SetMaximumEntries(table, RenewUnlessUsed(Path.Combine(folder, table), limit) ?? limit);
        }

        // Of another version of the programs, with fewer counters: they begin anew.
        using BpfMap? counters = BpfMap.TryOpenPinned(Path.Combine(folder, CountersMap));
        if (counters is not null && counters.MaximumEntries != (uint)SteeringCounter.Count)
        {
            BpfFileSystem.Unpin(Path.Combine(folder, CountersMap));
        }
    }

    /// <summary>Removes a pinned table of another size, unless connections are in it, which would be lost.</summary>
    /// <returns>The size of the table that stays; null where there is none any more.</returns>
    private static uint? RenewUnlessUsed(string path, uint limit)
    {
        using BpfMap? table = BpfMap.TryOpenPinned(path);
        if (table is null || table.MaximumEntries == limit || table.FirstKey(out ConnectionKey _) == 0)
        {
            return table?.MaximumEntries;
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
