// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Cli.Benchmarks.Services;
using Xunit;

namespace Pronghorn.Cli.Tests.Services;

public sealed class IptablesRulesTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WholeCluster_Written_JumpsOnlyToChainsThatItDeclares(bool nodePorts)
    {
        string text = IptablesRules.Whole(new BenchmarkCluster(40, 3, nodePorts));

        Assert.Empty(Targets(text).Except(Declared(text)));
        Assert.Equal(Declared(text).Length, Declared(text).Distinct().Count() + 2); // KUBE-SERVICES and KUBE-NODEPORTS are in both tables
    }

    [Fact]
    public void WholeCluster_Written_HasOneRuleForEachServiceInTheirOrder()
    {
        string[] rules = Rules(IptablesRules.Whole(new BenchmarkCluster(40, 3, nodePorts: false)), "-A KUBE-SERVICES ");

        Assert.Equal(41, rules.Length);
        Assert.Equal(
            Enumerable.Range(0, 40).Select(service => $"-d {BenchmarkCluster.ClusterAddress(service)}/32 --dport 80 -j KUBE-SVC-"),
            rules.Take(40).Select(rule => rule[rule.IndexOf("-d ", StringComparison.Ordinal)..^16]));
        Assert.Equal("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", rules[40]);
    }

    [Fact]
    public void ServicesWithPorts_Written_HaveOneRuleForEachPort()
    {
        string text = IptablesRules.Whole(new BenchmarkCluster(40, 3, nodePorts: false, ports: 5));

        Assert.Equal(201, Rules(text, "-A KUBE-SERVICES ").Length);
        Assert.Contains("--dport 84 -j KUBE-SVC-", Rules(text, "-A KUBE-SERVICES ")[^2], StringComparison.Ordinal);
        Assert.Equal(600, Rules(text, ":KUBE-SEP-").Distinct().Count());
        Assert.Empty(Targets(text).Except(Declared(text)));
    }

    [Fact]
    public void FourEndpoints_Written_HaveAChanceOfAQuarterEach()
    {
        string[] rules = Rules(IptablesRules.Whole(new BenchmarkCluster(1, 4, nodePorts: false)), "-A KUBE-SVC-");

        Assert.Equal(
            ["--probability 0.2500000000", "--probability 0.3333333333", "--probability 0.5000000000", ""],
            rules[1..].Select(rule => rule.Contains("--probability", StringComparison.Ordinal)
                ? rule[rule.IndexOf("--probability", StringComparison.Ordinal)..rule.IndexOf(" -j", StringComparison.Ordinal)]
                : ""));
    }

    [Fact]
    public void NodePorts_Written_AreMasqueradedAndOneRuleEach()
    {
        string text = IptablesRules.Whole(new BenchmarkCluster(40, 2, nodePorts: true));

        string[] ports = Rules(text, "-A KUBE-NODEPORTS ");
        Assert.Equal(40, ports.Length);
        Assert.Contains("-p udp --dport 30000 -j KUBE-EXT-", ports[0], StringComparison.Ordinal);
        Assert.Equal(40, Rules(text, "-A KUBE-EXT-").Count(rule => rule.EndsWith("-j KUBE-MARK-MASQ", StringComparison.Ordinal)));
    }

    [Fact]
    public void AddedService_Written_HasItsOwnChainsAndTheWholeOfTheEntries()
    {
        var cluster = new BenchmarkCluster(40, 3, nodePorts: false);
        string text = IptablesRules.Added(cluster, 41);

        Assert.Equal(43, Rules(text, "-A KUBE-SERVICES ").Length);
        Assert.Single(Declared(text), chain => chain.StartsWith("KUBE-SVC-", StringComparison.Ordinal));
        Assert.Equal(3, Declared(text).Count(chain => chain.StartsWith("KUBE-SEP-", StringComparison.Ordinal)));
        Assert.DoesNotContain("-A PREROUTING", text, StringComparison.Ordinal);
    }

    private static string[] Rules(string text, string start) =>
        [.. text.Split('\n').Where(line => line.StartsWith(start, StringComparison.Ordinal))];

    private static string[] Declared(string text) =>
        [.. Rules(text, ":KUBE").Select(line => line[1..line.IndexOf(' ', StringComparison.Ordinal)])];

    private static IEnumerable<string> Targets(string text) =>
        from line in Rules(text, "-A ")
        let words = line.Split(' ')
        let target = words[Array.IndexOf(words, "-j") + 1]
        where target.StartsWith("KUBE-", StringComparison.Ordinal)
        select target;
}
