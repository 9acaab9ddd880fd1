// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>What is known of a segment in a send or receive queue.</summary>
[Flags]
internal enum SegmentMarks : byte
{
    None = 0,

    /// <summary>A FIN follows the payload.</summary>
    Fin = 1,

    /// <summary>The peer has it (SACK).</summary>
    Sacked = 2,

    /// <summary>Deemed lost; counted in LostBytes.</summary>
    Lost = 4,

    /// <summary>Sent again since it was deemed lost; counted in RetransBytes.</summary>
    Retransmitted = 8,

    /// <summary>Sent more than once; its acknowledgment gives no round-trip time (Karn).</summary>
    EverRetransmitted = 16,

    /// <summary>Ends what the user wrote at once.</summary>
    Push = 32,
}

/// <summary>The entry of one frame in a queue. A frame is in one queue at most, so its number is also the entry's.</summary>
internal struct FrameInfo
{
    /// <summary>Next frame of the queue, -1 at its end.</summary>
    public int Next;

    /// <summary>Sequence number of the first payload byte.</summary>
    public SeqNumber Sequence;

    /// <summary>Payload's place in the frame.</summary>
    public ushort Offset;

    /// <summary>Payload bytes.</summary>
    public ushort Length;

    public SegmentMarks Marks;

    /// <summary>When it was last sent.</summary>
    public Instant SentAt;

    /// <summary>Length in sequence space.</summary>
    public readonly int SequenceLength => Length + ((Marks & SegmentMarks.Fin) != 0 ? 1 : 0);

    /// <summary>The sequence number after its last.</summary>
    public readonly SeqNumber End => Sequence + SequenceLength;

    public readonly bool Is(SegmentMarks mark) => (Marks & mark) != 0;
}
