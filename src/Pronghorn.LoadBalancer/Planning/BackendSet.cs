// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>How a set is kept beyond its slots.</summary>
internal readonly record struct SetOptions(bool HasMembers, bool HasTable, int TableSize);

/// <summary>
/// The backends that a service port uses in one scope. Edited in place: whatever number of slots a reader goes by, it finds
/// a backend of the old set or of the new one in each.
/// </summary>
internal sealed class BackendSet
{
    private readonly List<Place> _places = [];
    private bool _hasMembers;
    private bool _hasTable;

    public BackendSet(uint id) => Id = id;

    public uint Id { get; }

    public int Count => _places.Count;

    public bool HasMembers => _hasMembers;

    public bool HasTable => _hasTable;

    public BackendEntry this[int slot] => _places[slot].Entry!;

    /// <summary>Takes over a place of an earlier run, in order; null if what was there is not known.</summary>
    public void RestorePlace(BackendEntry? entry, BackendTable backends)
    {
        if (entry is not null)
        {
            backends.Acquire(entry.ToBackend() with { IsLocal = false });
        }

        _places.Add(new Place(entry, IsLocal: false));
    }

    /// <summary>How many of these it does not have.</summary>
    public int CountMissing(ImmutableArray<Backend> wanted, BackendTable backends)
    {
        HashSet<BackendEntry> present = PresentEntries();
        int missing = 0;
        foreach (Backend backend in wanted)
        {
            missing += backends.Find(backend) is { } entry && present.Contains(entry) ? 0 : 1;
        }

        return missing;
    }

    public bool Contains(in Backend backend, BackendTable backends)
    {
        BackendEntry? entry = backends.Find(backend);
        return entry is not null && _places.Exists(place => place.Entry == entry);
    }

    /// <summary>Makes the set have exactly these.</summary>
    public void Assign(ImmutableArray<Backend> wanted, SetOptions options, BackendTable backends, PlanBuilder plan)
    {
        if (_hasMembers && !options.HasMembers)
        {
            _places.ForEach(place => plan.DeleteMember(Id, place.Entry!.Id));
            _hasMembers = false;
        }

        bool changed = AssignPlaces(wanted, backends, plan);
        if (!_hasMembers && options.HasMembers)
        {
            _places.ForEach(place => plan.PutMember(Id, place.Entry!.Id));
            _hasMembers = true;
        }

        if (options.HasTable && (changed || !_hasTable))
        {
            plan.PutTable(Id, BuildTable(options.TableSize), isNew: !_hasTable);
        }
        else if (!options.HasTable && _hasTable)
        {
            plan.DeleteTable(Id);
        }

        _hasTable = options.HasTable;
    }

    /// <summary>Removes the set.</summary>
    public void Clear(BackendTable backends, PlanBuilder plan) => Assign([], default, backends, plan);

    private bool AssignPlaces(ImmutableArray<Backend> wanted, BackendTable backends, PlanBuilder plan)
    {
        // Wanted entries, with what this set says of where they run; those that are kept are taken out.
        var missing = new Dictionary<BackendEntry, bool>(wanted.Length);
        var order = new List<BackendEntry>(wanted.Length);
        foreach (Backend backend in wanted)
        {
            BackendEntry entry = backends.Acquire(backend);
            if (missing.TryAdd(entry, backend.IsLocal))
            {
                order.Add(entry);
            }
            else
            {
                backends.Release(entry, backend.IsLocal);
            }
        }

        var fillers = new Queue<Place>();
        var removed = new List<Place>();
        int count = order.Count;
        var isHole = new bool[Math.Min(count, _places.Count)];
        for (int slot = 0; slot < _places.Count; slot++)
        {
            Place place = _places[slot];
            bool isKept = place.Entry is not null && missing.Remove(place.Entry, out bool isLocal)
                && Keep(slot, isLocal, backends);
            if (!isKept)
            {
                removed.Add(place);
            }
            else if (slot >= count)
            {
                fillers.Enqueue(_places[slot]);
            }

            if (slot < count)
            {
                isHole[slot] = !isKept;
            }
        }

        foreach (BackendEntry entry in order)
        {
            if (missing.TryGetValue(entry, out bool isLocal))
            {
                fillers.Enqueue(new Place(entry, isLocal));
                if (_hasMembers)
                {
                    plan.PutMember(Id, entry.Id);
                }
            }
        }

        bool changed = removed.Count > 0 || missing.Count > 0;
        Fill(isHole, fillers, count, plan);
        Drop(removed, backends, plan);
        return changed;
    }

    /// <summary>Gives the old reference back: the kept place goes on with the one taken for the new set.</summary>
    private bool Keep(int slot, bool isLocal, BackendTable backends)
    {
        Place place = _places[slot];
        backends.Release(place.Entry!, place.IsLocal);
        _places[slot] = place with { IsLocal = isLocal };
        return true;
    }

    private void Fill(bool[] isHole, Queue<Place> fillers, int count, PlanBuilder plan)
    {
        for (int slot = 0; slot < count; slot++)
        {
            if (slot < isHole.Length && !isHole[slot])
            {
                continue;
            }

            Place filler = fillers.Dequeue();
            bool isNew = slot >= _places.Count;
            if (isNew)
            {
                _places.Add(filler);
            }
            else
            {
                _places[slot] = filler;
            }

            plan.PutSlot(Id, slot, filler.Entry!.Id, isNew);
        }

        for (int slot = _places.Count - 1; slot >= count; slot--)
        {
            plan.DeleteSlot(Id, slot);
            _places.RemoveAt(slot);
        }
    }

    private void Drop(List<Place> removed, BackendTable backends, PlanBuilder plan)
    {
        foreach (Place place in removed)
        {
            if (place.Entry is null)
            {
                continue;
            }

            backends.Release(place.Entry, place.IsLocal);
            if (_hasMembers)
            {
                plan.DeleteMember(Id, place.Entry.Id);
            }
        }
    }

    private HashSet<BackendEntry> PresentEntries()
    {
        var present = new HashSet<BackendEntry>(_places.Count);
        foreach (Place place in _places)
        {
            if (place.Entry is not null)
            {
                present.Add(place.Entry);
            }
        }

        return present;
    }

    private uint[] BuildTable(int size)
    {
        var backends = new Backend[_places.Count];
        var identifiers = new uint[_places.Count];
        for (int slot = 0; slot < backends.Length; slot++)
        {
            backends[slot] = _places[slot].Entry!.ToBackend();
            identifiers[slot] = _places[slot].Entry!.Id;
        }

        return MaglevTable.Build(backends, identifiers, size);
    }

    private readonly record struct Place(BackendEntry? Entry, bool IsLocal);
}
