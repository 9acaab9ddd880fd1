// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Pronghorn.Handoff.Tests.RandomMoves;

/// <summary>What each byte of a connection's two streams must be: known at every place without what came before it.</summary>
internal static class StreamOracle
{
    /// <summary>Bytes before the client's stream: the seed and how many bytes go down.</summary>
    public const int HeaderLength = 16;

    /// <summary>Bytes that go up for a connection on which so many go down.</summary>
    public static long UpLength(long down) => down / 4;

    /// <summary>Writes the bytes from a place on.</summary>
    public static void Fill(Span<byte> bytes, ulong seed, bool isDown, long offset)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = At(seed, isDown, offset + i);
        }
    }

    /// <summary>The place of the first byte that is not as it must be, from the beginning of the stream; -1 when all are.</summary>
    public static long FindWrong(ReadOnlySpan<byte> bytes, ulong seed, bool isDown, long offset)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != At(seed, isDown, offset + i))
            {
                return offset + i;
            }
        }

        return -1;
    }

    private static byte At(ulong seed, bool isDown, long offset)
    {
        // SplitMix64 (Steele, Lea, Flood 2014) of the block that the byte is in.
        ulong mixed = seed + (isDown ? 1UL : 2UL) + ((ulong)(offset >> 3) * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        mixed ^= mixed >> 31;
        return (byte)(mixed >> (int)((offset & 7) * 8));
    }
}

/// <summary>How far a connection is: goes along with it as its tag.</summary>
[StructLayout(LayoutKind.Auto)]
internal record struct StreamState(ulong Seed, long Down, long Sent, long Received)
{
    public const int Length = 32;

    public readonly byte[] ToBytes()
    {
        byte[] bytes = new byte[Length];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, Seed);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(8), Down);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(16), Sent);
        BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(24), Received);
        return bytes;
    }

    public static StreamState Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadInt64BigEndian(bytes[8..]),
        BinaryPrimitives.ReadInt64BigEndian(bytes[16..]), BinaryPrimitives.ReadInt64BigEndian(bytes[24..]));
}
