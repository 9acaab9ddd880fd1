// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Pronghorn.Wire;

/// <summary>
/// The Internet checksum (RFC 1071, incremental update RFC 1624). A partial sum is a ones'-complement sum of 16-bit
/// big-endian words in a <see cref="uint"/>; partial sums of even-length pieces combine in any order.
/// </summary>
public static class Checksum
{
    /// <summary>
    /// From this length on the vector path wins. Headers (20..60 octets) stay below it: for them the set-up costs more.
    /// </summary>
    private const int VectorThreshold = 64;

    /// <summary>
    /// Adds the words of <paramref name="data"/> to <paramref name="initial"/>. An odd last octet counts as the high half of
    /// a word whose low half is zero, so only the last piece of a message may have an odd length.
    /// </summary>
    /// <returns>A partial sum. It is zero only if <paramref name="initial"/> and all of the data are zero.</returns>
    public static uint Sum(ReadOnlySpan<byte> data, uint initial = 0)
    {
        // The sum does not depend on byte order (RFC 1071 2.B): add little-endian words, swap the two octets once at the end.
        ulong sum = 0;
        if (data.Length >= VectorThreshold && Vector128.IsHardwareAccelerated && BitConverter.IsLittleEndian)
        {
            sum = SumVectors(ref data);
        }

        while (data.Length >= sizeof(ulong))
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(data);
            sum += (uint)word;
            sum += word >> 32;
            data = data[sizeof(ulong)..];
        }

        sum += SumTail(data);
        return Combine(initial, BinaryPrimitives.ReverseEndianness(FoldWide(sum)));
    }

    /// <summary>Folds a partial sum to 16 bits, not complemented.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)(sum + (sum >> 16));
    }

    /// <summary>
    /// Folds and complements: the checksum as a host-order number that is then written big-endian. A message that holds a
    /// correct checksum gives 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort Finish(uint sum) => (ushort)~Fold(sum);

    /// <summary>Adds two partial sums with the carry brought round.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Combine(uint a, uint b)
    {
        ulong sum = (ulong)a + b;
        return (uint)sum + (uint)(sum >> 32);
    }

    /// <summary>
    /// The partial sum of the pseudo header that TCP, UDP and ICMPv6 cover: RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6.
    /// </summary>
    /// <param name="source">Source address; its family decides the layout.</param>
    /// <param name="destination">Destination address, of the same family.</param>
    /// <param name="protocol">Protocol number of the upper layer.</param>
    /// <param name="upperLayerLength">Octets of upper-layer header and data, not negative.</param>
    public static uint PseudoHeader(in IpAddress source, in IpAddress destination, byte protocol, int upperLayerLength)
    {
        ulong sum = (ulong)source.ToIpv4() + destination.ToIpv4() + protocol + (uint)upperLayerLength;
        if (!source.IsIpv4)
        {
            sum += (source.Low >> 32) + (uint)source.High + (source.High >> 32);
            sum += (destination.Low >> 32) + (uint)destination.High + (destination.High >> 32);
        }

        return FoldWide(sum);
    }

    /// <summary>
    /// The checksum of a message after one of its 16-bit words changed (RFC 1624 equation 3, which is right at 0xFFFF too).
    /// </summary>
    /// <param name="checksum">The checksum in the message, host order.</param>
    /// <param name="oldWord">The word before, host order.</param>
    /// <param name="newWord">The word after, host order.</param>
    public static ushort Update(ushort checksum, ushort oldWord, ushort newWord)
    {
        uint sum = (uint)(ushort)~checksum + (ushort)~oldWord + newWord;
        return Finish(sum);
    }

    /// <summary>The checksum of a message after an aligned 32-bit field, such as an address, changed.</summary>
    /// <param name="checksum">The checksum in the message, host order.</param>
    /// <param name="oldValue">The field before, host order.</param>
    /// <param name="newValue">The field after, host order.</param>
    public static ushort Update32(ushort checksum, uint oldValue, uint newValue)
    {
        ulong sum = (ulong)(ushort)~checksum + ~oldValue + newValue;
        return (ushort)~FoldWide(sum);
    }

    /// <summary>Consumes whole vectors from the front of <paramref name="data"/> and returns the sum of their 32-bit words.</summary>
    private static ulong SumVectors(ref ReadOnlySpan<byte> data)
    {
        // Each 64-bit lane is added as two 32-bit halves, so no lane can overflow before 2^31 vectors.
        if (Vector512.IsHardwareAccelerated)
        {
            ReadOnlySpan<Vector512<ulong>> vectors = MemoryMarshal.Cast<byte, Vector512<ulong>>(data);
            Vector512<ulong> low = Vector512<ulong>.Zero;
            Vector512<ulong> high = Vector512<ulong>.Zero;
            foreach (Vector512<ulong> vector in vectors)
            {
                low += vector & Vector512.Create((ulong)uint.MaxValue);
                high += vector >>> 32;
            }

            data = data[(vectors.Length * Vector512<byte>.Count)..];
            return Vector512.Sum(low + high);
        }

        return Vector256.IsHardwareAccelerated ? SumVectors256(ref data) : SumVectors128(ref data);
    }

    private static ulong SumVectors256(ref ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<Vector256<ulong>> vectors = MemoryMarshal.Cast<byte, Vector256<ulong>>(data);
        Vector256<ulong> low = Vector256<ulong>.Zero;
        Vector256<ulong> high = Vector256<ulong>.Zero;
        foreach (Vector256<ulong> vector in vectors)
        {
            low += vector & Vector256.Create((ulong)uint.MaxValue);
            high += vector >>> 32;
        }

        data = data[(vectors.Length * Vector256<byte>.Count)..];
        return Vector256.Sum(low + high);
    }

    private static ulong SumVectors128(ref ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<Vector128<ulong>> vectors = MemoryMarshal.Cast<byte, Vector128<ulong>>(data);
        Vector128<ulong> low = Vector128<ulong>.Zero;
        Vector128<ulong> high = Vector128<ulong>.Zero;
        foreach (Vector128<ulong> vector in vectors)
        {
            low += vector & Vector128.Create((ulong)uint.MaxValue);
            high += vector >>> 32;
        }

        data = data[(vectors.Length * Vector128<byte>.Count)..];
        return Vector128.Sum(low + high);
    }

    /// <summary>The last 0..7 octets as little-endian words.</summary>
    private static ulong SumTail(ReadOnlySpan<byte> data)
    {
        ulong sum = 0;
        if (data.Length >= sizeof(uint))
        {
            sum = BinaryPrimitives.ReadUInt32LittleEndian(data);
            data = data[sizeof(uint)..];
        }

        if (data.Length >= sizeof(ushort))
        {
            sum += BinaryPrimitives.ReadUInt16LittleEndian(data);
            data = data[sizeof(ushort)..];
        }

        return data.IsEmpty ? sum : sum + data[0];
    }

    private static ushort FoldWide(ulong sum)
    {
        sum = (sum & uint.MaxValue) + (sum >> 32);
        sum = (sum & uint.MaxValue) + (sum >> 32);
        return Fold((uint)sum);
    }
}
