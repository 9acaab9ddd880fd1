// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>A clock by which every pause is over at once; it keeps how long each should have been.</summary>
internal sealed class ImpatientClock : TimeProvider
{
    private readonly Channel<TimeSpan> _pauses = Channel.CreateUnbounded<TimeSpan>();

    /// <summary>The next pauses, in the order in which they began.</summary>
    public async Task<IReadOnlyList<TimeSpan>> PausesAsync(int count)
    {
        List<TimeSpan> pauses = [];
        while (pauses.Count < count)
        {
            pauses.Add(await _pauses.Reader.ReadAsync());
        }

        return pauses;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        _pauses.Writer.TryWrite(dueTime);
        return base.CreateTimer(callback, state, TimeSpan.Zero, period);
    }
}
