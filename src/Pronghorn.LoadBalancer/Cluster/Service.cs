// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>A v1 Service, as far as a proxy uses it. Field names and defaults: Kubernetes API reference, core/v1.</summary>
public sealed record Service
{
    /// <summary>Metadata.</summary>
    public Metadata Metadata { get; init; } = new();

    /// <summary>What is wanted.</summary>
    public ServiceSpec Spec { get; init; } = new();

    /// <summary>What a cloud provider has set up.</summary>
    public ServiceStatus Status { get; init; } = new();
}

/// <summary>core/v1 ServiceSpec.</summary>
public sealed record ServiceSpec
{
    /// <summary>ClusterIP, NodePort, LoadBalancer or ExternalName; null means ClusterIP.</summary>
    public string? Type { get; init; }

    /// <summary>The first cluster address; "None" for a headless service; null or empty without one.</summary>
    public string? ClusterIP { get; init; }

    /// <summary>One or two cluster addresses, of different families; null means <see cref="ClusterIP"/> alone.</summary>
    public IReadOnlyList<string>? ClusterIPs { get; init; }

    /// <summary>Ports.</summary>
    public IReadOnlyList<ServicePort>? Ports { get; init; }

    /// <summary>Addresses that the administrator routes to the nodes.</summary>
    public IReadOnlyList<string>? ExternalIPs { get; init; }

    /// <summary>None or ClientIP; null means None.</summary>
    public string? SessionAffinity { get; init; }

    /// <summary>Settings of the affinity.</summary>
    public SessionAffinityConfig? SessionAffinityConfig { get; init; }

    /// <summary>Cluster or Local; null means Cluster.</summary>
    public string? ExternalTrafficPolicy { get; init; }

    /// <summary>Cluster or Local; null means Cluster.</summary>
    public string? InternalTrafficPolicy { get; init; }

    /// <summary>Port of the health check for externalTrafficPolicy Local; 0 is none.</summary>
    public int HealthCheckNodePort { get; init; }

    /// <summary>Clients that may use the load balancer addresses (CIDR); null or empty: all.</summary>
    public IReadOnlyList<string>? LoadBalancerSourceRanges { get; init; }

    /// <summary>Who serves the load balancer; informational.</summary>
    public string? LoadBalancerClass { get; init; }

    /// <summary>IPv4, IPv6 in the order of <see cref="ClusterIPs"/>.</summary>
    public IReadOnlyList<string>? IpFamilies { get; init; }

    /// <summary>Whether endpoints that are not ready count as ready. (The control plane marks them ready in the slices.)</summary>
    public bool PublishNotReadyAddresses { get; init; }

    /// <summary>PreferClose, PreferSameZone or PreferSameNode; null: none.</summary>
    public string? TrafficDistribution { get; init; }

    /// <summary>Of an ExternalName service.</summary>
    public string? ExternalName { get; init; }
}

/// <summary>core/v1 ServicePort.</summary>
public sealed record ServicePort
{
    /// <summary>Name; empty when the service has one port.</summary>
    public string Name { get; init; } = "";

    /// <summary>TCP, UDP or SCTP; null means TCP.</summary>
    public string? Protocol { get; init; }

    /// <summary>1..65535.</summary>
    public int Port { get; init; }

    /// <summary>Port of every node; 0 is none.</summary>
    public int NodePort { get; init; }
}

/// <summary>core/v1 SessionAffinityConfig.</summary>
public sealed record SessionAffinityConfig
{
    /// <summary>By client address.</summary>
    public ClientIPConfig? ClientIP { get; init; }
}

/// <summary>core/v1 ClientIPConfig.</summary>
public sealed record ClientIPConfig
{
    /// <summary>Seconds, 1..86400; null means 10800.</summary>
    public int? TimeoutSeconds { get; init; }
}

/// <summary>core/v1 ServiceStatus.</summary>
public sealed record ServiceStatus
{
    /// <summary>Load balancer addresses.</summary>
    public LoadBalancerStatus? LoadBalancer { get; init; }
}

/// <summary>core/v1 LoadBalancerStatus.</summary>
public sealed record LoadBalancerStatus
{
    /// <summary>Where the service is reached from outside.</summary>
    public IReadOnlyList<LoadBalancerIngress>? Ingress { get; init; }
}

/// <summary>core/v1 LoadBalancerIngress.</summary>
public sealed record LoadBalancerIngress
{
    /// <summary>Address; null when there is only a host name.</summary>
    public string? Ip { get; init; }

    /// <summary>VIP (default) or Proxy; a node does not translate the address of a proxy.</summary>
    public string? IpMode { get; init; }
}
