// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Cli.Benchmarks;
using Pronghorn.Cli.Hosting;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData]
    [InlineData("nonsense")]
    [InlineData("--nonsense")]
    [InlineData("doctor", "--nonsense")]
    [InlineData("doctor", "extra")]
    [InlineData("run")]
    [InlineData("run", "--")]
    [InlineData("run", "--bogus")]
    [InlineData("run", "--bogus", "--", "/bin/sh")]
    [InlineData("run", "--strict", "--bogus", "/bin/sh")]
    [InlineData("run", "-x", "/bin/sh")]
    [InlineData("run", "--mode")]
    [InlineData("run", "--interface", "--", "/bin/sh")]
    [InlineData("run", "--mode", "fast", "--", "/bin/sh")]
    [InlineData("run", "--profile", "nonsense", "--", "/bin/sh")]
    [InlineData("ss", "--pid", "x")]
    [InlineData("ss", "--pid")]
    [InlineData("ss", "--bogus")]
    [InlineData("ss", "-tx")]
    [InlineData("ss", "state")]
    [InlineData("ss", "state", "nonsense")]
    [InlineData("ss", "sport", "=", ":http")]
    [InlineData("ss", "sport", "=", ":65536")]
    [InlineData("ss", "sport")]
    [InlineData("ss", "(", "sport", "=", ":1")]
    [InlineData("ss", "sport", "=", ":1", ")")]
    [InlineData("ss", "dst", "nonsense")]
    [InlineData("ss", "dst", "10.0.0.0/33")]
    [InlineData("ss", "sport", "=", ":1", "or")]
    [InlineData("stat", "abc")]
    [InlineData("stat", "1", "2")]
    [InlineData("stat", "--bogus")]
    [InlineData("lab")]
    [InlineData("lab", "x")]
    [InlineData("lab", "x", "sideways")]
    [InlineData("lab", "no_such", "up")]
    [InlineData("lab", "x", "shell", "middle")]
    [InlineData("bench", "services", "--services", "0")]
    [InlineData("bench", "services", "--services", "many")]
    [InlineData("bench", "services", "--ways", "ipvs")]
    [InlineData("bench", "services", "--parts", "")]
    [InlineData("bench", "services", "--endpoints", "65")]
    [InlineData("lb")]
    [InlineData("lb", "nonsense")]
    [InlineData("lb", "explain")]
    [InlineData("lb", "explain", "--bogus")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80")]
    [InlineData("lb", "explain", "nonsense", "--manifests", "/")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--node", "x")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--manifests", "/", "--kubeconfig", "x")]
    [InlineData("lb", "explain", "10.0.0.2", "-", "--manifests", "/")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--cases", "x.jsonl")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--manifests", "/", "--pod-cidr", "x")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--manifests", "/", "--node-address", "x")]
    [InlineData("bench")]
    [InlineData("bench", "nonsense")]
    [InlineData("bench", "redis", "--rounds", "0")]
    [InlineData("bench", "redis", "--rounds", "x")]
    [InlineData("bench", "redis", "--seconds", "0")]
    [InlineData("bench", "redis", "--only", "no such workload")]
    [InlineData("bench", "redis", "--ways", "neither")]
    public void WrongUsage_Invoked_EndsWithTwo(params string[] arguments) =>
        Assert.Equal(ExitStatus.Usage, Program.Invoke(arguments));

    [Theory]
    [InlineData("run", "--mode", "rtw", "--", "/bin/sh")]
    [InlineData("lb", "explain", "--cases", "/no/such/file.jsonl")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--kubeconfig", "/no/such/config")]
    [InlineData("lb", "explain", "10.0.0.2 -> 172.30.0.41:80", "--manifests", "/no/such/directory")]
    [InlineData("run", "--interface", "no-such-if", "--", "/bin/sh")]
    public void WhatCannotBeDone_Invoked_EndsWithOne(params string[] arguments) =>
        Assert.Equal(ExitStatus.Failed, Program.Invoke(arguments));

    [Theory]
    [InlineData(127, "no-such-program-anywhere")]
    [InlineData(127, "/no/such/program")]
    [InlineData(127, "")]
    [InlineData(126, "/etc/passwd")]
    [InlineData(126, "/etc")]
    public void ProgramThatCannotBeRun_EndsAsUnderAShell(int status, string program) =>
        Assert.Equal(status, Program.Invoke(["run", "--", program]));

    [Theory]
    [InlineData("there is no command 'bogus'; the commands are run, ", "bogus")]
    [InlineData("there is no option '--bogus' here, and a command is missing: redis, services", "bench", "--bogus")]
    [InlineData("Cannot parse argument 'abc' for command 'stat': it is not a whole number", "stat", "abc")]
    [InlineData("Cannot parse argument 'x' for option '--pid': it is not a whole number", "ss", "--pid", "x")]
    [InlineData("Cannot parse argument 'x' for option '--xdp': it is none of the words", "lb", "enable", "--xdp", "x")]
    [InlineData("--wait: seconds cannot be negative", "lb", "enable", "--wait", "-5")]
    [InlineData("Cannot parse argument 'x' for option '--seconds': it is not a number", "bench", "redis", "--seconds", "x")]
    public void WrongUsage_Described_IsOneLineForItsUser(string expected, params string[] arguments) =>
        Assert.StartsWith(expected, Assert.Single(UsageErrors.Describe(Program.CreateRoot().Parse(arguments))), StringComparison.Ordinal);

    [Fact]
    public void WrongUsage_PointsToTheHelpOfItsCommand() =>
        Assert.Equal("pronghorn bench redis", UsageErrors.CommandPath(Program.CreateRoot().Parse(["bench", "redis", "--bogus"])));

    [Theory]
    [InlineData("", "run")]
    [InlineData("", "doctor")]
    [InlineData("ss --all-n", "--all-namespaces")]
    [InlineData("bench ", "redis")]
    public void UnfinishedLine_Completed_OffersWhatFits(string line, string offered)
    {
        StringWriter output = new();

        Assert.Equal(ExitStatus.Done, Program.Invoke([$"[suggest:{line.Length}]", line], output));
        Assert.Contains(offered, output.ToString().Split(Environment.NewLine));
    }

    [Theory]
    [InlineData(0.05, false)]
    [InlineData(0.4, true)]
    public void BusyMachine_BeforeMeasuring_IsWarnedAbout(double share, bool warned) =>
        Assert.Equal(warned, RedisBenchmark.BusyWarning(share)?.Contains("--fifo", StringComparison.Ordinal) == true);

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
