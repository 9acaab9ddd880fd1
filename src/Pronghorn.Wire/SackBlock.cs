// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;

namespace Pronghorn.Wire;

/// <summary>A range that the receiver holds out of order: [Left, Right) (RFC 2018 3).</summary>
/// <param name="Left">The first number of the range.</param>
/// <param name="Right">The number after its last.</param>
public record struct SackBlock(SeqNumber Left, SeqNumber Right)
{
    /// <inheritdoc/>
    /// <remarks>Written out, because the generated one goes through comparers that are allocated at their first use.</remarks>
    public readonly bool Equals(SackBlock other) => Left == other.Left && Right == other.Right;

    /// <inheritdoc/>
    public override readonly int GetHashCode() => unchecked((Left.GetHashCode() * 31) + Right.GetHashCode());
}

/// <summary>As many SACK blocks as fit into a TCP header.</summary>
[InlineArray(Capacity)]
public struct SackBlocks
{
    /// <summary>40 octets of options hold at most four blocks of eight.</summary>
    public const int Capacity = 4;

    private SackBlock _first;
}
