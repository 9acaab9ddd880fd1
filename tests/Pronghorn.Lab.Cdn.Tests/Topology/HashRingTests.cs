// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Lab.Cdn.Topology;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Topology;

/// <summary>Which node has a content, and what changes when nodes come and go.</summary>
public sealed class HashRingTests
{
    private const int Count = 20_000;

    private static readonly string[] s_names =
        [.. Enumerable.Range(0, Count).Select(static number => FormattableString.Invariant($"file-{number}"))];

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(9)]
    public void NodeThatComes_TakesItsShare_AndNothingElseMoves(int nodes)
    {
        string[] before = Owners(Ring(nodes));
        string[] after = Owners(Ring(nodes + 1));
        int moved = 0;
        for (int i = 0; i < Count; i++)
        {
            if (before[i] != after[i])
            {
                moved++;
                Assert.Equal(FormattableString.Invariant($"edge-{nodes + 1}"), after[i]);
            }
        }

        double share = (double)Count / (nodes + 1);
        Assert.InRange(moved, share * 0.75, share * 1.25);
    }

    [Fact]
    public void Shares_FollowTheWeights()
    {
        var ring = new HashRing(PopStructure.Parse(["node = a 10.0.0.1", "node = b 10.0.0.2 3"], "f"));
        Assert.InRange(Owners(ring).Count(static owner => owner == "b"), Count * 0.68, Count * 0.82);
    }

    [Fact]
    public void OrderOfTheLines_ChangesNothing()
    {
        string[] lines = ["node = a 10.0.0.1", "node = b 10.0.0.2", "node = c 10.0.0.3"];
        Assert.Equal(
            Owners(new HashRing(PopStructure.Parse(lines, "f"))), Owners(new HashRing(PopStructure.Parse([.. lines.Reverse()], "f"))));
    }

    [Fact]
    public void After_GoesThroughTheFile()
    {
        HashRing ring = Ring(3);
        Assert.Equal(
            ["edge-2", "edge-3", "edge-1", "edge-1"],
            ((string[])["edge-1", "edge-2", "edge-3", "another"]).Select(node => ring.After(node).Name));
    }

    private static string[] Owners(HashRing ring) => [.. s_names.Select(name => ring.Find(name).Name)];

    private static HashRing Ring(int nodes) => new(PopStructure.Parse(
        [.. Enumerable.Range(1, nodes).Select(static node => FormattableString.Invariant($"node = edge-{node} 10.2.0.{node}"))], "f"));
}
