// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace Pronghorn.Simulation;

/// <summary>
/// The one source of chance in a simulation: xoshiro256** (Blackman and Vigna, 2018) filled by splitmix64. Its output is
/// the same on every machine and framework, which <c>System.Random</c> does not promise.
/// </summary>
public sealed class Prng
{
    private ulong _s0;
    private ulong _s1;
    private ulong _s2;
    private ulong _s3;

    /// <summary>Makes a generator whose whole sequence follows from a seed.</summary>
    public Prng(ulong seed)
    {
        const ulong Step = 0x9e3779b97f4a7c15;
        _s0 = Mix(seed += Step);
        _s1 = Mix(seed += Step);
        _s2 = Mix(seed += Step);
        _s3 = Mix(seed + Step);
    }

    /// <summary>A hash of 64 bits: splitmix64's finalizer.</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
        value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
        return value ^ (value >> 31);
    }

    /// <summary>64 random bits.</summary>
    public ulong Next64()
    {
        ulong result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        ulong t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>A number from 0 to <paramref name="exclusive"/> - 1.</summary>
    /// <param name="exclusive">1 or more.</param>
    public int Below(int exclusive) => (int)(((Next64() >> 32) * (ulong)exclusive) >> 32);

    /// <summary>A number from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public int Between(int low, int high) => low + Below(high - low + 1);

    /// <summary>A number from <paramref name="low"/> to <paramref name="high"/>, each power of two as likely as the next.</summary>
    /// <param name="low">1 or more.</param>
    /// <param name="high">At least <paramref name="low"/>.</param>
    public int Spread(int low, int high)
    {
        int bits = Between(BitOperations.Log2((uint)low), BitOperations.Log2((uint)high));
        int value = (1 << bits) + Below(1 << bits);
        return value < low ? low : value > high ? high : value;
    }

    /// <summary>True in so many cases of a million.</summary>
    public bool Chance(int perMillion) => perMillion > 0 && Below(1_000_000) < perMillion;
}
