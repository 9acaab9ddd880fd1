// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Cli.Benchmarks;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class ProcessorTimesTests
{
    [Fact]
    public void TwoReadings_Compared_CountSoftInterruptsButNeitherIdleNorStolenTime()
    {
        // user nice system idle iowait irq softirq steal
        ProcessorTimes before = ProcessorTimes.Parse(["cpu  9 9 9 9 9 9 9 9", "cpu0 0 0 0 0 0 0 0 0", "cpu1 0 0 0 0 0 0 0 0"]);
        ProcessorTimes after = ProcessorTimes.Parse(
            ["cpu  1 1 1 1 1 1 1 1", "cpu0 10 10 20 100 50 5 5 0", "cpu1 100 0 0 0 0 0 0 100", "intr 1"]);

        ProcessorUse use = after.Since(before);

        Assert.Equal(1.5, use.BusySeconds, 9);
        Assert.Equal(0.25, use.ShareByCpu[0], 9);
        Assert.Equal(0.5, use.ShareByCpu[1], 9);
    }

    [Fact]
    public void ThisMachine_Read_HasOneShareForEachCpu()
    {
        ProcessorTimes now = ProcessorTimes.Read();

        Assert.NotEmpty(now.Since(now).ShareByCpu);
    }
}
