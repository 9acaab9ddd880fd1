// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>The SETTING_ flags.</summary>
[Flags]
public enum SettingFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The node has IPv4.</summary>
    Ipv4 = 1,

    /// <summary>The node has IPv6.</summary>
    Ipv6 = 2,
}

/// <summary>The NODE_ADDRESS_ flags.</summary>
[Flags]
public enum NodeAddressFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>A source address of the node itself.</summary>
    Source = 1,

    /// <summary>Node ports are served on it.</summary>
    Ports = 2,
}

/// <summary>struct service_settings: what the programs need to know of the node.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct SettingsValue
{
    /// <summary>Sockets of this network namespace are the node's own.</summary>
    public ulong NodeNetnsCookie;

    /// <summary>Source of masqueraded IPv4 packets; unspecified if there is none.</summary>
    public NetworkAddress NodeIpv4;

    /// <summary>Source of masqueraded IPv6 packets; unspecified if there is none.</summary>
    public NetworkAddress NodeIpv6;

    /// <summary>First source port of masqueraded connections.</summary>
    public ushort MasqueradeFirst;

    /// <summary>The last one.</summary>
    public ushort MasqueradeLast;

    /// <summary>First node port.</summary>
    public ushort NodePortFirst;

    /// <summary>The last one.</summary>
    public ushort NodePortLast;

    /// <summary>Flags.</summary>
    public SettingFlags Flags;

    /// <summary>Seconds without a packet after which an established TCP connection is gone.</summary>
    public uint TcpTimeout;

    /// <summary>The same for one that is being opened.</summary>
    public uint TcpOpeningTimeout;

    /// <summary>The same for one that is being closed.</summary>
    public uint TcpClosingTimeout;

    /// <summary>The same for UDP.</summary>
    public uint UdpTimeout;

    /// <summary>The same for SCTP.</summary>
    public uint SctpTimeout;

    /// <summary>Entries of a Maglev table.</summary>
    public uint MaglevSize;

    private readonly uint _reserved;
}

/// <summary>struct service_count: what was counted of a service port, on one processor.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct ServiceCount
{
    /// <summary>Connections.</summary>
    public ulong Connections;

    /// <summary>Refused.</summary>
    public ulong Rejected;

    /// <summary>Dropped.</summary>
    public ulong Dropped;

    /// <summary>Packets, at the packet layer.</summary>
    public ulong Packets;

    /// <summary>Bytes of them.</summary>
    public ulong Bytes;
}
