// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>Namespace and name of a Kubernetes object.</summary>
/// <param name="Namespace">Its namespace; empty for objects without one (nodes).</param>
/// <param name="Name">Its name.</param>
public readonly record struct ObjectName(string Namespace, string Name)
{
    /// <inheritdoc/>
    public override string ToString() => Namespace.Length == 0 ? Name : $"{Namespace}/{Name}";
}
