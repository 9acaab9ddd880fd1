// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;

namespace Pronghorn.Wire;

/// <summary>A range that the receiver holds out of order: [Left, Right) (RFC 2018 3).</summary>
public record struct SackBlock(SeqNumber Left, SeqNumber Right);

/// <summary>As many SACK blocks as fit into a TCP header.</summary>
[InlineArray(Capacity)]
public struct SackBlocks
{
    /// <summary>40 octets of options hold at most four blocks of eight.</summary>
    public const int Capacity = 4;

    private SackBlock _first;
}
