// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>An address range.</summary>
/// <param name="Address">Network address; host bits are zero.</param>
/// <param name="PrefixLength">0..32 for IPv4, 0..128 for IPv6.</param>
public readonly record struct AddressRange(IpAddress Address, int PrefixLength)
{
    private const int AddressBits = 128;
    private const int MappedBits = 96;

    /// <summary>The range of one address.</summary>
    public static AddressRange Of(IpAddress address) => new(address, address.IsIpv4 ? AddressBits - MappedBits : AddressBits);

    /// <summary>
    /// Reads "10.0.0.0/8". Host bits may be set and are cleared, and blanks around it are ignored, as kube-proxy does.
    /// </summary>
    public static bool TryParse(string? text, out AddressRange range)
    {
        range = default;
        ReadOnlySpan<char> trimmed = text.AsSpan().Trim();
        int slash = trimmed.IndexOf('/');
        if (slash < 0 || !AddressText.TryParse(trimmed[..slash], out IpAddress address))
        {
            return false;
        }

        int longest = address.IsIpv4 ? AddressBits - MappedBits : AddressBits;
        if (!int.TryParse(trimmed[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int length)
            || length > longest)
        {
            return false;
        }

        range = new AddressRange(Masked(address, length + AddressBits - longest), length);
        return true;
    }

    /// <summary>Whether the address is of this family and in the range.</summary>
    public bool Contains(IpAddress address)
    {
        if (address.IsIpv4 != Address.IsIpv4)
        {
            return false;
        }

        int bits = Address.IsIpv4 ? PrefixLength + MappedBits : PrefixLength;
        return Masked(address, bits) == Address;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Address}/{PrefixLength}";

    private static IpAddress Masked(IpAddress address, int bits)
    {
        UInt128 mask = bits == 0 ? UInt128.Zero : UInt128.MaxValue << (AddressBits - bits);
        UInt128 number = new UInt128(address.High, address.Low) & mask;
        return new IpAddress((ulong)(number >> 64), (ulong)number);
    }
}
