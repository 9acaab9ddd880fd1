// SPDX-License-Identifier: Apache-2.0
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Pronghorn.Runtime.Statistics;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>docs/counters.md explains what a statistics page holds: everything, and nothing that is not there.</summary>
public sealed partial class CounterPageTests
{
    [Fact]
    public void Counters_ComparedWithTheirPage_AreAllExplainedOnce()
    {
        string text = File.ReadAllText(Path.Combine(Tree.Root, "docs", "counters.md"));
        string[] explained = [.. Row().Matches(text).Select(row => row.Groups[1].Value).Order(System.StringComparer.Ordinal)];
        string[] kept =
        [
            .. StatisticsWriter.StackCounterNames.Select(counter => counter.Name)
                .Concat(StatisticsPublisher.Names).Order(System.StringComparer.Ordinal),
        ];

        Assert.Equal(kept, explained);
    }

    [Fact]
    public void Drops_ComparedWithTheirPage_AreInTheSectionOfDrops()
    {
        string text = File.ReadAllText(Path.Combine(Tree.Root, "docs", "counters.md"));
        string section = text.Split("\n## ").Single(part => part.StartsWith("Not used", System.StringComparison.Ordinal));

        Assert.Equal(
            StatisticsWriter.StackCounterNames.Where(counter => counter.IsDrop).Select(counter => counter.Name),
            Row().Matches(section).Select(row => row.Groups[1].Value));
    }

    [Fact]
    public void Counters_Counted_FitIntoAPage() => Assert.InRange(
        StatisticsWriter.StackCounterNames.Count() + StatisticsPublisher.Names.Count(), 1, StatisticsPage.MaximumCounters);

    [Fact]
    public void Names_Measured_FitIntoTheirField() => Assert.DoesNotContain(
        StatisticsWriter.StackCounterNames.Select(counter => counter.Name).Concat(StatisticsPublisher.Names),
        name => name.Length >= StatisticsPage.NameLength);

    [GeneratedRegex(@"^\| `([a-z0-9_]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
