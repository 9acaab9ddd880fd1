// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>What becomes of a flow.</summary>
public enum FlowOutcome
{
    /// <summary>No service: the packet goes on as if there were no proxy.</summary>
    Pass,

    /// <summary>Goes to one of the backends.</summary>
    Forward,

    /// <summary>Is refused.</summary>
    Reject,

    /// <summary>Is dropped.</summary>
    Drop,

    /// <summary>Reaches the node's health check of a service.</summary>
    Accept,
}

/// <summary>What the tables say of a flow.</summary>
public sealed record FlowVerdict
{
    /// <summary>What becomes of it.</summary>
    public required FlowOutcome Outcome { get; init; }

    /// <summary>The class of its sender.</summary>
    public required ClientClass Client { get; init; }

    /// <summary>The service that it is for; null if none.</summary>
    public ObjectName? Service { get; init; }

    /// <summary>The service port; null unless a frontend was found.</summary>
    public ServicePortState? Port { get; init; }

    /// <summary>The frontend; null if there is none.</summary>
    public Frontend? Frontend { get; init; }

    /// <summary>Where it may go; empty unless forwarded.</summary>
    public ImmutableArray<Backend> Backends { get; init; } = [];

    /// <summary>Whether the source is rewritten on the packet path, for at least one of the backends.</summary>
    public bool Masquerades { get; init; }

    /// <summary>Whether it is dropped because its source is outside the service's ranges.</summary>
    public bool IsOutsideSourceRanges { get; init; }
}
