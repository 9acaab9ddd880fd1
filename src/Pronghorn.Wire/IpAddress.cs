// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Pronghorn.Wire;

/// <summary>
/// An IPv4 or IPv6 address in 16 octets, so that tables need one key type. An IPv4 address is held as the v4-mapped
/// ::ffff:a.b.c.d (RFC 4291 2.5.5.2), which is also how an IPv6 socket sees it. <c>default</c> is the IPv6 ::.
/// </summary>
public readonly partial struct IpAddress : IEquatable<IpAddress>
{
    /// <summary>Octets of an IPv4 address on the wire.</summary>
    public const int Ipv4Length = 4;

    /// <summary>Octets of an IPv6 address on the wire.</summary>
    public const int Ipv6Length = 16;

    private const ulong MappedPrefix = 0xFFFF_0000_0000;

    /// <summary>Makes an address from its 128 bits: first octet on the wire highest.</summary>
    public IpAddress(ulong high, ulong low)
    {
        High = high;
        Low = low;
    }

    /// <summary>0.0.0.0.</summary>
    public static IpAddress AnyIpv4 => FromIpv4(0);

    /// <summary>::.</summary>
    public static IpAddress AnyIpv6 => default;

    /// <summary>The first eight octets as a number, first octet highest.</summary>
    public ulong High { get; }

    /// <summary>The last eight octets as a number, first octet highest.</summary>
    public ulong Low { get; }

    /// <summary>Whether this is an IPv4 (v4-mapped) address.</summary>
    public bool IsIpv4 => High == 0 && Low >> 32 == 0xFFFF;

    /// <summary>Whether this is the unspecified address of its family.</summary>
    public bool IsAny => High == 0 && Low is 0 or MappedPrefix;

    /// <summary>Whether this is in 127.0.0.0/8 or is ::1.</summary>
    public bool IsLoopback => High == 0 && (Low == 1 || Low >> 24 == 0xFFFF7F);

    /// <summary>Whether this is in 224.0.0.0/4 or ff00::/8.</summary>
    public bool IsMulticast => High >> 56 == 0xFF || (High == 0 && Low >> 28 == 0xFFFFE);

    /// <summary>Whether this is the limited broadcast 255.255.255.255.</summary>
    public bool IsBroadcast => High == 0 && Low == (MappedPrefix | uint.MaxValue);

    /// <summary>Whether both are the same address.</summary>
    public static bool operator ==(IpAddress left, IpAddress right) => left.Low == right.Low && left.High == right.High;

    /// <summary>Whether the addresses differ.</summary>
    public static bool operator !=(IpAddress left, IpAddress right) => !(left == right);

    /// <summary>The IPv4 address whose number in host order is given: 10.0.0.1 is 0x0A000001.</summary>
    public static IpAddress FromIpv4(uint hostOrder) => new(0, MappedPrefix | hostOrder);

    /// <summary>Reads four octets as they stand in an IPv4 header.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="source"/> is shorter than four octets.</exception>
    public static IpAddress ReadIpv4(ReadOnlySpan<byte> source) => FromIpv4(BinaryPrimitives.ReadUInt32BigEndian(source));

    /// <summary>Reads sixteen octets as they stand in an IPv6 header.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="source"/> is shorter than sixteen octets.</exception>
    public static IpAddress ReadIpv6(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>The IPv4 number in host order. Only meaningful if <see cref="IsIpv4"/>.</summary>
    public uint ToIpv4() => (uint)Low;

    /// <summary>Writes the four octets of an IPv4 address.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="destination"/> is shorter than four octets.</exception>
    public void WriteIpv4(Span<byte> destination) => BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)Low);

    /// <summary>Writes sixteen octets; an IPv4 address in its mapped form.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="destination"/> is shorter than sixteen octets.</exception>
    public void WriteIpv6(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
    }

    /// <inheritdoc/>
    public bool Equals(IpAddress other) => this == other;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is IpAddress other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        // The odd constant spreads neighbouring addresses over the table; not meant to resist an attacker.
        ulong mixed = unchecked((Low ^ (High * 31)) * 0x9E37_79B9_7F4A_7C15);
        return (int)(mixed >> 32);
    }
}
