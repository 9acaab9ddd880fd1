// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>What a <see cref="NetlinkEvent"/> tells.</summary>
public enum NetlinkEventKind : byte
{
    /// <summary>Nothing; of a default value only.</summary>
    None,

    /// <summary>A snapshot begins: forget everything that was told before. What is told from now on is complete again.</summary>
    SnapshotStarted,

    /// <summary>The snapshot is complete: everything that exists has been told.</summary>
    SnapshotCompleted,

    /// <summary>An interface exists, or has changed.</summary>
    Link,

    /// <summary>An interface is gone.</summary>
    LinkRemoved,

    /// <summary>An address exists, or has changed.</summary>
    Address,

    /// <summary>An address is gone.</summary>
    AddressRemoved,

    /// <summary>A route exists.</summary>
    Route,

    /// <summary>A route is gone.</summary>
    RouteRemoved,

    /// <summary>A neighbour exists, or has changed; see <see cref="NeighborInformation.IsUsable"/>.</summary>
    Neighbor,

    /// <summary>A neighbour is gone.</summary>
    NeighborRemoved,
}

/// <summary>One change, or one line of a snapshot. Of the parts, only the one that the kind names is filled.</summary>
public struct NetlinkEvent
{
    /// <summary>What this tells.</summary>
    public NetlinkEventKind Kind;

    /// <summary>The interface.</summary>
    public LinkInformation Link;

    /// <summary>The address.</summary>
    public AddressInformation Address;

    /// <summary>The route.</summary>
    public RouteInformation Route;

    /// <summary>The neighbour.</summary>
    public NeighborInformation Neighbor;
}

/// <summary>An interface (RTM_NEWLINK).</summary>
public struct LinkInformation
{
    /// <summary>The interface's index.</summary>
    public int Index;

    /// <summary>Its name.</summary>
    public InterfaceName Name;

    /// <summary>Its kind, as "veth" or "bridge"; empty for a physical one.</summary>
    public InterfaceName Kind;

    /// <summary>Its hardware address.</summary>
    public MacAddress Mac;

    /// <summary>Largest network-layer packet in bytes.</summary>
    public int Mtu;

    /// <summary>IFF_* flags of netdevice(7).</summary>
    public uint Flags;

    /// <summary>Index of the bridge or other master that it belongs to, or 0.</summary>
    public int Master;

    /// <summary>Id of the XDP program attached, or 0.</summary>
    public uint XdpProgramId;

    /// <summary>Whether it is administratively up (IFF_UP).</summary>
    public readonly bool IsUp => (Flags & 1) != 0;

    /// <summary>Whether it is a loopback interface (IFF_LOOPBACK).</summary>
    public readonly bool IsLoopback => (Flags & 8) != 0;

    /// <summary>Whether it has a carrier (IFF_LOWER_UP).</summary>
    public readonly bool HasCarrier => (Flags & 0x10000) != 0;
}

/// <summary>An address of an interface (RTM_NEWADDR).</summary>
public struct AddressInformation
{
    /// <summary>The interface's index.</summary>
    public int Interface;

    /// <summary>The local address.</summary>
    public IpAddress Address;

    /// <summary>Length of the on-link prefix: 0 to 32 for IPv4, to 128 for IPv6.</summary>
    public int PrefixLength;

    /// <summary>Scope: 0 global, 253 link, 254 host.</summary>
    public byte Scope;
}

/// <summary>What a route does (rtm_type).</summary>
public enum RouteKind : byte
{
    /// <summary>Unknown.</summary>
    Unspecified = 0,

    /// <summary>Sends to a gateway or on a link.</summary>
    Unicast = 1,

    /// <summary>The destination is this host.</summary>
    Local = 2,

    /// <summary>The destination is a broadcast address.</summary>
    Broadcast = 3,

    /// <summary>Drops silently.</summary>
    Blackhole = 6,

    /// <summary>Answers host unreachable.</summary>
    Unreachable = 7,

    /// <summary>Answers administratively prohibited.</summary>
    Prohibit = 8,
}

/// <summary>A route (RTM_NEWROUTE).</summary>
public struct RouteInformation
{
    /// <summary>The table of the system's own routes to local and broadcast addresses (RT_TABLE_LOCAL).</summary>
    public const uint LocalTable = 255;

    /// <summary>The table that `ip route` shows (RT_TABLE_MAIN).</summary>
    public const uint MainTable = 254;

    /// <summary>Address of the destination network.</summary>
    public IpAddress Destination;

    /// <summary>Length of its prefix: 0 to 32 for IPv4, to 128 for IPv6.</summary>
    public int PrefixLength;

    /// <summary>The gateway; the wildcard address when the destination is on the link.</summary>
    public IpAddress Gateway;

    /// <summary>The source address to prefer; the wildcard address when none is set.</summary>
    public IpAddress PreferredSource;

    /// <summary>Index of the interface to send on; 0 for kinds that send nowhere.</summary>
    public int Interface;

    /// <summary>The metric: of equal prefixes the lowest wins.</summary>
    public uint Metric;

    /// <summary>The table.</summary>
    public uint Table;

    /// <summary>Path MTU fixed for the route, or 0.</summary>
    public int Mtu;

    /// <summary>What the route does.</summary>
    public RouteKind Kind;

    /// <summary>Whether more next hops follow the one given here, which is the first.</summary>
    public bool IsMultipath;

    /// <summary>Whether the route takes the place of one with the same destination, prefix, metric and table.</summary>
    public bool Replaces;
}

/// <summary>A neighbour (RTM_NEWNEIGH).</summary>
public struct NeighborInformation
{
    /// <summary>The interface's index.</summary>
    public int Interface;

    /// <summary>The neighbour's address.</summary>
    public IpAddress Address;

    /// <summary>Its hardware address; zero when not known.</summary>
    public MacAddress Mac;

    /// <summary>
    /// NUD_* state bits: 1 incomplete, 2 reachable, 4 stale, 8 delay, 0x10 probe, 0x20 failed, 0x40 no ARP, 0x80 permanent.
    /// </summary>
    public ushort State;

    /// <summary>Whether packets may be sent to <see cref="Mac"/> (NUD_VALID).</summary>
    public readonly bool IsUsable => (State & 0xde) != 0 && !Mac.IsZero;

    /// <summary>Whether the kernel tried to resolve the address and got no answer.</summary>
    public readonly bool HasFailed => (State & 0x20) != 0;
}
