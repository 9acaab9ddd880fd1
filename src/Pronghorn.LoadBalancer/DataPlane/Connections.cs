// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>struct connection_key (bpf/common/service_connections.h): the ends of a tracked packet, as it comes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public record struct ConnectionKey
{
    /// <summary>Source address.</summary>
    public NetworkAddress Source;

    /// <summary>Destination address.</summary>
    public NetworkAddress Destination;

    /// <summary>Source port.</summary>
    public NetworkUInt16 SourcePort;

    /// <summary>Destination port.</summary>
    public NetworkUInt16 DestinationPort;

    /// <summary>TCP, UDP or SCTP.</summary>
    public IpProtocol Protocol;

    private readonly byte _reserved0;
    private readonly byte _reserved1;
    private readonly byte _reserved2;
}

/// <summary>struct connection: what a packet's ends become, and how the connection stands.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct ConnectionEntry
{
    /// <summary>New source address.</summary>
    public NetworkAddress Source;

    /// <summary>New destination address.</summary>
    public NetworkAddress Destination;

    /// <summary>New source port.</summary>
    public NetworkUInt16 SourcePort;

    /// <summary>New destination port.</summary>
    public NetworkUInt16 DestinationPort;

    /// <summary>1: found by what the backend sends. 0: by what the client sends.</summary>
    public byte IsReverse;

    /// <summary>1: the backend has answered.</summary>
    public byte IsAnswered;

    /// <summary>1: the client has sent FIN.</summary>
    public byte ClientFinished;

    /// <summary>1: the backend has sent FIN.</summary>
    public byte BackendFinished;

    /// <summary>1: one of them has sent RST.</summary>
    public byte IsReset;

    /// <summary>1: the backend sees an address of this node.</summary>
    public byte IsMasqueraded;

    /// <summary>1: answers go straight from the backend's node to the client.</summary>
    public byte Options;

    /// <summary>Packets that still carry the frontend along.</summary>
    public byte Announcements;

    /// <summary>Identifier of the service port.</summary>
    public uint Service;

    /// <summary>Identifier of the backend.</summary>
    public uint Backend;

    /// <summary>Identifier of the set that it was taken from.</summary>
    public uint Set;

    /// <summary>The slot, or all ones.</summary>
    public uint Slot;

    private readonly uint _reserved2;

    /// <summary>CLOCK_MONOTONIC nanoseconds; not written for every packet.</summary>
    public ulong LastSeen;

    /// <summary>The key of the connection's other entry, given the key of this one.</summary>
    public readonly ConnectionKey PairOf(in ConnectionKey key) => new()
    {
        Source = Destination,
        Destination = Source,
        SourcePort = DestinationPort,
        DestinationPort = SourcePort,
        Protocol = key.Protocol,
    };
}

/// <summary>struct device_value: where XDP may send.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct DeviceValue
{
    /// <summary>The interface itself; of a VLAN interface, the one below it.</summary>
    public uint Lower;

    /// <summary>The VLAN; 0 is none.</summary>
    public ushort Vlan;

    /// <summary>1: its driver takes redirected frames.</summary>
    public ushort Flags;
}

/// <summary>struct vlan_key: a VLAN on an interface.</summary>
/// <param name="Lower">The interface.</param>
/// <param name="Vlan">1..4094.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct VlanKey(uint Lower, uint Vlan);
