// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>
/// How many entries each map of the data plane holds. All come from the configuration ("maps" there), so that no limit is met
/// silently; a map that is full is an error that names the setting. Sizes of maps that are pinned cannot be changed in place.
/// </summary>
/// <remarks>
/// The tables of services take memory as they fill; the least-recently-used ones (affinity, sockets, connections) take all of
/// theirs at once.
/// </remarks>
public sealed record MapSizes
{
    /// <summary>Most entries that a setting may ask for.</summary>
    public const uint Largest = 1 << 26;

    // Primes, because a Maglev table of another size is uneven (Eisenbud et al., NSDI 2016, 3.4).
    private static readonly ImmutableArray<uint> s_maglevSizes = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071];

    /// <summary>Frontends: each address and port of each service, a node port once for each family.</summary>
    public uint Services { get; init; } = 262_144;

    /// <summary>Places of sets: twice the endpoints of all service ports, since local ones are in two sets.</summary>
    public uint Slots { get; init; } = 1_048_576;

    /// <summary>Different backends.</summary>
    public uint Backends { get; init; } = 524_288;

    /// <summary>Places of the sets of service ports that have session affinity.</summary>
    public uint Members { get; init; } = 524_288;

    /// <summary>Source ranges of all service ports.</summary>
    public uint SourceRanges { get; init; } = 65_536;

    /// <summary>Ranges of pods' addresses.</summary>
    public uint PodRanges { get; init; } = 4_096;

    /// <summary>Addresses of the node.</summary>
    public uint NodeAddresses { get; init; } = 4_096;

    /// <summary>Service ports that are counted.</summary>
    public uint ServiceCounts { get; init; } = 262_144;

    /// <summary>Clients whose backend is remembered; beyond that the longest unused are forgotten.</summary>
    public uint Affinity { get; init; } = 65_536;

    /// <summary>Sets that are chosen from by Maglev.</summary>
    public uint MaglevSets { get; init; } = 65_536;

    /// <summary>Places of a Maglev table: a prime of 251, 509, ... 131071. At least 100 times the backends of a set.</summary>
    public uint MaglevSize { get; init; } = 16_381;

    /// <summary>Sockets connected to services; beyond that the longest unused show their backend's address.</summary>
    public uint Sockets { get; init; } = 65_536;

    /// <summary>
    /// Tracked ends of connections of the packet path, two for each connection; beyond that the longest unused are forgotten. 200 bytes
    /// each.
    /// </summary>
    public uint Connections { get; init; } = 524_288;

    /// <summary>Fragmented packets whose ports are remembered.</summary>
    public uint Fragments { get; init; } = 8_192;

    /// <summary>The sizes by the names of the maps in the object files, with the name of the setting.</summary>
    public IReadOnlyDictionary<string, (string Setting, uint Entries)> ByMap => new Dictionary<string, (string, uint)>
    {
        ["services"] = ("services", Services),
        ["slots"] = ("slots", Slots),
        ["backends"] = ("backends", Backends),
        ["members"] = ("members", Members),
        ["source_ranges"] = ("sourceRanges", SourceRanges),
        ["pod_ranges"] = ("podRanges", PodRanges),
        ["node_addresses"] = ("nodeAddresses", NodeAddresses),
        ["service_counts"] = ("serviceCounts", ServiceCounts),
        ["affinity"] = ("affinity", Affinity),
        ["maglev"] = ("maglevSets", MaglevSets),
        ["socket_reverse"] = ("sockets", Sockets),
        ["connections"] = ("connections", Connections),
        ["fragments"] = ("fragments", Fragments),
    };

    /// <summary>What is wrong with the sizes; empty when nothing is.</summary>
    public IReadOnlyList<string> Validate()
    {
        List<string> problems = [];
        foreach ((string setting, uint entries) in ByMap.Values)
        {
            if (entries is 0 or > Largest)
            {
                problems.Add(string.Create(
                    CultureInfo.InvariantCulture, $"maps.{setting} is {entries}; it must be between 1 and {Largest}"));
            }
        }

        if (!s_maglevSizes.Contains(MaglevSize))
        {
            problems.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"maps.maglevSize is {MaglevSize}; it must be one of {string.Join(", ", s_maglevSizes)}"));
        }

        return problems;
    }

    /// <summary>Sets the sizes of those maps that an object has.</summary>
    /// <exception cref="ArgumentException">A size is out of its range.</exception>
    public void ApplyTo(BpfObject opened)
    {
        ArgumentNullException.ThrowIfNull(opened);
        IReadOnlyList<string> problems = Validate();
        if (problems.Count > 0)
        {
            throw new ArgumentException(string.Join("; ", problems), nameof(opened));
        }

        IReadOnlyDictionary<string, (string Setting, uint Entries)> sizes = ByMap;
        foreach (string map in opened.MapNames)
        {
            if (sizes.TryGetValue(map, out (string Setting, uint Entries) size))
            {
                opened.SetMaximumEntries(map, size.Entries);
            }

            if (map == "maglev")
            {
                opened.SetInnerValueSize(map, MaglevSize * sizeof(uint));
            }
        }
    }
}
