// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>What a change of the cluster means for the maps.</summary>
public sealed class Plan
{
    /// <summary>Writes, in an order in which no reader ever finds a frontend incomplete.</summary>
    public required IReadOnlyList<MapWrite> Writes { get; init; }

    /// <summary>Services whose problems are others than before; <see cref="Planner.ProblemsOf"/> tells them.</summary>
    public required IReadOnlyCollection<ObjectName> Reassessed { get; init; }
}
