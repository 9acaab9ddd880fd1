// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Handoff.Moves;

/// <summary>How long a node's own part of a freeze takes; the rest of it is the way to the other node, and waking there.</summary>
public sealed class MoveDurations
{
    /// <summary>As the origin: holding, reading the socket out, redirecting.</summary>
    public DurationHistogram Captures { get; } = new();

    /// <summary>As the target: making the socket.</summary>
    public DurationHistogram Restores { get; } = new();
}
