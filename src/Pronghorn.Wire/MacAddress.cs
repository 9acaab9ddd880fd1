// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Pronghorn.Wire;

/// <summary>A 48-bit IEEE 802 hardware address.</summary>
public readonly struct MacAddress : IEquatable<MacAddress>
{
    /// <summary>Octets of an address on the wire.</summary>
    public const int Length = 6;

    private const int TextLength = 17;
    private const ulong Mask = 0xFFFF_FFFF_FFFF;
    private const ulong GroupBit = 0x0100_0000_0000;

    private readonly ulong _value;

    /// <summary>Makes an address from the low 48 bits of a number: first octet on the wire highest.</summary>
    public MacAddress(ulong value) => _value = value & Mask;

    /// <summary>ff:ff:ff:ff:ff:ff.</summary>
    public static MacAddress Broadcast => new(Mask);

    /// <summary>The address as a number below 2^48, first octet on the wire highest.</summary>
    public ulong Value => _value;

    /// <summary>Whether the group bit is set; broadcast is multicast too.</summary>
    public bool IsMulticast => (_value & GroupBit) != 0;

    /// <summary>Whether this is the broadcast address.</summary>
    public bool IsBroadcast => _value == Mask;

    /// <summary>Whether this is 00:00:00:00:00:00, which no station may have.</summary>
    public bool IsZero => _value == 0;

    /// <summary>Whether both are the same address.</summary>
    public static bool operator ==(MacAddress left, MacAddress right) => left._value == right._value;

    /// <summary>Whether the addresses differ.</summary>
    public static bool operator !=(MacAddress left, MacAddress right) => left._value != right._value;

    /// <summary>Reads the first six octets of <paramref name="source"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="source"/> is shorter than six octets.</exception>
    public static MacAddress Read(ReadOnlySpan<byte> source) =>
        new(((ulong)BinaryPrimitives.ReadUInt16BigEndian(source) << 32) | BinaryPrimitives.ReadUInt32BigEndian(source[2..]));

    /// <summary>Reads six pairs of hexadecimal digits with ':' or '-' between them.</summary>
    /// <exception cref="FormatException">The text is not a hardware address.</exception>
    public static MacAddress Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out MacAddress address)
            ? address
            : throw new FormatException($"'{text}' is not a hardware address such as 02:00:00:00:00:01.");

    /// <summary>Reads six pairs of hexadecimal digits with ':' or '-' between them; false if the text is anything else.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out MacAddress address)
    {
        address = default;
        if (text.Length != TextLength || text[2] is not (':' or '-'))
        {
            return false;
        }

        ulong value = 0;
        for (int index = 0; index < text.Length; index++)
        {
            if (index % 3 == 2)
            {
                if (text[index] != text[2])
                {
                    return false;
                }

                continue;
            }

            if (!char.IsAsciiHexDigit(text[index]))
            {
                return false;
            }

            value = (value << 4) | (uint)HexDigits.ValueOf(text[index]);
        }

        address = new MacAddress(value);
        return true;
    }

    /// <summary>Writes the six octets at the start of <paramref name="destination"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="destination"/> is shorter than six octets.</exception>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination[2..], (uint)_value);
        BinaryPrimitives.WriteUInt16BigEndian(destination, (ushort)(_value >> 32));
    }

    /// <inheritdoc/>
    public bool Equals(MacAddress other) => _value == other._value;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is MacAddress other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _value.GetHashCode();

    /// <summary>The address as 02:00:00:00:00:01.</summary>
    public override string ToString()
    {
        Span<char> text = stackalloc char[TextLength];
        for (int octet = 0; octet < Length; octet++)
        {
            byte value = (byte)(_value >> (8 * (Length - 1 - octet)));
            text[3 * octet] = HexDigits.Lower[value >> 4];
            text[(3 * octet) + 1] = HexDigits.Lower[value & 0xF];
            if (octet < Length - 1)
            {
                text[(3 * octet) + 2] = ':';
            }
        }

        return new string(text);
    }
}
