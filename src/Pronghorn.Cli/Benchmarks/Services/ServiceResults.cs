// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Collects the values of all rounds, and makes lines of medians and ratios of them.</summary>
internal sealed class ServiceResults
{
    private readonly List<Series> _series = [];
    private readonly List<string> _failures = [];

    /// <summary>What was not measured, and why.</summary>
    internal IReadOnlyList<string> Failures => _failures;

    /// <summary>Adds the value of a round.</summary>
    internal void Add(ServiceMetric metric, int services, string position, string way, double value)
    {
        Series? series = _series.Find(one => one.Is(metric.Name, services, position, way));
        if (series is null)
        {
            _series.Add(series = new Series(metric, services, position, way));
        }

        series.Values.Add(value);
    }

    /// <summary>Notes what could not be measured.</summary>
    internal void Fail(string what)
    {
        _failures.Add(what);
        Terminal.Error(what);
    }

    /// <summary>The lines, in the order measured first.</summary>
    internal IReadOnlyList<ServiceRow> ToRows() =>
    [
        .. _series.Select(series => new ServiceRow
        {
            Metric = series.Metric.Name,
            Services = series.Services,
            Position = series.Position,
            Way = series.Way,
            Value = Round(series.Median),
            Unit = series.Metric.Unit,
            Ratio = RatioOf(series),
        }),
    ];

    /// <summary>The metric of a line.</summary>
    internal ServiceMetric MetricOf(ServiceRow row) => _series.First(one => one.Metric.Name == row.Metric).Metric;

    private static double Round(double value) => Math.Round(value, value < 10 ? 4 : 1);

    private double? RatioOf(Series series)
    {
        Series? ours = series.Way == ServiceWay.Pronghorn
            ? series
            : _series.Find(one => one.Is(series.Metric.Name, series.Services, series.Position, ServiceWay.Pronghorn));
        Series? other = series.Way == ServiceWay.Pronghorn
            ? _series.Where(one => one.Way == series.Way && one.Metric.Name == series.Metric.Name).MinBy(one => one.Services)
            : series;
        bool isItself = series.Way == ServiceWay.Pronghorn && other?.Services == series.Services;
        if (ours is null || other is null || isItself)
        {
            return null;
        }

        (double better, double worse) = series.Metric.MoreIsBetter ? (ours.Median, other.Median) : (other.Median, ours.Median);
        return worse > 0 ? Math.Round(better / worse, 3) : null;
    }

    private sealed record Series(ServiceMetric Metric, int Services, string Position, string Way)
    {
        internal List<double> Values { get; } = [];

        internal double Median => BenchmarkOutcome.Median(Values);

        internal bool Is(string metric, int services, string position, string way) =>
            Metric.Name == metric && Services == services && Position == position && Way == way;
    }
}
