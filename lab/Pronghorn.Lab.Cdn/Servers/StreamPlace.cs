// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>
/// How far a stream's answer is, for the node that goes on with it: the tag of a handoff in its middle. The request goes along as what
/// was consumed. A connection moves between two chunks.
/// </summary>
/// <param name="Position">Bytes of the content that were sent: the next chunk begins with the one after them.</param>
/// <param name="Elapsed">
/// Since the first of them was due, ms. No time of day, so that nodes' clocks need not agree; the time that a move takes is lost.
/// </param>
internal readonly record struct StreamPlace(long Position, long Elapsed)
{
    private const int Length = 2 * sizeof(long);

    /// <summary>As a tag.</summary>
    internal byte[] ToTag()
    {
        byte[] tag = new byte[Length];
        BinaryPrimitives.WriteInt64BigEndian(tag, Position);
        BinaryPrimitives.WriteInt64BigEndian(tag.AsSpan(sizeof(long)), Elapsed);
        return tag;
    }

    /// <summary>Of a tag. False when it is none of these.</summary>
    internal static bool TryRead(ReadOnlySpan<byte> tag, out StreamPlace place)
    {
        place = default;
        if (tag.Length != Length)
        {
            return false;
        }

        place = new StreamPlace(BinaryPrimitives.ReadInt64BigEndian(tag), BinaryPrimitives.ReadInt64BigEndian(tag[sizeof(long)..]));
        return place.Position >= 0 && place.Elapsed >= 0;
    }
}
