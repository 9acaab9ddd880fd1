// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Cli.Benchmarks;
using Pronghorn.Cli.Hosting;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("nonsense")]
    [InlineData("doctor", "--nonsense")]
    [InlineData("run")]
    [InlineData("run", "--mode", "fast", "--", "/bin/sh")]
    [InlineData("run", "--profile", "nonsense", "--", "/bin/sh")]
    [InlineData("bench", "redis", "--rounds", "0")]
    [InlineData("bench", "redis", "--ways", "neither")]
    public void WrongUsage_Invoked_EndsWithTwo(params string[] arguments) =>
        Assert.Equal(ExitStatus.Usage, Program.Invoke(arguments));

    [Theory]
    [InlineData("run", "--", "no-such-program-anywhere")]
    [InlineData("run", "--mode", "rtw", "--", "/bin/sh")]
    [InlineData("run", "--interface", "no-such-if", "--", "/bin/sh")]
    public void WhatCannotBeDone_Invoked_EndsWithOne(params string[] arguments) =>
        Assert.Equal(ExitStatus.Failed, Program.Invoke(arguments));

    [Fact]
    public void Help_Invoked_EndsWithZero() => Assert.Equal(ExitStatus.Done, Program.Invoke(["--help"]));

    [Fact]
    public void ListOfWays_Parsed_KeepsItsOrderWithoutDoubles() =>
        Assert.Equal([BenchmarkWay.Both, BenchmarkWay.Kernel], BenchmarkWays.Parse("both, kernel,both"));

    [Fact]
    public void WordsWithSpecialCharacters_Quoted_AreReadBackByAShell() =>
        Assert.Equal("a=b '' 'x y' 'it'\\''s' '$HOME'", ShellQuoting.Join(["a=b", "", "x y", "it's", "$HOME"]));

    [Fact]
    public void InheritedPreload_EnvironmentCreated_StaysBehindOurs()
    {
        var variables = PreloadEnvironment.Create("/lib/p", "eth1", strict: true, Profile.Choose("latency").Settings, "/lib/other.so");

        Assert.Equal("/lib/p/libpronghorn.so:/lib/other.so", variables[0].Value);
        Assert.Contains(new("PRONGHORN_INTERFACE", "eth1"), variables);
        Assert.Contains(new("PRONGHORN_STRICT", "1"), variables);
        Assert.Contains(new("PRONGHORN_SPIN_US", "1000"), variables);
    }
}
