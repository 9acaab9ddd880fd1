// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>What the packet path counts: enum packet_counter of bpf/common/service_connections.h.</summary>
public enum PacketCounter
{
    /// <summary>Passed: not for a service.</summary>
    NotService,

    /// <summary>Passed: headers that contradict themselves or are cut off.</summary>
    Malformed,

    /// <summary>From a client to its backend.</summary>
    Forwarded,

    /// <summary>From a backend to its client.</summary>
    Answered,

    /// <summary>New connections.</summary>
    ConnectionOpened,

    /// <summary>An entry was not used any more: its time or the connection was over, or a datagram's backend had gone.</summary>
    ConnectionOver,

    /// <summary>Answered with a reset or an ICMP error: no usable endpoint.</summary>
    Rejected,

    /// <summary>Dropped: a Local policy, and usable endpoints are on other nodes only.</summary>
    DroppedPolicy,

    /// <summary>Dropped: the source is outside the service's ranges.</summary>
    DroppedSourceRange,

    /// <summary>Dropped: no free source port was found.</summary>
    NoSourcePort,

    /// <summary>Dropped: the table of connections refused an entry.</summary>
    ConnectionsFull,

    /// <summary>Left by XDP to tc on the same interface.</summary>
    LeftToTc,

    /// <summary>Translated and left to the kernel's own routing.</summary>
    LeftToKernel,

    /// <summary>Not forwarded: forwarding is off on the interface (net.ipv4.ip_forward, net.ipv6.conf.*.forwarding).</summary>
    ForwardingDisabled,

    /// <summary>ICMP errors translated.</summary>
    ErrorTranslated,

    /// <summary>Passed: a later fragment of a packet whose first was not seen, or not for a service.</summary>
    FragmentUnknown,

    /// <summary>Dropped: a fragment of SCTP, whose checksum cannot be corrected in parts.</summary>
    FragmentSctp,

    /// <summary>Dropped instead of refused: too many ICMP errors.</summary>
    RejectLimited,

    /// <summary>Dropped: the packet could not be rewritten.</summary>
    WriteFailed,

    /// <summary>Dropped: a reset of no connection.</summary>
    StrayReset,

    /// <summary>The source port was changed, because two connections would have looked alike to a backend.</summary>
    PortChanged,

    /// <summary>Sent with the service's address along, for the backend's node to answer itself.</summary>
    DirectSent,

    /// <summary>Came with the service's address along.</summary>
    DirectReceived,

    /// <summary>Dropped, with an ICMP error: no room for the service's address.</summary>
    DirectTooBig,

    /// <summary>Answered with an ICMP error: too big for the way on, and not to be fragmented.</summary>
    TooBig,
}
