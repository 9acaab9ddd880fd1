// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Reads the text format of Prometheus, version 0.0.4, and fails on what it does not allow.</summary>
internal sealed class MetricsPage
{
    private const string Label = "[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\\\n]|\\\\[\\\\\"n])*\"";

    private static readonly Regex s_sample = new(
        $$"""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<labels>\{{{Label}}(?:,{{Label}})*\})? (?<value>\S+)$""", RegexOptions.ExplicitCapture);

    private readonly Dictionary<string, double> _values = [];
    private readonly Dictionary<string, string> _types = [];

    public double this[string sample] => _values[sample];

    public static MetricsPage Parse(string text)
    {
        var page = new MetricsPage();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        string? current = null;
        foreach (string line in text.TrimEnd('\n').Split('\n'))
        {
            current = page.Take(line, current);
        }

        foreach (string histogram in page._types.Where(static type => type.Value == "histogram").Select(static type => type.Key))
        {
            page.CheckHistogram(histogram);
        }

        return page;
    }

    public (double Limit, double Count)[] BucketsOf(string histogram) =>
    [
        .. _values.Where(one => one.Key.StartsWith(histogram + "_bucket{le=\"", StringComparison.Ordinal)).Select(one =>
            (Number(one.Key[(histogram.Length + "_bucket{le=\"".Length)..^2]), one.Value)),
    ];

    private static double Number(string text) => text == "+Inf"
        ? double.PositiveInfinity
        : double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);

    // HELP, TYPE, samples: in this order, each metric in one piece and once.
    private string? Take(string line, string? current)
    {
        string[] words = line.Split(' ', 4);
        if (words[0] == "#" && words[1] == "HELP")
        {
            Assert.True(words.Length == 4 && !_types.ContainsKey(words[2]), line);
            return words[2];
        }

        if (words[0] == "#")
        {
            Assert.Equal("TYPE", words[1]);
            Assert.Equal(current, words[2]);
            Assert.Contains(words[3], (string[])["counter", "gauge", "histogram"]);
            Assert.True(_types.TryAdd(words[2], words[3]), line);
            Assert.Equal(words[3] == "counter", words[2].EndsWith("_total", StringComparison.Ordinal));
            return current;
        }

        Match sample = s_sample.Match(line);
        Assert.True(sample.Success, line);
        string name = sample.Groups["name"].Value;
        string[] allowed = _types[current!] == "histogram" ? [current + "_bucket", current + "_sum", current + "_count"] : [current!];
        Assert.Contains(name, allowed);
        double value = Number(sample.Groups["value"].Value);
        Assert.True(value >= 0, line);
        Assert.True(_values.TryAdd(name + sample.Groups["labels"].Value, value), line);
        return current;
    }

    private void CheckHistogram(string name)
    {
        (double Limit, double Count)[] buckets = BucketsOf(name);
        for (int i = 1; i < buckets.Length; i++)
        {
            Assert.True(buckets[i].Limit > buckets[i - 1].Limit && buckets[i].Count >= buckets[i - 1].Count, $"{name} {i}");
        }

        Assert.Equal(double.PositiveInfinity, buckets[^1].Limit);
        Assert.Equal(this[name + "_count"], buckets[^1].Count);
        Assert.True(this[name + "_sum"] >= 0);
    }
}
