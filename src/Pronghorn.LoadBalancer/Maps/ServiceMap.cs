// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>The maps that user space writes (bpf/common/service_maps.h).</summary>
public enum ServiceMap
{
    /// <summary>services: frontends.</summary>
    Services,

    /// <summary>slots: sets' backends by place.</summary>
    Slots,

    /// <summary>backends: where connections go.</summary>
    Backends,

    /// <summary>members: sets' backends by identifier.</summary>
    Members,

    /// <summary>source_ranges: whom a service port admits.</summary>
    SourceRanges,

    /// <summary>pod_ranges: which sources are pods.</summary>
    PodRanges,

    /// <summary>node_addresses: which addresses are the node's.</summary>
    NodeAddresses,

    /// <summary>settings: one entry.</summary>
    Settings,

    /// <summary>service_counts: counters by service port.</summary>
    ServiceCounts,

    /// <summary>maglev: tables by set.</summary>
    Maglev,
}

/// <summary>What is fixed of each map.</summary>
public static class ServiceMaps
{
    /// <summary>How many maps there are.</summary>
    public const int Count = 10;

    /// <summary>The map's name in the object file and on the bpf file system.</summary>
    public static string NameOf(ServiceMap map) => map switch
    {
        ServiceMap.Services => "services",
        ServiceMap.Slots => "slots",
        ServiceMap.Backends => "backends",
        ServiceMap.Members => "members",
        ServiceMap.SourceRanges => "source_ranges",
        ServiceMap.PodRanges => "pod_ranges",
        ServiceMap.NodeAddresses => "node_addresses",
        ServiceMap.Settings => "settings",
        ServiceMap.ServiceCounts => "service_counts",
        ServiceMap.Maglev => "maglev",
        _ => throw new ArgumentOutOfRangeException(nameof(map)),
    };

    /// <summary>The setting of the configuration that says how many entries the map holds; see <see cref="DataPlane.MapSizes"/>.</summary>
    public static string SettingOf(ServiceMap map) => map switch
    {
        ServiceMap.SourceRanges => "maps.sourceRanges",
        ServiceMap.PodRanges => "maps.podRanges",
        ServiceMap.NodeAddresses => "maps.nodeAddresses",
        ServiceMap.ServiceCounts => "maps.serviceCounts",
        ServiceMap.Maglev => "maps.maglevSets",
        _ => "maps." + NameOf(map),
    };

    /// <summary>Octets of a key.</summary>
    public static int KeySizeOf(ServiceMap map) => map switch
    {
        ServiceMap.Services or ServiceMap.PodRanges => 20,
        ServiceMap.Slots or ServiceMap.Members => 8,
        ServiceMap.SourceRanges => 24,
        ServiceMap.NodeAddresses => 16,
        _ => sizeof(uint),
    };

    /// <summary>Octets of a value; of one processor's part of a counter, and 0 for a Maglev table, whose size is configured.</summary>
    public static int ValueSizeOf(ServiceMap map) => map switch
    {
        ServiceMap.Services => 48,
        ServiceMap.Backends => 20,
        ServiceMap.Settings => 80,
        ServiceMap.ServiceCounts => 40,
        ServiceMap.Maglev => 0,
        _ => sizeof(uint),
    };
}
