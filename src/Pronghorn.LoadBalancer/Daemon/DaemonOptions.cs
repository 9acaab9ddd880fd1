// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using System.Net;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>How a daemon runs.</summary>
public sealed record DaemonOptions
{
    /// <summary>Name of the instance; several can run in different network namespaces.</summary>
    public string Instance { get; init; } = "default";

    /// <summary>Where it learns of services.</summary>
    public required IClusterSource Source { get; init; }

    /// <summary>The same in words, for the status.</summary>
    public required string SourceText { get; init; }

    /// <summary>What is configured of the node.</summary>
    public required NodeFacts Node { get; init; }

    /// <summary>The cgroup whose processes are served; null: the root, that is all.</summary>
    public string? Cgroup { get; init; }

    /// <summary>Interfaces that clients and other nodes are behind.</summary>
    public ImmutableArray<string> Interfaces { get; init; } = [];

    /// <summary>Patterns of pod interfaces.</summary>
    public ImmutableArray<string> PodInterfaces { get; init; } = [];

    /// <summary>Whether packets are taken already by XDP.</summary>
    public XdpChoice Xdp { get; init; }

    /// <summary>Sizes of the maps.</summary>
    public MapSizes Maps { get; init; } = new();

    /// <summary>Ports and timeouts of the packet layer.</summary>
    public ConnectionSettings Connections { get; init; } = new();

    /// <summary>Whether TCP connections to backends that are gone are ended, as UDP ones are always.</summary>
    public bool EndsTcp { get; init; }

    /// <summary>Where /healthz and /livez are answered; null: nowhere.</summary>
    public IPEndPoint? HealthEndPoint { get; init; } = new(IPAddress.IPv6Any, 10256);

    /// <summary>Where /metrics is answered; null: nowhere.</summary>
    public IPEndPoint? MetricsEndPoint { get; init; } = new(IPAddress.Loopback, 10249);

    /// <summary>Its files.</summary>
    public string RuntimeRoot { get; init; } = RuntimePaths.DefaultRoot;
}
