// SPDX-License-Identifier: Apache-2.0
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>What a proxy is told.</summary>
public sealed record ServiceProxyOptions
{
    /// <summary>What is configured of the node; its own object and the host's addresses are added to it.</summary>
    public required NodeFacts Node { get; init; }

    /// <summary>Cookie of the node's network namespace.</summary>
    public ulong NodeCookie { get; init; }

    /// <summary>Entries of a Maglev table.</summary>
    public int MaglevSize { get; init; } = MaglevTable.DefaultSize;

    /// <summary>Ports and timeouts of the packet layer.</summary>
    public ConnectionSettings Connections { get; init; } = new();
}
