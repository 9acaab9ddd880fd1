// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>struct source_range_key: a range that a service port admits.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public record struct SourceRangeKey
{
    private const uint ServiceBits = 32;

    /// <summary>Bits that count, those of <see cref="Service"/> included.</summary>
    public uint PrefixLength;

    /// <summary>Identifier of the service port; in network order, as the trie compares octets.</summary>
    public NetworkUInt32 Service;

    /// <summary>Network address.</summary>
    public NetworkAddress Address;

    /// <summary>The key of a service port's range.</summary>
    public static SourceRangeKey From(uint service, in AddressRange range)
    {
        var plain = AddressRangeKey.From(range);
        return new SourceRangeKey { PrefixLength = plain.PrefixLength + ServiceBits, Service = service, Address = plain.Address };
    }
}

/// <summary>struct address_range_key: a range of addresses.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public record struct AddressRangeKey
{
    private const uint MappedBits = 96;

    /// <summary>Bits that count.</summary>
    public uint PrefixLength;

    /// <summary>Network address.</summary>
    public NetworkAddress Address;

    /// <summary>The key of a range.</summary>
    public static AddressRangeKey From(in AddressRange range) => new()
    {
        PrefixLength = (uint)range.PrefixLength + (range.Address.IsIpv4 ? MappedBits : 0),
        Address = range.Address,
    };
}
