// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;

namespace Pronghorn.Handoff.Daemon;

/// <summary>What a daemon has done since it began. Any thread may add.</summary>
internal sealed class HandoffCounts
{
    private readonly long[] _refused = new long[Enum.GetValues<RefusalReason>().Length];
    private readonly string?[] _lastRefusals = new string?[Enum.GetValues<RefusalReason>().Length];
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

    /// <summary>How long peers' segments were held.</summary>
    internal DurationHistogram Freezes { get; } = new();

    /// <summary>Counts a move.</summary>
    internal void Add(in MoveOutcome outcome)
    {
        if (outcome.Freeze > TimeSpan.Zero)
        {
            Freezes.Add(outcome.Freeze);
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
