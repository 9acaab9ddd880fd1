// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.IO.Enumeration;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>Whether packets are taken already by XDP on edge interfaces.</summary>
public enum XdpChoice
{
    /// <summary>
    /// Where the driver has it, and the interface is not virtual: a veth hands over frames whose checksums are not finished.
    /// </summary>
    Automatic,

    /// <summary>In the driver, also of a veth (then peers have to finish checksums: ethtool -K PEER tx off).</summary>
    Native,

    /// <summary>Not at all: tc only.</summary>
    Off,
}

/// <summary>Where the packet layer works.</summary>
public sealed record PacketLayerOptions
{
    /// <summary>Names of the interfaces that clients and other nodes are behind, VLAN and tunnel interfaces included.</summary>
    public ImmutableArray<string> EdgeInterfaces { get; init; } = [];

    /// <summary>Patterns of the names of the node's ends of pod interfaces, such as "cali*"; '*' and '?' are wild.</summary>
    public ImmutableArray<string> PodInterfaces { get; init; } = [];

    /// <summary>How edge interfaces take packets.</summary>
    public XdpChoice Xdp { get; init; }

    /// <summary>Whether an interface is a pod's by these options; an edge interface is not.</summary>
    public bool IsPodInterface(string name)
    {
        if (EdgeInterfaces.Contains(name))
        {
            return false;
        }

        foreach (string pattern in PodInterfaces)
        {
            if (FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false))
            {
                return true;
            }
        }

        return false;
    }
}
