// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Threading;

namespace Pronghorn.Handoff.Daemon;

/// <summary>Tells of streams that were refused, not of each: who comes without being a peer may come a thousand times a second.</summary>
/// <param name="log">Takes a line.</param>
internal sealed class RefusedStreams(Action<string> log)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private long _toldAt = Environment.TickCount64 - (long)s_pause.TotalMilliseconds;
    private long _untold;

    /// <summary>All of them.</summary>
    internal long Count { get; private set; }

    /// <summary>One was refused.</summary>
    /// <param name="address">Where it came from.</param>
    /// <param name="reason">Why.</param>
    /// <param name="now">From <see cref="Environment.TickCount64"/>.</param>
    internal void Add(string address, string reason, long now)
    {
        string others;
        lock (_lock)
        {
            Count++;
            if (now - _toldAt < s_pause.TotalMilliseconds)
            {
                _untold++;
                return;
            }

            others = _untold == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" ({_untold} more since the last line of this kind)");
            (_toldAt, _untold) = (now, 0);
        }

        log($"a stream from {address} was refused: {reason}{others}");
    }
}
