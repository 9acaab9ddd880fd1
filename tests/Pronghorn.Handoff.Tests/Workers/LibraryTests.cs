// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Threading.Tasks;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Handoff.Workers;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

/// <summary>libtcpm in a process that forks, and one whose daemon ends, both while a connection is being moved.</summary>
public sealed class LibraryTests : IDisposable
{
    private const int NotConnected = 107; // ENOTCONN
    private const int Cancelled = 125; // ECANCELED

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly Lazy<string> s_program = new(Compile);

    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-library-").FullName;
    private readonly TaskCompletionSource _began = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _mayEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Process _process;
    private WorkerServer _server;

    public LibraryTests()
    {
        _server = new WorkerServer(_folder, 1, HandOffAsync);
        _process = Process.Start(new ProcessStartInfo(s_program.Value)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            Environment = { ["TCPM_SOCKET_DIRECTORY"] = _folder },
        })!;
    }

    [Fact]
    public async Task ForkedWithinACallOfAnotherThread_ChildHasNoConnection_AndTheParentsCallEnds()
    {
        await _began.Task.WaitAsync(s_limit);
        await _process.StandardInput.WriteLineAsync("fork");
        await _process.StandardInput.FlushAsync();

        // The first at once, by its alarm; then it connects for itself.
        Assert.StartsWith($"child -1 {NotConnected} ", await ReadAsync(), StringComparison.Ordinal);
        Assert.Equal("child 0 0", await ReadAsync());
        Assert.Equal("child ended 0", await ReadAsync());

        _mayEnd.SetResult();
        Assert.Equal("parent 0 0 ", await ReadAsync());
        await _process.WaitForExitAsync().WaitAsync(s_limit);
        Assert.Equal(0, _process.ExitCode);
    }

    [Theory]
    [InlineData(RefusalReason.None)]
    [InlineData(RefusalReason.Peer)]
    public async Task DaemonEndsWithinACall_TheNextOneSaysWhatBecameOfTheConnection(RefusalReason reason)
    {
        _process.StandardInput.Close();
        await _began.Task.WaitAsync(s_limit);
        _server.Dispose();
        Task<string?> answer = ReadAsync();

        // While there is none it waits.
        await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(200)));
        Assert.False(answer.IsCompleted, "it does not wait for another daemon");
        int recovered = 0;
        _server = new WorkerServer(_folder, 1, HandOffAsync, (_, _) =>
        {
            recovered++;
            return Task.FromResult(reason == RefusalReason.None ? Refusal.None : new Refusal(reason, "it stays"));
        });

        Assert.Equal(reason == RefusalReason.None ? "parent 0 0 " : $"parent -1 {Cancelled} it stays (Peer)", await answer);
        Assert.Equal(1, recovered);
    }

    public void Dispose()
    {
        _mayEnd.TrySetResult();
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string Compile()
    {
        string program = Path.Combine(AppContext.BaseDirectory, "programs", "fork");
        string root = DaemonWorld.Root;
        string library = Path.Combine(root, "artifacts", "lib");
        LabCommand.Run(
            "gcc", "-O2", "-Wall", "-Werror", "-o", program, program + ".c", "-I" + Path.Combine(root, "native", "tcpm"), "-L" + library,
            "-ltcpm", "-lpthread", "-Wl,-rpath," + library);
        return program;
    }

    private async Task<string?> ReadAsync() => await _process.StandardOutput.ReadLineAsync().WaitAsync(s_limit);

    private async Task<Refusal> HandOffAsync(WorkerMessage request, int fd)
    {
        _began.TrySetResult();
        await _mayEnd.Task;
        return Refusal.None;
    }
}
