// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.LoadBalancer.Planning;

/// <summary>How the planner works.</summary>
public sealed record PlannerOptions
{
    /// <summary>Entries of a Maglev table; one of <see cref="MaglevTable.Sizes"/>.</summary>
    public int MaglevSize { get; init; } = MaglevTable.DefaultSize;

    /// <summary>How many entries each map can hold.</summary>
    public MapCapacities Capacities { get; init; } = MapCapacities.Unlimited;
}
