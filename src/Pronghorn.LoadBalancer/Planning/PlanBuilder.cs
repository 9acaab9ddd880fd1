// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>
/// Collects the writes of a round by phase. Whatever an entry refers to is made in an earlier phase than the entry, and
/// removed in a later one than it.
/// </summary>
internal sealed class PlanBuilder
{
    private readonly List<MapWrite>[] _phases = new List<MapWrite>[(int)Phase.Count];
    private readonly List<MapWrite> _writes = [];
    private readonly MapUsage _usage;

    public PlanBuilder(MapUsage usage)
    {
        _usage = usage;
        for (int phase = 0; phase < _phases.Length; phase++)
        {
            _phases[phase] = [];
        }
    }

    private enum Phase
    {
        Marks,
        FrontendsRemoved,
        Backends,
        Slots,
        Members,
        Tables,
        SourceRanges,
        Counts,
        Frontends,
        SourceRangesRemoved,
        CountsRemoved,
        TablesRemoved,
        MembersRemoved,
        SlotsRemoved,
        BackendsRemoved,
        Count,
    }

    /// <summary>
    /// What an earlier run left behind, until the first synchronisation is complete. Meanwhile what is there already is not
    /// written, and nothing is removed one by one: <see cref="Prune"/> removes all that is not wanted at the end.
    /// </summary>
    public MapContent? Restored { get; set; }

    public void PutMark(IdentifierKind kind, uint mark)
    {
        var key = new SlotKey { Set = 0, Slot = (uint)kind };
        _phases[(int)Phase.Marks].Add(MapWrite.Put(ServiceMap.Slots, key, mark));
    }

    public void PutFrontend(in ServiceKey key, in ServiceValue value, bool isNew)
    {
        if (IsWanted(Restored?.Services, key, value, ref isNew))
        {
            Put(Phase.Frontends, MapWrite.Put(ServiceMap.Services, key, value), isNew);
        }
    }

    public void PutBackend(uint id, in BackendValue value, bool isNew)
    {
        if (IsWanted(Restored?.Backends, id, value, ref isNew))
        {
            Put(Phase.Backends, MapWrite.Put(ServiceMap.Backends, id, value), isNew);
        }
    }

    public void PutSlot(uint set, int slot, uint backend, bool isNew)
    {
        var key = new SlotKey { Set = set, Slot = (uint)slot };
        if (IsWanted(Restored?.Slots, key, backend, ref isNew))
        {
            Put(Phase.Slots, MapWrite.Put(ServiceMap.Slots, key, backend), isNew);
        }
    }

    public void PutMember(uint set, uint backend)
    {
        var key = new MemberKey { Set = set, Backend = backend };
        if (Restored?.Members.Contains(key) != true)
        {
            Put(Phase.Members, MapWrite.Put(ServiceMap.Members, key, 1u), isNew: true);
        }
    }

    public void PutTable(uint set, uint[] table, bool isNew)
    {
        if (Restored is not null && Restored.Tables.TryGetValue(set, out uint[]? present))
        {
            isNew = false;
            if (present.AsSpan().SequenceEqual(table))
            {
                return;
            }
        }

        Put(Phase.Tables, MapWrite.PutTable(set, table), isNew);
    }

    public void PutSourceRange(uint service, in AddressRange range)
    {
        var key = SourceRangeKey.From(service, range);
        if (Restored?.SourceRanges.Contains(key) != true)
        {
            Put(Phase.SourceRanges, MapWrite.Put(ServiceMap.SourceRanges, key, 1u), isNew: true);
        }
    }

    public void PutCount(uint service)
    {
        if (Restored?.Counted.Contains(service) != true)
        {
            Put(Phase.Counts, MapWrite.Put(ServiceMap.ServiceCounts, service, default(ServiceCount)), isNew: true);
        }
    }

    public void DeleteFrontend(in ServiceKey key) => Delete(Phase.FrontendsRemoved, MapWrite.Delete(ServiceMap.Services, key));

