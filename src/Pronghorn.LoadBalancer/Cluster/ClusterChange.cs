// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>What a source tells about the cluster.</summary>
public abstract record ClusterChange;

/// <summary>A service is there, new or changed.</summary>
public sealed record ServiceApplied(Service Service) : ClusterChange;

/// <summary>A service is gone.</summary>
public sealed record ServiceRemoved(ObjectName Name) : ClusterChange;

/// <summary>A slice is there, new or changed.</summary>
public sealed record EndpointSliceApplied(EndpointSlice Slice) : ClusterChange;

/// <summary>A slice is gone.</summary>
public sealed record EndpointSliceRemoved(ObjectName Name) : ClusterChange;

/// <summary>This node's own object is there, new or changed.</summary>
public sealed record NodeApplied(Node Node) : ClusterChange;

/// <summary>
/// The whole of the services: any that is not in it is gone. Sent once the first list is complete and after each new list,
/// so that what vanished while the source was away goes too.
/// </summary>
public sealed record ServicesListed(IReadOnlyList<Service> Services) : ClusterChange;

/// <summary>The whole of the slices; see <see cref="ServicesListed"/>.</summary>
public sealed record EndpointSlicesListed(IReadOnlyList<EndpointSlice> Slices) : ClusterChange;
