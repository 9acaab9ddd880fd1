// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using Pronghorn.LoadBalancer.Maps;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>Entries that something takes in each map.</summary>
internal struct MapNeed
{
    private PerMap _entries;

    public int this[ServiceMap map]
    {
        readonly get => _entries[(int)map];
        set => _entries[(int)map] = value;
    }

    [InlineArray(ServiceMaps.Count)]
    private struct PerMap
    {
        private int _first;
    }
}

/// <summary>
/// Counts the entries of each map against what it can hold. Entries are made before others are removed, so what is
/// removed counts only once the round of changes has ended.
/// </summary>
internal sealed class MapUsage
{
    private readonly MapCapacities _capacities;
    private MapNeed _used;
    private MapNeed _reserved;
    private MapNeed _freed;

    public MapUsage(MapCapacities capacities)
    {
        _capacities = capacities;
        _used = default;
    }

    /// <summary>
    /// Whether what is there counts for nothing, since it is either taken over, and then measured, or about to be removed.
    /// </summary>
    public bool IgnoresPresent { get; set; }


    /// <summary>Whether the round that has ended made room.</summary>
    public bool HasFreed { get; private set; }

    public int UsedOf(ServiceMap map) => _used[map];

    public int CapacityOf(ServiceMap map) => _capacities[map];

    public void Add(ServiceMap map, int entries = 1) => _used[map] += entries;

    public void Remove(ServiceMap map) => _freed[map]++;

    /// <summary>Sets entries aside until the round ends, if all maps have room for them.</summary>
    /// <param name="need">Entries.</param>
    /// <param name="full">The first map that has no room.</param>
    public bool TryReserve(in MapNeed need, out ServiceMap full)
    {
        for (full = 0; (int)full < ServiceMaps.Count; full++)
        {
            long present = IgnoresPresent ? 0 : _used[full];
            if (need[full] > 0 && present + _reserved[full] + need[full] > _capacities[full])
            {
                return false;
            }
        }

        for (ServiceMap map = 0; (int)map < ServiceMaps.Count; map++)
        {
            _reserved[map] += need[map];
        }

        return true;
    }

    public void EndRound()
    {
        HasFreed = false;
        for (ServiceMap map = 0; (int)map < ServiceMaps.Count; map++)
        {
            HasFreed |= _freed[map] > 0;
            _used[map] -= _freed[map];
        }

        _freed = default;
        _reserved = default;
    }
}

/// <summary>How many entries each map can hold.</summary>
public sealed class MapCapacities
{
    private readonly int[] _entries = new int[ServiceMaps.Count];

    /// <summary>As the store says.</summary>
    public MapCapacities(Func<ServiceMap, int> capacityOf)
    {
        ArgumentNullException.ThrowIfNull(capacityOf);
        for (ServiceMap map = 0; (int)map < ServiceMaps.Count; map++)
        {
            _entries[(int)map] = capacityOf(map);
        }
    }

    /// <summary>Without bounds.</summary>
    public static MapCapacities Unlimited { get; } = new(_ => int.MaxValue);

    /// <summary>Entries of a map.</summary>
    public int this[ServiceMap map] => _entries[(int)map];
}
