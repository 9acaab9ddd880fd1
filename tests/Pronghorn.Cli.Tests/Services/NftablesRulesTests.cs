// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Text.RegularExpressions;
using Pronghorn.Cli.Benchmarks.Services;
using Xunit;

namespace Pronghorn.Cli.Tests.Services;

public sealed class NftablesRulesTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WholeCluster_Written_GoesOnlyToChainsThatItAdds(bool nodePorts)
    {
        string text = NftablesRules.Whole(new BenchmarkCluster(40, 3, nodePorts));

        string[] added = [.. Regex.Matches(text, @"add chain ip kube-proxy (\S+)").Select(match => match.Groups[1].Value)];
        string[] used = [.. Regex.Matches(text, @"(?:goto|jump) (\S+)").Select(match => match.Groups[1].Value.TrimEnd(','))];
        Assert.NotEmpty(used);
        Assert.Empty(used.Except(added));
    }

    [Fact]
    public void WholeCluster_Written_HasAnElementForEachServiceAndNodePort()
    {
        string[] lines = NftablesRules.Whole(new BenchmarkCluster(40, 3, nodePorts: true)).Split('\n');

        Assert.Equal(40, lines.Count(line => line.StartsWith("add element ip kube-proxy service-ips ", StringComparison.Ordinal)));
        Assert.Equal(40, lines.Count(line => line.StartsWith("add element ip kube-proxy service-nodeports ", StringComparison.Ordinal)));
    }

    [Fact]
    public void AddedService_Written_SaysNothingOfOthers()
    {
        string text = NftablesRules.Added(new BenchmarkCluster(40, 3, nodePorts: false), 40);

        Assert.Equal(4, Regex.Count(text, "add chain "));
        Assert.Equal(1, Regex.Count(text, "add element "));
        Assert.DoesNotContain(BenchmarkCluster.Name(39), text, StringComparison.Ordinal);
    }
}
