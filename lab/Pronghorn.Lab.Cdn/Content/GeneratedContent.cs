// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Lab.Cdn.Content;

/// <summary>Contents that follow from name and offset alone, so that whoever receives them can check every byte.</summary>
public static class GeneratedContent
{
    // A prime: no power of two that buffers have shows the same bytes at the same place.
    private const int Period = 1_048_573;

    private static readonly byte[] s_block = MakeBlock();

    /// <summary>Fills a buffer with the bytes of a content from an offset.</summary>
    public static void Fill(string name, long offset, Span<byte> bytes)
    {
        long at = (offset + (long)(StableHash.Of(name) % Period)) % Period;
        while (!bytes.IsEmpty)
        {
            int count = (int)Math.Min(bytes.Length, Period - at);
            s_block.AsSpan((int)at, count).CopyTo(bytes);
            bytes = bytes[count..];
            at = 0;
        }
    }

    private static byte[] MakeBlock()
    {
        byte[] block = new byte[Period];
        ulong state = 0x9E37_79B9_7F4A_7C15;
        for (int i = 0; i < block.Length; i++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block[i] = (byte)(state >> 32);
        }

        return block;
    }
}
