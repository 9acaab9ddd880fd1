// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>One kind of object that is followed.</summary>
/// <param name="Path">Its list, relative to the server: "api/v1/services".</param>
/// <param name="Selector">Query parameters that narrow it, without "?": "labelSelector=..."; may be empty.</param>
/// <param name="Read">Reads an object.</param>
/// <param name="Applied">Says that it is there.</param>
/// <param name="Removed">Says that it is gone; null if nobody needs to know.</param>
/// <param name="Listed">Says which there are; null if nobody needs to know.</param>
internal sealed record ApiResource<T>(
    string Path,
    string Selector,
    Func<ReadOnlyMemory<byte>, T> Read,
    Func<T, ClusterChange> Applied,
    Func<ObjectName, ClusterChange>? Removed,
    Func<IReadOnlyList<T>, ClusterChange>? Listed)
    where T : class;
