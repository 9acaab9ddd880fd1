// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Simulation;

/// <summary>A random stream of bytes of which every part can be made again, so that a receiver can check what it gets.</summary>
/// <param name="Seed">What the stream follows from.</param>
public readonly record struct StreamContent(ulong Seed)
{
    /// <summary>Writes the part of the stream that begins at an offset.</summary>
    public void Fill(Span<byte> destination, long offset)
    {
        Span<byte> word = stackalloc byte[8];
        int done = 0;
        while (done < destination.Length)
        {
            long position = offset + done;
            BinaryPrimitives.WriteUInt64LittleEndian(word, Prng.Mix(Seed + (ulong)(position >> 3)));
            ReadOnlySpan<byte> part = word[(int)(position & 7)..];
            int count = Math.Min(part.Length, destination.Length - done);
            part[..count].CopyTo(destination[done..]);
            done += count;
        }
    }

    /// <summary>Finds the first byte that is not the stream's; -1 when all are.</summary>
    public int FirstDifference(ReadOnlySpan<byte> received, long offset)
    {
        Span<byte> expected = stackalloc byte[256];
        for (int done = 0; done < received.Length; done += expected.Length)
        {
            int count = Math.Min(expected.Length, received.Length - done);
            Fill(expected[..count], offset + done);
            int same = received.Slice(done, count).CommonPrefixLength(expected[..count]);
            if (same < count)
            {
                return done + same;
            }
        }

        return -1;
    }
}
