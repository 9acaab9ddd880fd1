// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;

namespace Pronghorn.Simulation;

/// <summary>What one direction of a link does to frames. Probabilities are parts of a million.</summary>
public sealed record LinkSettings
{
    /// <summary>A perfect link: one millisecond each way.</summary>
    public static LinkSettings Perfect { get; } = new();

    /// <summary>Propagation delay.</summary>
    public Duration Delay { get; init; } = Duration.FromMilliseconds(1);

    /// <summary>Up to so much is added to the delay of each frame, by chance, without overtaking.</summary>
    public Duration Jitter { get; init; }

    /// <summary>Bits a second; 0 for no limit.</summary>
    public long BitsPerSecond { get; init; }

    /// <summary>Bytes that may wait for their turn where <see cref="BitsPerSecond"/> limits; the rest is dropped.</summary>
    public int QueueBytes { get; init; } = 256 << 10;

    /// <summary>Frames lost.</summary>
    public int Loss { get; init; }

    /// <summary>Frames delivered twice.</summary>
    public int Duplication { get; init; }

    /// <summary>Frames held back by up to <see cref="ReorderingDelay"/>, so that later ones overtake them.</summary>
    public int Reordering { get; init; }

    /// <summary>Most that a reordered frame is held back.</summary>
    public Duration ReorderingDelay { get; init; } = Duration.FromMilliseconds(3);

    /// <summary>Frames in which bits of one 16-bit word are turned over.</summary>
    public int Corruption { get; init; }
}
