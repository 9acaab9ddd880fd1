// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>An endpoint that takes connections.</summary>
/// <param name="Address">Its address.</param>
/// <param name="Port">1..65535.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="IsLocal">Whether it runs on this node.</param>
public readonly record struct Backend(IpAddress Address, ushort Port, IpProtocol Protocol, bool IsLocal);

/// <summary>How a backend is chosen.</summary>
public enum SelectionAlgorithm
{
    /// <summary>Uniformly at random.</summary>
    Random,

    /// <summary>By a Maglev table (Eisenbud et al., NSDI 2016), so that most flows keep their backend when the set changes.</summary>
    Maglev,
}

/// <summary>Names a service port of one address family: the unit that has an identifier in the data plane.</summary>
/// <param name="Service">Namespace and name.</param>
/// <param name="Port">Name of the port; may be empty.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
/// <param name="IsIpv6">Family.</param>
public readonly record struct ServicePortName(ObjectName Service, string Port, IpProtocol Protocol, bool IsIpv6);

/// <summary>All that the data plane needs of a service port.</summary>
public sealed record ServicePortState
{
    /// <summary>Which.</summary>
    public required ServicePortName Name { get; init; }

    /// <summary>Entries of the service table; in a stable order, keys unique within the service.</summary>
    public required ImmutableArray<Frontend> Frontends { get; init; }

    /// <summary>Usable endpoints for <see cref="EndpointScope.Cluster"/>; unique, in a stable order.</summary>
    public required ImmutableArray<Backend> ClusterBackends { get; init; }

    /// <summary>Usable endpoints for <see cref="EndpointScope.Local"/>; unique, in a stable order.</summary>
    public required ImmutableArray<Backend> LocalBackends { get; init; }

    /// <summary>Session affinity by client address; zero is none.</summary>
    public TimeSpan AffinityTimeout { get; init; }

    /// <summary>How a backend is chosen.</summary>
    public SelectionAlgorithm Algorithm { get; init; }

    /// <summary>Whether answers to external clients go straight from the backend's node.</summary>
    public bool DirectReturn { get; init; }

    /// <summary>Sources that a view with <see cref="FrontendView.ChecksSource"/> admits.</summary>
    public ImmutableArray<AddressRange> SourceRanges { get; init; } = [];

    /// <summary>The endpoints of a scope.</summary>
    public ImmutableArray<Backend> BackendsOf(EndpointScope scope) => scope == EndpointScope.Cluster ? ClusterBackends : LocalBackends;
}

/// <summary>A service, resolved: what the proxy does for it on this node.</summary>
public sealed record ServiceState
{
    /// <summary>Which.</summary>
    public required ObjectName Name { get; init; }

    /// <summary>When it was made; the older of two that claim an address has it, then the smaller name.</summary>
    public DateTimeOffset? Created { get; init; }

    /// <summary>Its ports, both families; empty for a service that needs no proxy (headless, ExternalName).</summary>
    public required ImmutableArray<ServicePortState> Ports { get; init; }

    /// <summary>Port of the health check; 0 is none.</summary>
    public ushort HealthCheckNodePort { get; init; }

    /// <summary>Ready endpoints on this node, for the health check.</summary>
    public int LocalReadyEndpoints { get; init; }

    /// <summary>What was wrong with it.</summary>
    public ImmutableArray<Problem> Problems { get; init; } = [];
}
