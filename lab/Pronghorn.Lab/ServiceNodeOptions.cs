// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Lab;

/// <summary>How to build a <see cref="ServiceNode"/>.</summary>
public sealed class ServiceNodeOptions
{
    /// <summary>Pods on the node, 1 to 100.</summary>
    public int Pods { get; init; } = 2;

    /// <summary>More addresses of the first pod (<see cref="ServiceNode.MoreAddress"/>), 0 to 64, to stand for more backends.</summary>
    public int MoreAddresses { get; init; }

    /// <summary>Whether everything has IPv6 addresses, too.</summary>
    public bool Ipv6 { get; init; } = true;

    /// <summary>Whether checksum and segmentation offloads are off on all interfaces, as on a wire.</summary>
    public bool DisableOffloads { get; init; }

    /// <summary>
    /// A name under which it outlives this process, until <see cref="ServiceNode.Remove"/>; null for one that does not.
    /// </summary>
    public string? Name { get; init; }
}
