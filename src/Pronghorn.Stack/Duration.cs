// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack;

/// <summary>A span of time.</summary>
/// <param name="Nanoseconds">Its length in nanoseconds; may be negative.</param>
public readonly record struct Duration(long Nanoseconds) : IComparable<Duration>
{
    /// <summary>No time.</summary>
    public static readonly Duration Zero;

    /// <summary>Whole milliseconds, rounded towards zero.</summary>
    public long Milliseconds => Nanoseconds / 1_000_000;

    /// <summary>Whole microseconds, rounded towards zero.</summary>
    public long Microseconds => Nanoseconds / 1_000;

    /// <summary>Makes a duration of microseconds.</summary>
    public static Duration FromMicroseconds(long value) => new(value * 1_000);

    /// <summary>Makes a duration of milliseconds.</summary>
    public static Duration FromMilliseconds(long value) => new(value * 1_000_000);

    /// <summary>Makes a duration of seconds.</summary>
    public static Duration FromSeconds(long value) => new(value * 1_000_000_000);

    /// <summary>The shorter of two.</summary>
    public static Duration Min(Duration a, Duration b) => a.Nanoseconds <= b.Nanoseconds ? a : b;

    /// <summary>The longer of two.</summary>
    public static Duration Max(Duration a, Duration b) => a.Nanoseconds >= b.Nanoseconds ? a : b;

    /// <summary>Sum.</summary>
    public static Duration operator +(Duration a, Duration b) => new(a.Nanoseconds + b.Nanoseconds);

    /// <summary>Difference.</summary>
    public static Duration operator -(Duration a, Duration b) => new(a.Nanoseconds - b.Nanoseconds);

    /// <summary>Multiple.</summary>
    public static Duration operator *(Duration a, long factor) => new(a.Nanoseconds * factor);

    /// <summary>Fraction.</summary>
    public static Duration operator /(Duration a, long divisor) => new(a.Nanoseconds / divisor);

    /// <summary>Shorter than.</summary>
    public static bool operator <(Duration a, Duration b) => a.Nanoseconds < b.Nanoseconds;

    /// <summary>Longer than.</summary>
    public static bool operator >(Duration a, Duration b) => a.Nanoseconds > b.Nanoseconds;

    /// <summary>Not longer than.</summary>
    public static bool operator <=(Duration a, Duration b) => a.Nanoseconds <= b.Nanoseconds;

    /// <summary>Not shorter than.</summary>
    public static bool operator >=(Duration a, Duration b) => a.Nanoseconds >= b.Nanoseconds;

    /// <inheritdoc/>
    public int CompareTo(Duration other) => Nanoseconds.CompareTo(other.Nanoseconds);
}
