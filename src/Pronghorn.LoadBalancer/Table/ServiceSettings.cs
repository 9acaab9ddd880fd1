// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>A service's addresses of one family.</summary>
/// <param name="Cluster">The cluster address.</param>
/// <param name="LoadBalancer">Addresses of the load balancer that the node is to translate.</param>
/// <param name="External">External addresses.</param>
/// <param name="SourceRanges">Who may use the load balancer addresses; means nothing unless the service has ranges at all.</param>
internal sealed record FamilyAddresses(
    IpAddress Cluster,
    ImmutableArray<IpAddress> LoadBalancer,
    ImmutableArray<IpAddress> External,
    ImmutableArray<AddressRange> SourceRanges)
{
    internal bool IsIpv6 => !Cluster.IsIpv4;
}

/// <summary>One port of a service.</summary>
/// <param name="Name">Name; may be empty.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="Port">1..65535.</param>
/// <param name="NodePort">1..65535; 0 is none.</param>
internal readonly record struct PortSettings(string Name, IpProtocol Protocol, ushort Port, ushort NodePort);

/// <summary>What endpoints a consumer prefers (spec.trafficDistribution).</summary>
internal enum Preference
{
    None,
    SameZone,
    SameNode,
}

/// <summary>A service object, read and checked: nothing here can be wrong any more.</summary>
internal sealed record ServiceSettings
{
    internal required ObjectName Name { get; init; }

    /// <summary>Empty for a service that needs no proxy.</summary>
    internal ImmutableArray<FamilyAddresses> Families { get; init; } = [];

    internal ImmutableArray<PortSettings> Ports { get; init; } = [];

    /// <summary>Why it needs no proxy; null if it does.</summary>
    internal string? SkipReason { get; init; }

    /// <summary>Whether it has node ports, load balancer addresses or external addresses.</summary>
    internal bool IsExternallyAccessible { get; init; }

    internal bool IsExternalLocal { get; init; }

    internal bool IsInternalLocal { get; init; }

    internal bool HasSourceRanges { get; init; }

    internal bool PublishesNotReady { get; init; }

    internal Preference Preference { get; init; }

    internal TimeSpan AffinityTimeout { get; init; }

    internal SelectionAlgorithm? Algorithm { get; init; }

    internal bool? DirectReturn { get; init; }

    internal ushort HealthCheckNodePort { get; init; }

    /// <summary>External clients of a Local policy are short-cut to the cluster's endpoints from inside, so both sets are wanted.</summary>
    internal bool UsesClusterEndpoints => !IsInternalLocal || IsExternallyAccessible;

    internal bool UsesLocalEndpoints => IsInternalLocal || IsExternalLocal;
}
