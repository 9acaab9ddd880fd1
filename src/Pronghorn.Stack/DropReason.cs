// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Stack;

/// <summary>Why a packet or segment was not used. Each has a counter in <see cref="StackCounters"/>.</summary>
public enum DropReason : byte
{
    /// <summary>Ethernet: shorter than its header.</summary>
    EthernetMalformed,

    /// <summary>Ethernet: for another station.</summary>
    EthernetOtherHost,

    /// <summary>Ethernet: a protocol that the stack does not speak.</summary>
    EtherTypeUnknown,

    /// <summary>ARP: malformed.</summary>
    ArpMalformed,

    /// <summary>IPv4: bad version, header length or total length.</summary>
    Ipv4Malformed,

    /// <summary>IPv4: header checksum wrong.</summary>
    Ipv4Checksum,

    /// <summary>IPv4: a fragment; TCP sends none, and the steering program leaves later fragments to the kernel.</summary>
    Ipv4Fragment,

    /// <summary>IPv4: the destination is not ours.</summary>
    Ipv4OtherHost,

    /// <summary>IPv4: the source cannot be answered (any, multicast, broadcast).</summary>
    Ipv4BadSource,

    /// <summary>IPv4: a protocol that the stack does not speak.</summary>
    Ipv4Protocol,

    /// <summary>ICMP: malformed or checksum wrong.</summary>
    IcmpMalformed,

    /// <summary>ICMP: a type that the stack does not use.</summary>
    IcmpUnused,

    /// <summary>ICMP: an error that matches no connection, or a sequence number outside its window.</summary>
    IcmpNoConnection,

    /// <summary>TCP: bad header length.</summary>
    TcpMalformed,

    /// <summary>TCP: checksum wrong.</summary>
    TcpChecksum,

    /// <summary>TCP: no connection and no listener.</summary>
    TcpNoSocket,

    /// <summary>TCP: sequence number outside the window, RFC 9293 3.10.7.4 first.</summary>
    TcpOutOfWindow,

    /// <summary>TCP: timestamp older than TS.Recent, RFC 7323 5.</summary>
    TcpPaws,

    /// <summary>TCP: acknowledgment of what was not sent, or too old, RFC 5961 5.</summary>
    TcpBadAck,

    /// <summary>TCP: no ACK flag where one must be.</summary>
    TcpNoAck,

    /// <summary>TCP: reset that does not fit exactly, RFC 5961 3.</summary>
    TcpBadReset,

    /// <summary>TCP: SYN on an open connection, RFC 5961 4.</summary>
    TcpUnexpectedSyn,

    /// <summary>TCP: a SYN, or the end of a handshake, when the accept queue is full (Linux: ListenOverflows).</summary>
    TcpAcceptQueueFull,

    /// <summary>TCP: SYN when too many handshakes are open and cookies are off (Linux: TCPReqQFullDrop).</summary>
    TcpSynQueueFull,

    /// <summary>TCP: no free connection record.</summary>
    TcpNoMemory,

    /// <summary>TCP: data that was already received.</summary>
    TcpDuplicateData,

    /// <summary>TCP: out-of-order data above a limit.</summary>
    TcpOutOfOrderFull,

    /// <summary>TCP: data beyond the receive buffer.</summary>
    TcpReceiveBufferFull,

    /// <summary>TCP: data after the user closed the connection.</summary>
    TcpDataAfterClose,

    /// <summary>Sending: no route.</summary>
    NoRoute,

    /// <summary>Sending: the neighbour's address is not known yet.</summary>
    NeighborUnresolved,

    /// <summary>Sending: no free frame.</summary>
    NoFrame,

    /// <summary>Sending: the device's queue is full.</summary>
    TransmitQueueFull,

    /// <summary>Receiving: on a device that is not attached.</summary>
    NoDevice,

    /// <summary>The number of reasons; not a reason.</summary>
    Count,
}
