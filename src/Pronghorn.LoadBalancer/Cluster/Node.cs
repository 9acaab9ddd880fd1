// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>A core/v1 Node, as far as a proxy uses it.</summary>
public sealed record Node
{
    /// <summary>Metadata; labels carry the zone.</summary>
    public Metadata Metadata { get; init; } = new();

    /// <summary>What is wanted.</summary>
    public NodeSpec Spec { get; init; } = new();

    /// <summary>What is so.</summary>
    public NodeStatus Status { get; init; } = new();
}

/// <summary>core/v1 NodeSpec.</summary>
public sealed record NodeSpec
{
    /// <summary>Address ranges (CIDR) of this node's pods, one of each family.</summary>
    public IReadOnlyList<string>? PodCIDRs { get; init; }
}

/// <summary>core/v1 NodeStatus.</summary>
public sealed record NodeStatus
{
    /// <summary>Addresses; they may come after the node itself.</summary>
    public IReadOnlyList<NodeAddress>? Addresses { get; init; }
}

/// <summary>core/v1 NodeAddress.</summary>
public sealed record NodeAddress
{
    /// <summary>InternalIP, ExternalIP, Hostname, ...</summary>
    public string? Type { get; init; }

    /// <summary>The address.</summary>
    public string? Address { get; init; }
}
