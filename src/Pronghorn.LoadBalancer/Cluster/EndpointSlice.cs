// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>A discovery.k8s.io/v1 EndpointSlice.</summary>
public sealed record EndpointSlice
{
    /// <summary>The label that names the slice's service.</summary>
    public const string ServiceNameLabel = "kubernetes.io/service-name";

    /// <summary>Metadata; <see cref="ServiceNameLabel"/> is what ties it to a service of its namespace.</summary>
    public Metadata Metadata { get; init; } = new();

    /// <summary>IPv4, IPv6 or FQDN (ignored).</summary>
    public string? AddressType { get; init; }

    /// <summary>Endpoints.</summary>
    public IReadOnlyList<Endpoint>? Endpoints { get; init; }

    /// <summary>Ports, by the names of the service's ports.</summary>
    public IReadOnlyList<EndpointPort>? Ports { get; init; }
}

/// <summary>discovery/v1 Endpoint.</summary>
public sealed record Endpoint
{
    /// <summary>Addresses; consumers use the first.</summary>
    public IReadOnlyList<string>? Addresses { get; init; }

    /// <summary>Conditions; null means ready.</summary>
    public EndpointConditions? Conditions { get; init; }

    /// <summary>Node that it runs on; null if not known.</summary>
    public string? NodeName { get; init; }

    /// <summary>Zone that it runs in; null if not known.</summary>
    public string? Zone { get; init; }

    /// <summary>Which consumers it is meant for.</summary>
    public EndpointHints? Hints { get; init; }
}

/// <summary>discovery/v1 EndpointConditions: null ready and serving mean true, null terminating means false.</summary>
public sealed record EndpointConditions
{
    /// <summary>Takes new connections.</summary>
    public bool? Ready { get; init; }

    /// <summary>Answers, also while it terminates.</summary>
    public bool? Serving { get; init; }

    /// <summary>Ends.</summary>
    public bool? Terminating { get; init; }
}

/// <summary>discovery/v1 EndpointHints.</summary>
public sealed record EndpointHints
{
    /// <summary>Zones.</summary>
    public IReadOnlyList<NamedHint>? ForZones { get; init; }

    /// <summary>Nodes.</summary>
    public IReadOnlyList<NamedHint>? ForNodes { get; init; }
}

/// <summary>discovery/v1 ForZone and ForNode.</summary>
public sealed record NamedHint
{
    /// <summary>Name of the zone or node.</summary>
    public string Name { get; init; } = "";
}

/// <summary>discovery/v1 EndpointPort.</summary>
public sealed record EndpointPort
{
    /// <summary>Name of the service port; null is the empty name.</summary>
    public string? Name { get; init; }

    /// <summary>TCP, UDP or SCTP; null means TCP.</summary>
    public string? Protocol { get; init; }

    /// <summary>Port of the endpoints; null means that the slice does not say, and the port is ignored.</summary>
    public int? Port { get; init; }
}