    public void DeleteBackend(uint id) => Delete(Phase.BackendsRemoved, MapWrite.Delete(ServiceMap.Backends, id));

    public void DeleteSlot(uint set, int slot) =>
        Delete(Phase.SlotsRemoved, MapWrite.Delete(ServiceMap.Slots, new SlotKey { Set = set, Slot = (uint)slot }));

    public void DeleteMember(uint set, uint backend) =>
        Delete(Phase.MembersRemoved, MapWrite.Delete(ServiceMap.Members, new MemberKey { Set = set, Backend = backend }));

    public void DeleteTable(uint set) => Delete(Phase.TablesRemoved, MapWrite.Delete(ServiceMap.Maglev, set));

    public void DeleteSourceRange(uint service, in AddressRange range) =>
        Delete(Phase.SourceRangesRemoved, MapWrite.Delete(ServiceMap.SourceRanges, SourceRangeKey.From(service, range)));

    public void DeleteCount(uint service) => Delete(Phase.CountsRemoved, MapWrite.Delete(ServiceMap.ServiceCounts, service));

    /// <summary>Removes what an earlier run left behind and nobody wants.</summary>
    /// <param name="live">All that is wanted; of dictionaries the keys count.</param>
    public void Prune(MapContent live)
    {
        MapContent restored = Restored ?? throw new InvalidOperationException("Nothing was restored.");
        Restored = null;
        DeleteUnless(restored.Services.Keys, live.Services.ContainsKey, key => DeleteFrontend(key));
        DeleteUnless(restored.Backends.Keys, live.Backends.ContainsKey, DeleteBackend);
        DeleteUnless(
            restored.Slots.Keys, key => key.Set == 0 || live.Slots.ContainsKey(key), key => DeleteSlot(key.Set, (int)key.Slot));
        DeleteUnless(restored.Members, live.Members.Contains, key => DeleteMember(key.Set, key.Backend));
        DeleteUnless(restored.Tables.Keys, live.Tables.ContainsKey, DeleteTable);
        DeleteUnless(restored.Counted, live.Counted.Contains, DeleteCount);
        DeleteUnless(
            restored.SourceRanges,
            live.SourceRanges.Contains,
            key => Delete(Phase.SourceRangesRemoved, MapWrite.Delete(ServiceMap.SourceRanges, key)));
    }

    /// <summary>Ends a round: its writes come after those of the rounds before.</summary>
    public void EndRound()
    {
        foreach (List<MapWrite> phase in _phases)
        {
            _writes.AddRange(phase);
            phase.Clear();
        }

        _usage.EndRound();
    }

    /// <summary>Takes the writes of all rounds.</summary>
    public MapWrite[] Take()
    {
        MapWrite[] writes = [.. _writes];
        _writes.Clear();
        if (_writes.Capacity > 65536)
        {
            // What the first synchronisation took is not kept for good.
            _writes.TrimExcess();
            Array.ForEach(_phases, phase => phase.TrimExcess());
        }

        return writes;
    }

    private static bool IsWanted<TKey, TValue>(Dictionary<TKey, TValue>? restored, in TKey key, in TValue value, ref bool isNew)
        where TKey : notnull
    {
        if (restored is null || !restored.TryGetValue(key, out TValue? present))
        {
            return true;
        }

        isNew = false;
        return !EqualityComparer<TValue>.Default.Equals(present, value);
    }

    private static void DeleteUnless<TKey>(IEnumerable<TKey> restored, Func<TKey, bool> isLive, Action<TKey> delete)
    {
        foreach (TKey key in restored)
        {
            if (!isLive(key))
            {
                delete(key);
            }
        }
    }

    private void Put(Phase phase, in MapWrite write, bool isNew)
    {
        _phases[(int)phase].Add(write);
        if (isNew)
        {
            _usage.Add(write.Map);
        }
    }

    private void Delete(Phase phase, in MapWrite write)
    {
        if (Restored is null)
        {
            _phases[(int)phase].Add(write);
            _usage.Remove(write.Map);
        }
    }
}
