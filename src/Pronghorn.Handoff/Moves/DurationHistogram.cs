// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Threading;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// How often something took how long: up to 8 us, then four intervals for each doubling, so that what a percentile is said to be is at
/// most a quarter too long; the last is for all above 2 s. Any thread may add.
/// </summary>
public sealed class DurationHistogram
{
    private const int FirstMicroseconds = 8;
    private const int Doublings = 18;
    private const int StepsOfDoubling = 4;

    private readonly long[] _counts = new long[Limits.Length + 1];
    private long _ticks;

    /// <summary>The intervals' limits, microseconds, ascending; after them comes one without.</summary>
    public static ImmutableArray<double> Limits { get; } =
    [
        FirstMicroseconds,
        .. from doubling in Enumerable.Range(0, Doublings)
           from step in Enumerable.Range(1, StepsOfDoubling)
           select (double)((FirstMicroseconds << doubling) * (StepsOfDoubling + step) / StepsOfDoubling),
    ];

    /// <summary>All durations together.</summary>
    public TimeSpan Sum => new(Interlocked.Read(ref _ticks));

    /// <summary>Adds a duration.</summary>
    public void Add(TimeSpan duration)
    {
        int found = Limits.AsSpan().BinarySearch(duration.TotalMicroseconds);
        Interlocked.Increment(ref _counts[found < 0 ? ~found : found]);
        Interlocked.Add(ref _ticks, duration.Ticks);
    }

    /// <summary>How many are in an interval.</summary>
    /// <param name="interval">From 0; as many as there are <see cref="Limits"/> for the one without a limit.</param>
    public long Count(int interval) => Interlocked.Read(ref _counts[interval]);

    /// <summary>Counts by limit, microseconds; "more" for none. Without empty ones.</summary>
    public IReadOnlyDictionary<string, long> ToDictionary() => Enumerable.Range(0, _counts.Length)
        .Where(interval => Count(interval) > 0)
        .ToDictionary(static interval => NameOf(interval), Count);

    /// <summary>The longest that a part of all durations took, by counts of <see cref="ToDictionary"/>.</summary>
    /// <param name="counts">Number by limit.</param>
    /// <param name="part">0 to 1: 0.5 for the median.</param>
    /// <returns>The limit of its interval, microseconds; null for nothing, or an interval without a limit.</returns>
    public static double? Quantile(IReadOnlyDictionary<string, long> counts, double part)
    {
        ArgumentNullException.ThrowIfNull(counts);
        double left = counts.Values.Sum() * part;
        var ascending = counts.Where(static one => one.Value > 0).Select(static one => (Limit: LimitOf(one.Key), Count: one.Value)).Order();
        foreach ((double limit, long count) in ascending)
        {
            left -= count;
            if (left <= 0)
            {
                return double.IsFinite(limit) ? limit : null;
            }
        }

        return null;
    }

    private static string NameOf(int interval) =>
        interval == Limits.Length ? "more" : Limits[interval].ToString(CultureInfo.InvariantCulture);

    private static double LimitOf(string name) =>
        double.TryParse(name, CultureInfo.InvariantCulture, out double limit) ? limit : double.PositiveInfinity;
}
