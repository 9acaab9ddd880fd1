// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Wire;

public readonly partial struct IpAddress
{
    /// <summary>Characters that the longest text form takes.</summary>
    public const int MaximumTextLength = 39;

    private const int GroupCount = 8;

    /// <summary>Reads a dotted quad or an IPv6 address (RFC 4291 2.2).</summary>
    /// <exception cref="FormatException">The text is not an address.</exception>
    public static IpAddress Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out IpAddress address) ? address : throw new FormatException($"'{text}' is not an IP address.");

    /// <summary>
    /// Reads a dotted quad of four decimal numbers without leading zeros, or an IPv6 address (RFC 4291 2.2) without a zone.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IpAddress address)
    {
        if (text.Contains(':'))
        {
            return TryParseIpv6(text, out address);
        }

        bool valid = TryParseIpv4(text, out uint value);
        address = valid ? FromIpv4(value) : default;
        return valid;
    }

    /// <summary>Writes the text form; false if <paramref name="destination"/> is too short.</summary>
    public bool TryFormat(Span<char> destination, out int charsWritten)
    {
        var writer = new TextWriter(destination);
        if (IsIpv4)
        {
            writer.AppendIpv4(ToIpv4());
        }
        else
        {
            FormatIpv6(ref writer);
        }

        charsWritten = writer.Overflowed ? 0 : writer.Length;
        return !writer.Overflowed;
    }

    /// <summary>A dotted quad for IPv4, the canonical form of RFC 5952 for IPv6.</summary>
    public override string ToString()
    {
        Span<char> text = stackalloc char[MaximumTextLength];
        return TryFormat(text, out int length) ? new string(text[..length]) : string.Empty;
    }

    private static bool TryParseIpv4(ReadOnlySpan<char> text, out uint value)
    {
        value = 0;
        int octets = 0;
        int digits = 0;
        uint octet = 0;
        foreach (char character in text)
        {
            if (character == '.')
            {
                if (digits == 0 || octets == 3)
                {
                    return false;
                }

                value = (value << 8) | octet;
                octets++;
                digits = 0;
                octet = 0;
                continue;
            }

            bool hasLeadingZero = digits > 0 && octet == 0;
            if (!char.IsAsciiDigit(character) || hasLeadingZero)
            {
                return false;
            }

            octet = (octet * 10) + (uint)(character - '0');
            digits++;
            if (octet > byte.MaxValue)
            {
                return false;
            }
        }

        value = (value << 8) | octet;
        return octets == 3 && digits > 0;
    }

    private static bool TryParseIpv6(ReadOnlySpan<char> text, out IpAddress address)
    {
        address = default;
        int gap = text.IndexOf("::");
        if (gap < 0)
        {
            bool whole = TryParseGroups(text, out UInt128 all, out int allCount) && allCount == GroupCount;
            address = whole ? FromNumber(all) : default;
            return whole;
        }

        ReadOnlySpan<char> before = text[..gap];
        ReadOnlySpan<char> after = text[(gap + 2)..];
        if (!TryParseGroups(before, out UInt128 head, out int headCount)
            || !TryParseGroups(after, out UInt128 tail, out int tailCount)
            || headCount + tailCount >= GroupCount
            || before.Contains('.'))
        {
            return false;
        }

        // A shift by 128 would be a shift by 0, so an empty head is left alone.
        UInt128 shifted = headCount == 0 ? UInt128.Zero : head << (16 * (GroupCount - headCount));
        address = FromNumber(shifted | tail);
        return true;
    }

    /// <summary>Reads "a:b:c", of which the last may be a dotted quad. Nothing at all is zero groups.</summary>
    private static bool TryParseGroups(ReadOnlySpan<char> text, out UInt128 value, out int count)
    {
        value = UInt128.Zero;
        count = 0;
        while (!text.IsEmpty)
        {
            int colon = text.IndexOf(':');
            ReadOnlySpan<char> group = colon < 0 ? text : text[..colon];
            if (colon == text.Length - 1 || count >= GroupCount)
            {
                return false;
            }

            text = colon < 0 ? default : text[(colon + 1)..];
            if (group.Contains('.'))
            {
                count += 2;
                bool valid = TryParseIpv4(group, out uint quad) && text.IsEmpty && count <= GroupCount;
                value = (value << 32) | quad;
                return valid;
            }

            if (!TryParseGroup(group, out uint bits))
            {
                return false;
            }

            value = (value << 16) | bits;
            count++;
        }

        return true;
    }

    private static bool TryParseGroup(ReadOnlySpan<char> group, out uint bits)
    {
        bits = 0;
        foreach (char digit in group)
        {
            if (!char.IsAsciiHexDigit(digit))
            {
                return false;
            }

            bits = (bits << 4) | (uint)HexDigits.ValueOf(digit);
        }

        return group.Length is >= 1 and <= 4;
    }

    private static IpAddress FromNumber(UInt128 number) => new((ulong)(number >> 64), (ulong)number);

    private ushort GroupAt(int index)
    {
        ulong half = index < 4 ? High : Low;
        return (ushort)(half >> (48 - (16 * (index & 3))));
    }

    private void FormatIpv6(ref TextWriter writer)
    {
        FindLongestZeroRun(out int runStart, out int runLength);
        for (int index = 0; index < GroupCount; index++)
        {
            if (index == runStart)
            {
                writer.Append(':');
                writer.Append(':');
                index += runLength - 1;
                continue;
            }

            if (index > 0 && index != runStart + runLength)
            {
                writer.Append(':');
            }

            writer.AppendHex(GroupAt(index));
        }
    }

    /// <summary>RFC 5952 4.2: the longest run of at least two zero groups, the first of equals; start -1 if none.</summary>
    private void FindLongestZeroRun(out int start, out int length)
    {
        start = -1;
        length = 1;
        int current = 0;
        for (int index = 0; index < GroupCount; index++)
        {
            current = GroupAt(index) == 0 ? current + 1 : 0;
            if (current > length)
            {
                length = current;
                start = index - current + 1;
            }
        }
    }

    private ref struct TextWriter
    {
        private readonly Span<char> _destination;

        public TextWriter(Span<char> destination) => _destination = destination;

        public int Length { get; private set; }

        public bool Overflowed { get; private set; }

        public void Append(char character)
        {
            if (Length < _destination.Length)
            {
                _destination[Length++] = character;
            }
            else
            {
                Overflowed = true;
            }
        }

        public void AppendIpv4(uint address)
        {
            for (int shift = 24; shift >= 0; shift -= 8)
            {
                AppendDecimal((byte)(address >> shift));
                if (shift > 0)
                {
                    Append('.');
                }
            }
        }

        public void AppendHex(ushort group)
        {
            bool started = false;
            for (int shift = 12; shift >= 0; shift -= 4)
            {
                int digit = (group >> shift) & 0xF;
                started |= digit != 0 || shift == 0;
                if (started)
                {
                    Append(HexDigits.Lower[digit]);
                }
            }
        }

        private void AppendDecimal(byte value)
        {
            if (value >= 100)
            {
                Append((char)('0' + (value / 100)));
            }

            if (value >= 10)
            {
                Append((char)('0' + (value / 10 % 10)));
            }

            Append((char)('0' + (value % 10)));
        }
    }
}
