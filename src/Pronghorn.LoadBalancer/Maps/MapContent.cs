// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>What the maps hold: what an earlier run left behind, or what a test's store has.</summary>
public sealed class MapContent
{
    /// <summary>Frontends.</summary>
    public Dictionary<ServiceKey, ServiceValue> Services { get; } = [];

    /// <summary>Sets' backends by place.</summary>
    public Dictionary<SlotKey, uint> Slots { get; } = [];

    /// <summary>Backends.</summary>
    public Dictionary<uint, BackendValue> Backends { get; } = [];

    /// <summary>Sets' backends by identifier.</summary>
    public HashSet<MemberKey> Members { get; } = [];

    /// <summary>Whom service ports admit.</summary>
    public HashSet<SourceRangeKey> SourceRanges { get; } = [];

    /// <summary>Pods' ranges.</summary>
    public HashSet<AddressRangeKey> PodRanges { get; } = [];

    /// <summary>The node's addresses.</summary>
    public Dictionary<NetworkAddress, NodeAddressFlags> NodeAddresses { get; } = [];

    /// <summary>The settings; all zero before they were ever written.</summary>
    public SettingsValue Settings { get; set; }

    /// <summary>Service ports that have counters.</summary>
    public HashSet<uint> Counted { get; } = [];

    /// <summary>Maglev tables by set.</summary>
    public Dictionary<uint, uint[]> Tables { get; } = [];
}
