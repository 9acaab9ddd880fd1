// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Simulation;

/// <summary>How a simulated program ends its use of a connection.</summary>
public enum ProgramEnding
{
    /// <summary>Shuts its sending direction as soon as all is written, closes at the end of the peer's stream.</summary>
    HalfClose,

    /// <summary>Closes once it has written all and read all that the peer will write.</summary>
    Close,

    /// <summary>Closes in the middle, unread data or not.</summary>
    CloseEarly,

    /// <summary>Aborts in the middle.</summary>
    Abort,
}

/// <summary>What one end of a connection does.</summary>
public sealed record ProgramPlan
{
    /// <summary>Bytes that it writes.</summary>
    public int Total { get; init; }

    /// <summary>Most bytes of one write.</summary>
    public int LargestWrite { get; init; } = 16384;

    /// <summary>Most bytes of one read.</summary>
    public int LargestRead { get; init; } = 16384;

    /// <summary>How often it stops for a while after a write; parts of a million.</summary>
    public int WritePauses { get; init; }

    /// <summary>How often it stops for a while after a read; parts of a million.</summary>
    public int ReadPauses { get; init; }

    /// <summary>Longest pause.</summary>
    public Duration LongestPause { get; init; } = Duration.FromMilliseconds(50);

    /// <summary>How often a write says that more follows; parts of a million.</summary>
    public int More { get; init; }

    /// <summary>How it ends.</summary>
    public ProgramEnding Ending { get; init; } = ProgramEnding.HalfClose;

    /// <summary>Bytes written after which an early end comes.</summary>
    public int EndAfter { get; init; }

    /// <summary>The stream that it writes.</summary>
    public StreamContent Content { get; init; }

    /// <summary>Options of its socket.</summary>
    public SocketSettings Settings { get; init; } = SocketSettings.Default;

    /// <summary>Whether the plan leads to a regular end.</summary>
    public bool IsOrderly => Ending is ProgramEnding.HalfClose or ProgramEnding.Close;
}
