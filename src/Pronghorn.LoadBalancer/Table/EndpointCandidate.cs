// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>What an endpoint's conditions come to; the higher, the better.</summary>
internal enum EndpointCondition
{
    /// <summary>Not ready, and not serving while it ends.</summary>
    Unusable,

    /// <summary>Ends, but still serves: used when nothing is ready.</summary>
    ServingTerminating,

    /// <summary>Takes connections.</summary>
    Ready,
}

/// <summary>An endpoint of one service port, before the choice.</summary>
internal sealed record EndpointCandidate
{
    internal required IpAddress Address { get; init; }

    internal required ushort Port { get; init; }

    internal required EndpointCondition Condition { get; init; }

    internal bool IsLocal { get; init; }

    internal string? NodeName { get; init; }

    internal string? Zone { get; init; }

    internal EndpointHints? Hints { get; init; }

    /// <summary>Where it was read.</summary>
    internal ObjectName Slice { get; init; }

    internal bool HasZoneHints => Hints?.ForZones is { Count: > 0 };

    internal bool HasNodeHints => Hints?.ForNodes is { Count: > 0 };

    internal bool IsHintedForZone(string zone) => zone.Length > 0 && Names(Hints?.ForZones, zone);

    internal bool IsHintedForNode(string node) => Names(Hints?.ForNodes, node);

    private static bool Names(IReadOnlyList<NamedHint?>? hints, string name)
    {
        foreach (NamedHint? hint in hints ?? [])
        {
            if (hint?.Name == name)
            {
                return true;
            }
        }

        return false;
    }
}
