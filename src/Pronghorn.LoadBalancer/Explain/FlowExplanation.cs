// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>An endpoint of the service port that a flow is for, and what became of it.</summary>
/// <param name="Address">Address and port.</param>
/// <param name="Used">Whether the flow may go there.</param>
/// <param name="Reason">Why, or why not.</param>
/// <param name="Slice">The slice that it is from.</param>
public sealed record ExplainedEndpoint(string Address, bool Used, string Reason, string Slice);

/// <summary>What becomes of a flow and why, in words.</summary>
public sealed record FlowExplanation
{
    /// <summary>The flow.</summary>
    public required string Flow { get; init; }

    /// <summary>pass, forward, reject, drop or accept.</summary>
    public required string Outcome { get; init; }

    /// <summary>pod, node or external.</summary>
    public required string Client { get; init; }

    /// <summary>Why the client is of that class.</summary>
    public required string ClientReason { get; init; }

    /// <summary>Namespace and name; null if the flow is for no service.</summary>
    public string? Service { get; init; }

    /// <summary>Name of the service's port; may be empty.</summary>
    public string? Port { get; init; }

    /// <summary>ClusterIP, NodePort, LoadBalancer or ExternalIP; null if the flow is for no service.</summary>
    public string? Frontend { get; init; }

    /// <summary>Address and port of the frontend; for a node port the port alone, as "*:30080".</summary>
    public string? FrontendAddress { get; init; }

    /// <summary>What decided, in order.</summary>
    public required IReadOnlyList<string> Reasons { get; init; }

    /// <summary>Where the flow may go; empty unless it is forwarded.</summary>
    public IReadOnlyList<string> Backends { get; init; } = [];

    /// <summary>Whether the source is rewritten on the packet path.</summary>
    public bool Masquerades { get; init; }

    /// <summary>All endpoints of the service port.</summary>
    public IReadOnlyList<ExplainedEndpoint> Endpoints { get; init; } = [];

    /// <summary>What is wrong with the service and its slices.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}
