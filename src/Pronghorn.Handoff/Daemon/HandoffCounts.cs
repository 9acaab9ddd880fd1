// SPDX-License-Identifier: Apache-2.0
using System;
using System.Numerics;
using System.Threading;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;

namespace Pronghorn.Handoff.Daemon;

/// <summary>What a daemon has done since it began. Any thread may add.</summary>
internal sealed class HandoffCounts
{
    /// <summary>Intervals of the freeze histogram: up to 1 us, 2 us, 4 us, ... and the last for all that is longer.</summary>
    internal const int FreezeIntervals = 22;

    private readonly long[] _refused = new long[Enum.GetValues<RefusalReason>().Length];
    private readonly string?[] _lastRefusals = new string?[Enum.GetValues<RefusalReason>().Length];
    private readonly long[] _freezes = new long[FreezeIntervals];
    private long _freezeTicks;
    private long _given;
    private long _unconfirmed;

    /// <summary>Connections given to other nodes.</summary>
    internal long Given => Interlocked.Read(ref _given);

    /// <summary>Of those, the ones whose new owner has not said that they work there.</summary>
    internal long Unconfirmed => Interlocked.Read(ref _unconfirmed);

    /// <summary>Moves that did not come about.</summary>
    internal long Refused(RefusalReason reason) => Interlocked.Read(ref _refused[(int)reason]);

    /// <summary>The last of them, in words; null for none.</summary>
    internal string? LastRefusal(RefusalReason reason) => Volatile.Read(ref _lastRefusals[(int)reason]);

    /// <summary>Freezes of an interval.</summary>
    internal long Freezes(int interval) => Interlocked.Read(ref _freezes[interval]);

    /// <summary>All freezes together.</summary>
    internal TimeSpan FreezeSum => new(Interlocked.Read(ref _freezeTicks));

    /// <summary>The longest freeze of an interval; null for the last, which has no end.</summary>
    internal static TimeSpan? LimitOf(int interval) =>
        interval == FreezeIntervals - 1 ? null : TimeSpan.FromMicroseconds(1L << interval);

    /// <summary>Counts a move.</summary>
    internal void Add(in MoveOutcome outcome)
    {
        if (outcome.Freeze > TimeSpan.Zero)
        {
            ulong microseconds = (ulong)Math.Ceiling(outcome.Freeze.TotalMicroseconds);
            int interval = microseconds <= 1 ? 0 : BitOperations.Log2(microseconds - 1) + 1;
            Interlocked.Add(ref _freezeTicks, outcome.Freeze.Ticks);
            Interlocked.Increment(ref _freezes[Math.Min(interval, FreezeIntervals - 1)]);
        }

        if (!outcome.Refusal.IsNone)
        {
            Interlocked.Increment(ref _refused[(int)outcome.Refusal.Reason]);
            Volatile.Write(ref _lastRefusals[(int)outcome.Refusal.Reason], outcome.Refusal.ToString());
            return;
        }

        Interlocked.Increment(ref _given);
        if (!outcome.IsLive)
        {
            Interlocked.Increment(ref _unconfirmed);
        }
    }
}
