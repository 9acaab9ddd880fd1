// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>What is known of this node, and how the proxy is configured: with the objects, all that decides.</summary>
public sealed record NodeFacts
{
    /// <summary>Its name in the cluster; endpoints with it are local.</summary>
    public required string Name { get; init; }

    /// <summary>Its zone; empty if not known.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Its primary addresses, one of each family at most; sources of masqueraded packets.</summary>
    public ImmutableArray<IpAddress> PrimaryAddresses { get; init; } = [];

    /// <summary>All its addresses.</summary>
    public ImmutableArray<IpAddress> Addresses { get; init; } = [];

    /// <summary>Ranges of pod addresses; empty: pods cannot be told apart, and count as external.</summary>
    public ImmutableArray<AddressRange> PodRanges { get; init; } = [];

    /// <summary>Node ports are served on addresses in these ranges only; empty: on all.</summary>
    public ImmutableArray<AddressRange> NodePortRanges { get; init; } = [];

    /// <summary>Whether node ports are served on loopback addresses (IPv4 only, as kube-proxy).</summary>
    public bool LocalhostNodePorts { get; init; } = true;

    /// <summary>Whether everything through a ClusterIP is masqueraded (kube-proxy --masquerade-all).</summary>
    public bool MasqueradeAll { get; init; }

    /// <summary>How backends are chosen where a service does not say.</summary>
    public SelectionAlgorithm DefaultAlgorithm { get; init; }

    /// <summary>Whether answers go straight from the backend's node where a service does not say.</summary>
    public bool DefaultDirectReturn { get; init; }
}
