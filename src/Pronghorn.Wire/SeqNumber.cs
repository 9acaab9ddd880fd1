// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;

namespace Pronghorn.Wire;

/// <summary>
/// A TCP sequence number (RFC 9293 3.4). All arithmetic and comparison is modulo 2^32; an order between two numbers is
/// meaningful while they are less than 2^31 apart, which the maximum window guarantees within one connection.
/// </summary>
public readonly struct SeqNumber : IEquatable<SeqNumber>
{
    /// <summary>Makes a sequence number from its 32 bits in host order.</summary>
    public SeqNumber(uint value) => Value = value;

    /// <summary>The 32 bits in host order.</summary>
    public uint Value { get; }

    /// <summary>Advances by <paramref name="offset"/> octets (backwards if negative), wrapping at 2^32.</summary>
    public static SeqNumber operator +(SeqNumber number, int offset) => new(unchecked(number.Value + (uint)offset));

    /// <summary>Advances by <paramref name="offset"/> octets, wrapping at 2^32.</summary>
    public static SeqNumber operator +(SeqNumber number, uint offset) => new(unchecked(number.Value + offset));

    /// <summary>Goes back by <paramref name="offset"/> octets, wrapping at 0.</summary>
    public static SeqNumber operator -(SeqNumber number, int offset) => new(unchecked(number.Value - (uint)offset));

    /// <summary>The signed distance from <paramref name="right"/> to <paramref name="left"/>, in octets.</summary>
    public static int operator -(SeqNumber left, SeqNumber right) => unchecked((int)(left.Value - right.Value));

    /// <summary>Whether <paramref name="left"/> comes before <paramref name="right"/>.</summary>
    public static bool operator <(SeqNumber left, SeqNumber right) => left - right < 0;

    /// <summary>Whether <paramref name="left"/> comes before <paramref name="right"/> or equals it.</summary>
    public static bool operator <=(SeqNumber left, SeqNumber right) => left - right <= 0;

    /// <summary>Whether <paramref name="left"/> comes after <paramref name="right"/>.</summary>
    public static bool operator >(SeqNumber left, SeqNumber right) => left - right > 0;

    /// <summary>Whether <paramref name="left"/> comes after <paramref name="right"/> or equals it.</summary>
    public static bool operator >=(SeqNumber left, SeqNumber right) => left - right >= 0;

    /// <summary>Whether both are the same number.</summary>
    public static bool operator ==(SeqNumber left, SeqNumber right) => left.Value == right.Value;

    /// <summary>Whether the numbers differ.</summary>
    public static bool operator !=(SeqNumber left, SeqNumber right) => left.Value != right.Value;

    /// <summary>Same as <c>number + offset</c>, for languages without operators.</summary>
    public static SeqNumber Add(SeqNumber number, int offset) => number + offset;

    /// <summary>Same as <c>left - right</c>, for languages without operators.</summary>
    public static int Subtract(SeqNumber left, SeqNumber right) => left - right;

    /// <summary>The later of two sequence numbers.</summary>
    public static SeqNumber Max(SeqNumber left, SeqNumber right) => left >= right ? left : right;

    /// <summary>The earlier of two sequence numbers.</summary>
    public static SeqNumber Min(SeqNumber left, SeqNumber right) => left <= right ? left : right;

    /// <summary>
    /// Whether this number lies in [low, high). The interval may be up to 2^32 - 1 long and may wrap; it is empty when both
    /// ends are equal.
    /// </summary>
    public bool IsBetween(SeqNumber lowInclusive, SeqNumber highExclusive) =>
        unchecked(Value - lowInclusive.Value < highExclusive.Value - lowInclusive.Value);

    /// <inheritdoc/>
    public bool Equals(SeqNumber other) => Value == other.Value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SeqNumber other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}
