// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack;

/// <summary>A point on a monotonic clock whose zero is arbitrary but before every use.</summary>
/// <param name="Nanoseconds">Nanoseconds since the clock's zero, 0 or more.</param>
public readonly record struct Instant(long Nanoseconds) : IComparable<Instant>
{
    /// <summary>Later than every other instant: a deadline that is not set.</summary>
    public static readonly Instant Never = new(long.MaxValue);

    /// <summary>Whether this is a real point in time and not <see cref="Never"/>.</summary>
    public bool IsSet => Nanoseconds != long.MaxValue;

    /// <summary>The earlier of two.</summary>
    public static Instant Earlier(Instant a, Instant b) => a.Nanoseconds <= b.Nanoseconds ? a : b;

    /// <summary>A later instant.</summary>
    public static Instant operator +(Instant a, Duration b) => new(a.Nanoseconds + b.Nanoseconds);

    /// <summary>An earlier instant.</summary>
    public static Instant operator -(Instant a, Duration b) => new(a.Nanoseconds - b.Nanoseconds);

    /// <summary>Time from <paramref name="b"/> to <paramref name="a"/>.</summary>
    public static Duration operator -(Instant a, Instant b) => new(a.Nanoseconds - b.Nanoseconds);

    /// <summary>Earlier than.</summary>
    public static bool operator <(Instant a, Instant b) => a.Nanoseconds < b.Nanoseconds;

    /// <summary>Later than.</summary>
    public static bool operator >(Instant a, Instant b) => a.Nanoseconds > b.Nanoseconds;

    /// <summary>Not later than.</summary>
    public static bool operator <=(Instant a, Instant b) => a.Nanoseconds <= b.Nanoseconds;

    /// <summary>Not earlier than.</summary>
    public static bool operator >=(Instant a, Instant b) => a.Nanoseconds >= b.Nanoseconds;

    /// <inheritdoc/>
    public int CompareTo(Instant other) => Nanoseconds.CompareTo(other.Nanoseconds);
}
