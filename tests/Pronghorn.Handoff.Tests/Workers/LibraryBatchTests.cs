// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Handoff.Workers;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

/// <summary>TcpmHandoffFds(): many connections, some of which are under way at a time.</summary>
public sealed class LibraryBatchTests : IDisposable
{
    // As in programs/batch.c.
    private const int Count = 30;
    private const int TooLong = 7;

    private const int MostAtOnce = 8;
    private const int MessageTooLong = 90; // EMSGSIZE

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly Lazy<string> s_program = new(Compile);

    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-batch-").FullName;
    private readonly List<TaskCompletionSource<Refusal>> _waiting = [];
    private WorkerServer? _server;
    private Process? _process;
    private int _came;

    [Fact]
    public async Task Many_EightAreUnderWayAtATime_AndAnswersInAnyOrderAreEachItsOwn()
    {
        _server = new WorkerServer(_folder, 1, HandOffAsync);
        Start();
        string[] lines = await ReadAllAsync();
        Assert.Equal("moved 19", lines[0]);
        for (int i = 0; i < Count; i++)
        {
            string expected = i == TooLong ? $"{i} {-MessageTooLong} Message too long"
                : i % 3 == 0 ? string.Create(CultureInfo.InvariantCulture, $"{i} {(int)RefusalReason.Limit} no {i} (Limit)")
                : $"{i} 0 ";
            Assert.Equal(expected, lines[i + 1]);
        }

        Assert.Equal(0, _process!.ExitCode);
    }

    [Fact]
    public async Task DaemonEndsMeanwhile_TheNextOneIsAskedForThoseUnderWay_AndTheRestStays()
    {
        var eight = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _server = new WorkerServer(_folder, 1, (_, _) =>
        {
            lock (_waiting)
            {
                var never = new TaskCompletionSource<Refusal>(TaskCreationOptions.RunContinuationsAsynchronously);
                _waiting.Add(never);
                if (_waiting.Count == MostAtOnce)
                {
                    eight.SetResult();
                }

                return never.Task;
            }
        });
        Start();

        // One of the first eight cannot be sent, and the ninth is in its place.
        await eight.Task.WaitAsync(s_limit);
        _server.Dispose();
        int recovered = 0;
        _server = new WorkerServer(_folder, 1, HandOffAsync, (_, _) => Task.FromResult(
            recovered++ % 2 == 0 ? Refusal.None : new Refusal(RefusalReason.Peer, "it stays")));
        string[] lines = await ReadAllAsync();
        Assert.Equal(MostAtOnce, recovered);
        Assert.Equal(MostAtOnce / 2, lines.Skip(1).Count(static line => line.EndsWith(" 0 ", StringComparison.Ordinal)));
        Assert.Equal(MostAtOnce / 2, lines.Count(static line => line.EndsWith("it stays (Peer)", StringComparison.Ordinal)));
        Assert.Equal($"moved {MostAtOnce / 2}", lines[0]);
        Assert.Equal(0, _came);
    }

    public void Dispose()
    {
        if (_process is not null)
        {
            _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }

        _server?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string Compile()
    {
        string program = Path.Combine(AppContext.BaseDirectory, "programs", "batch");
        string library = Path.Combine(DaemonWorld.Root, "artifacts", "lib");
        LabCommand.Run(
            "gcc", "-O2", "-Wall", "-Werror", "-o", program, program + ".c", "-I" + Path.Combine(DaemonWorld.Root, "native", "tcpm"),
            "-L" + library, "-ltcpm", "-Wl,-rpath," + library);
        return program;
    }

    private void Start() => _process = Process.Start(new ProcessStartInfo(s_program.Value)
    {
        RedirectStandardOutput = true,
        Environment = { ["TCPM_SOCKET_DIRECTORY"] = _folder },
    })!;

    private async Task<string[]> ReadAllAsync()
    {
        string text = await _process!.StandardOutput.ReadToEndAsync().WaitAsync(s_limit);
        await _process.WaitForExitAsync().WaitAsync(s_limit);
        return text.Split('\n');
    }

    /// <summary>Answers once as many have come as may be under way, the last first.</summary>
    private async Task<Refusal> HandOffAsync(WorkerMessage request, int fd)
    {
        int number = int.Parse(Encoding.ASCII.GetString(request.Consumed.Span), CultureInfo.InvariantCulture);
        var answer = new TaskCompletionSource<Refusal>(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<Refusal>[] ready = [];
        lock (_waiting)
        {
            _came++;
            _waiting.Add(answer);
            Assert.True(_waiting.Count <= MostAtOnce, "more are under way");
            if (_waiting.Count == MostAtOnce || _came == Count - 1)
            {
                ready = [.. Enumerable.Reverse(_waiting)];
                _waiting.Clear();
            }
        }

        foreach (TaskCompletionSource<Refusal> one in ready)
        {
            one.SetResult(Refusal.None);
        }

        await answer.Task;
        string reason = string.Create(CultureInfo.InvariantCulture, $"no {number}");
        return number % 3 == 0 ? new Refusal(RefusalReason.Limit, reason) : Refusal.None;
    }
}
