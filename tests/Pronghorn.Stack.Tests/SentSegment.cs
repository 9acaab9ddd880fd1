// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tests;

/// <summary>A segment that the stack sent. Numbers count from the first byte of data: our ISS + 1, and the peer's.</summary>
public sealed record SentSegment
{
    public required TcpFlags Flags { get; init; }

    public required int Seq { get; init; }

    public required int Ack { get; init; }

    public required ushort Window { get; init; }

    public required byte[] Payload { get; init; }

    public required TcpOptions Options { get; init; }

    public required SeqNumber RawSequence { get; init; }

    public required SeqNumber RawAcknowledgment { get; init; }

    public required ushort SourcePort { get; init; }

    public required ushort DestinationPort { get; init; }

    public required Instant Time { get; init; }

    public required bool ChecksumIsValid { get; init; }

    public required byte Ttl { get; init; }

    public required byte TypeOfService { get; init; }

    public int Length => Payload.Length;

    public bool Is(TcpFlags flags) => (Flags & flags) == flags;

    /// <summary>SACK blocks as pairs that count from the peer's first byte.</summary>
    public IReadOnlyList<(int Left, int Right)> Sacks(SeqNumber origin)
    {
        var blocks = new List<(int, int)>();
        for (int i = 0; i < Options.SackBlockCount; i++)
        {
            SackBlock block = Options.GetSackBlock(i);
            blocks.Add((block.Left - origin, block.Right - origin));
        }

        return blocks;
    }

    public override string ToString() => $"{Flags} seq {Seq} ack {Ack} win {Window} len {Payload.Length}";
}
