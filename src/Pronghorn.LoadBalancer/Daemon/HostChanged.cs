// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>What the host says of its own addresses; goes the way of the cluster's changes.</summary>
/// <param name="Addresses">All of them, without link-local ones.</param>
/// <param name="Primary">Those that packets into the world carry, one of each family at most.</param>
public sealed record HostChanged(ImmutableArray<IpAddress> Addresses, ImmutableArray<IpAddress> Primary) : ClusterChange;
