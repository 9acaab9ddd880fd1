// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Linq;
using Pronghorn.Handoff.Workers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

public sealed class MoveQuotaTests
{
    private const long Start = 1_000_000;

    [Fact]
    public void None_TakesAny() => Assert.All(Enumerable.Range(0, 1000), static _ => Assert.True(new MoveQuota(0).TryTake(Start)));

    [Fact]
    public void SecondsWorth_IsThereAtOnce_AndThenAsMuchAsTimeGives()
    {
        var quota = new MoveQuota(10);
        Assert.Equal(10, CountTaken(quota, Start));
        Assert.Equal(0, CountTaken(quota, After(0.09)));
        Assert.Equal(1, CountTaken(quota, After(0.101)));
        Assert.Equal(5, CountTaken(quota, After(0.602)));
    }

    [Fact]
    public void LongPause_GivesNoMoreThanASecondsWorth()
    {
        var quota = new MoveQuota(10);
        Assert.Equal(10, CountTaken(quota, Start));
        Assert.Equal(10, CountTaken(quota, After(3600)));
    }

    [Fact]
    public void TimeGoesBack_GivesNothing_AndTakesNothing()
    {
        var quota = new MoveQuota(10);
        Assert.Equal(10, CountTaken(quota, After(5)));
        Assert.Equal(0, CountTaken(quota, After(1)));
        Assert.Equal(10, CountTaken(quota, After(6)));
    }

    private static long After(double seconds) => Start + (long)Math.Ceiling(seconds * Stopwatch.Frequency);

    private static int CountTaken(MoveQuota quota, long now) => Enumerable.Range(0, 100).Count(_ => quota.TryTake(now));
}
