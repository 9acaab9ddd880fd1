// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>
/// A daemon ends at the first, second, third system call of a move, and so on to the last: strace(1) kills it there. Every answer comes.
/// </summary>
public sealed class KilledAtStepTests(ITestOutputHelper output) : IDisposable
{
    // More than a thread of a daemon makes of one kind in a move.
    private const int MostSteps = 80;

    private static readonly TimeSpan s_letGo = TimeSpan.FromSeconds(5);

    private readonly DaemonWorld _world = new();
    private readonly Process[] _daemons = new Process[2];

    [Theory]
    [InlineData(0, "bpf")]
    [InlineData(1, "bpf")]
    [InlineData(0, "setsockopt")]
    [InlineData(1, "setsockopt")]
    [InlineData(0, "sendto,sendmsg,write")]
    [InlineData(1, "sendto,sendmsg,write")]
    public async Task DaemonIsKilledAtACall_EveryAnswerComes(int node, string calls)
    {
        for (int i = 0; i < _daemons.Length; i++)
        {
            _daemons[i] = _world.StartDaemon(i);
        }

        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        int killed = 0;
        while (await KillAsync(node, calls, killed + 1))
        {
            killed++;
            Assert.True(killed < MostSteps, "it is killed by calls of something else than a move");
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"killed at {killed} calls of {calls}"));
        Assert.NotEqual(0, killed);
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    /// <summary>Moves a connection, whose daemon ends at a call.</summary>
    /// <returns>Whether it did: false where the move has fewer such calls.</returns>
    private async Task<bool> KillAsync(int node, string calls, int call)
    {
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("0.begin from 0.0", await client.AskAsync("get 0.begin"));
        string log = _world.FileOf("strace.log");
        using Process tracer = await TraceAsync(_daemons[node].Id, calls, call, log);
        await client.SendAsync("get 1.first\nget 1.second\n");
        Task<string?> first = client.ReadAsync();
        while (!first.IsCompleted && !IsKilled(log))
        {
            await Task.Delay(1);
        }

        bool isStartedAgain = await EndAsync(tracer, node, log, isAnswered: first.IsCompleted);
        string where = string.Create(CultureInfo.InvariantCulture, $"node {node}, {calls} {call}");
        string answers = $"{where}: {await first}, {await client.ReadAsync()}";
        Assert.StartsWith(where + ": 1.first from ", answers, StringComparison.Ordinal);
        Assert.Contains(", 1.second from ", answers, StringComparison.Ordinal);
        foreach (string wanted in (string[])["0.back", "1.there", "0.end"])
        {
            Assert.StartsWith(wanted + " from ", await client.AskAsync("get " + wanted), StringComparison.Ordinal);
        }

        return isStartedAgain;
    }

    /// <summary>Has a process killed when one of its threads makes a call for the so-manieth time from now on.</summary>
    private static async Task<Process> TraceAsync(int process, string calls, int call, string log)
    {
        string[] words =
        [
            "-f", "-qq", "-o", log, "-e", "trace=" + calls, "-e",
            string.Create(CultureInfo.InvariantCulture, $"inject={calls}:signal=SIGKILL:when={call}"), "-p",
            process.ToString(CultureInfo.InvariantCulture),
        ];
        Process tracer = Process.Start(new ProcessStartInfo("strace", words))!;
        for (long end = Environment.TickCount64 + 20_000; !IsTraced(process); await Task.Delay(1))
        {
            Assert.True(Environment.TickCount64 < end && !tracer.HasExited, "strace does not follow the daemon");
        }

        return tracer;
    }

    /// <summary>Ends the tracing; where the daemon was killed, starts the next one.</summary>
    private async Task<bool> EndAsync(Process tracer, int node, string log, bool isAnswered)
    {
        if (isAnswered && !IsKilled(log))
        {
            // It lets go of the daemon, which may be killed in this instant.
            LabCommand.TryRun("kill", "-INT", tracer.Id.ToString(CultureInfo.InvariantCulture));
            await Task.WhenAny(tracer.WaitForExitAsync(), Task.Delay(s_letGo));
        }

        // Beside a process that was killed it may wait for ever, and keeps others from hearing of that end.
        tracer.Kill();
        await tracer.WaitForExitAsync();
        if (!IsKilled(log))
        {
            return false;
        }

        await _daemons[node].WaitForExitAsync();
        _daemons[node] = _world.StartDaemon(node);
        await _world.WaitUntilConnectedAsync(0, 1);
        return true;
    }

    private static bool IsKilled(string log) => File.ReadAllText(log).Contains("killed by SIGKILL", StringComparison.Ordinal);

    private static bool IsTraced(int process)
    {
        try
        {
            return Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task")).All(static thread =>
                !File.ReadAllText(Path.Combine(thread, "status")).Contains("TracerPid:\t0", StringComparison.Ordinal));
        }
        catch (IOException)
        {
            return false; // A thread has ended meanwhile.
        }
    }
}
