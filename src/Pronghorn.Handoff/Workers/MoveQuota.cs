// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Threading;

namespace Pronghorn.Handoff.Workers;

/// <summary>
/// How many connections a worker may have moved in a second (a token bucket that holds a second's worth). It belongs to the worker's
/// socket: a process that connects anew has no more for it.
/// </summary>
/// <param name="perSecond">Most in a second; 0 for any number.</param>
internal sealed class MoveQuota(int perSecond)
{
    private readonly Lock _lock = new();
    private double _left = perSecond;
    private long _looked;

    internal int PerSecond => perSecond;

    /// <summary>Takes one. False: there is none left now.</summary>
    /// <param name="now">From <see cref="Stopwatch.GetTimestamp"/>; times before an earlier one count as that.</param>
    internal bool TryTake(long now)
    {
        if (perSecond == 0)
        {
            return true;
        }

        lock (_lock)
        {
            if (now > _looked)
            {
                double more = _looked == 0 ? perSecond : Stopwatch.GetElapsedTime(_looked, now).TotalSeconds * perSecond;
                _left = Math.Min(perSecond, _left + more);
                _looked = now;
            }

            if (_left < 1)
            {
                return false;
            }

            _left--;
            return true;
        }
    }
}
