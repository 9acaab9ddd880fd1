// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Wire;

/// <summary>What an IP packet carries (IANA protocol numbers).</summary>
public enum IpProtocol : byte
{
    /// <summary>IPv6 hop-by-hop options; not seen in IPv4.</summary>
    HopByHop = 0,

    /// <summary>ICMP for IPv4 (RFC 792).</summary>
    Icmp = 1,

    /// <summary>TCP (RFC 9293).</summary>
    Tcp = 6,

    /// <summary>UDP (RFC 768).</summary>
    Udp = 17,

    /// <summary>ICMPv6 (RFC 4443).</summary>
    IcmpV6 = 58,

    /// <summary>SCTP (RFC 9260).</summary>
    Sctp = 132,
}
