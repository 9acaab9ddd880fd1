// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>The part of ObjectMeta (meta/v1) that a service proxy uses.</summary>
public sealed record Metadata
{
    /// <summary>Name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Namespace; "default" is filled in by the sources where a manifest leaves it out.</summary>
    public string Namespace { get; init; } = "";

    /// <summary>Unique identifier of the object's life; empty in manifests.</summary>
    public string Uid { get; init; } = "";

    /// <summary>Opaque version; empty in manifests.</summary>
    public string ResourceVersion { get; init; } = "";

    /// <summary>When it was made; null if the source does not say. Decides which of two claims to an address is older.</summary>
    public DateTimeOffset? CreationTimestamp { get; init; }

    /// <summary>Labels; null means none.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>Annotations; null means none.</summary>
    public IReadOnlyDictionary<string, string>? Annotations { get; init; }

    /// <summary>Namespace and name together.</summary>
    public ObjectName FullName => new(Namespace, Name);
}
