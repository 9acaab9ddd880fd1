// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>What a node needs to give connections away and to take them.</summary>
/// <param name="Layer">Its programs and tables.</param>
/// <param name="Held">Where packets wait.</param>
/// <param name="InterfaceIndex">The interface by which peers and other nodes are reached.</param>
/// <param name="Mac">Its hardware address.</param>
public sealed record SteeredNode(SteeringLayer Layer, HeldPackets Held, int InterfaceIndex, MacAddress Mac)
{
    /// <summary>The node's addresses, under which other nodes know it.</summary>
    public ImmutableArray<IpAddress> Addresses { get; init; } = [];

    /// <summary>Addresses that other nodes have too: the peers' packets of one connection may come by any of them.</summary>
    public ImmutableArray<IpAddress> SharedAddresses { get; init; } = [];

    /// <summary>
    /// An address of a family that another node has, by any of its addresses; null where it has none. Whether the family is IPv6.
    /// </summary>
    public Func<IpAddress, bool, IpAddress?> AddressOfNode { get; init; } =
        static (address, isIpv6) => address.IsIpv4 != isIpv6 ? address : null;

    /// <summary>Where it is counted how long the node's own part of moves takes.</summary>
    public MoveDurations Durations { get; init; } = new();

    /// <summary>Keeps what a daemon that comes after this one needs; null for none.</summary>
    public ImageStore? Images { get; init; }

    /// <summary>What the node's firewall may have seen of connections; null where that does not matter.</summary>
    public ConnectionTracking? Tracking { get; init; }

    /// <summary>Makes a socket of a family, in the node's network namespace.</summary>
    public Func<bool, int> OpenSocket { get; init; } = TcpSocket.Open;
}
