// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Lab.Tests;

/// <summary>Processes end together, whoever is to wait for them.</summary>
public sealed class ProcessEndTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly List<Process> _processes = [];

    [Fact]
    public async Task ParentTakesNoNotice_ZombiesHaveEnded()
    {
        // The shell becomes a program that never waits for its children.
        Process parent = Start("sleep 1000 & echo $!; sleep 1000 & echo $!; exec sleep 1000");
        int[] children = [await ReadIdAsync(parent), await ReadIdAsync(parent)];

        Assert.True(ProcessEnd.KillAll(children));
        Assert.All(children, static child => Assert.Contains(") Z ", Stat(child), StringComparison.Ordinal));
    }

    [Fact]
    public async Task All_AreAsked_BeforeAnyIsWaitedFor()
    {
        // The first ends by itself when the second has: it would be killed if the second were only asked after it.
        Process first = await StartReadyAsync("trap '' TERM; echo ready; read line");
        Process second = await StartReadyAsync("trap 'exit 3' TERM; echo ready; read line");
        Task following = FollowAsync(second, first);

        Assert.True(ProcessEnd.EndAll([first.Id, second.Id], s_patience));
        await following.WaitAsync(s_patience);
        await first.WaitForExitAsync().WaitAsync(s_patience);
        Assert.Equal((1, 3), (first.ExitCode, second.ExitCode));
    }

    [Fact]
    public async Task DoesNotEndByItself_IsKilled()
    {
        Process stubborn = await StartReadyAsync("trap '' TERM; echo ready; read line");
        Assert.True(ProcessEnd.EndAll([stubborn.Id], TimeSpan.Zero));
        await stubborn.WaitForExitAsync().WaitAsync(s_patience);
        Assert.Equal(128 + 9, stubborn.ExitCode);
    }

    [Fact]
    public async Task HasEndedAlready_NothingHappens()
    {
        Process ended = Start("exit 0");
        await ended.WaitForExitAsync().WaitAsync(s_patience);
        Assert.True(ProcessEnd.EndAll([ended.Id], s_patience));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Process process in _processes)
        {
            process.Kill();
            process.Dispose();
        }
    }

    private static string Stat(int process) => File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));

    private static async Task<int> ReadIdAsync(Process process) => int.Parse(
        (await process.StandardOutput.ReadLineAsync().WaitAsync(s_patience))!, CultureInfo.InvariantCulture);

    private static async Task FollowAsync(Process ahead, Process behind)
    {
        await ahead.WaitForExitAsync();
        behind.StandardInput.Close();
    }

    private async Task<Process> StartReadyAsync(string script)
    {
        Process process = Start(script);
        Assert.Equal("ready", await process.StandardOutput.ReadLineAsync().WaitAsync(s_patience));
        return process;
    }

    private Process Start(string script)
    {
        var process = Process.Start(new ProcessStartInfo("sh", ["-c", script])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        _processes.Add(process);
        return process;
    }
}
