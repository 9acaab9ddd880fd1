// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Wire;

/// <summary>What an Ethernet frame carries (IEEE 802 EtherType registry).</summary>
public enum EtherType : ushort
{
    /// <summary>Not a value from the registry: nothing was read.</summary>
    None = 0,

    /// <summary>IPv4 (RFC 894).</summary>
    Ipv4 = 0x0800,

    /// <summary>ARP (RFC 826).</summary>
    Arp = 0x0806,

    /// <summary>An IEEE 802.1Q tag follows.</summary>
    Vlan = 0x8100,

    /// <summary>IPv6 (RFC 2464).</summary>
    Ipv6 = 0x86DD,
}
