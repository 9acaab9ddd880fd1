// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>A daemon is there and does nothing: its kernel goes on answering for it.</summary>
public sealed class HangingDaemonTests : IDisposable
{
    private const int Watchdog = 3_000_000; // us: the daemon looks around each second

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly DaemonWorld _world = new(peerTimeout: 5);

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task PeersDaemonHangs_NoMoveIsBegun_UntilItAnswersAgain()
    {
        Process hanging = await StartAllAsync();
        DaemonWorld.Signal(hanging, "STOP");
        try
        {
            Assert.Matches(
                "^peer node-1: nothing has come from its daemon for [3-9] s$", await _world.ReadLogAsync(0, "nothing has come"));
            PeerStatus peer = (await _world.StatusOfAsync(0)).Peers.Single(static one => one.Name == "node-1");
            Assert.True(peer.IsConnected);
            Assert.Contains("nothing has come from its daemon", peer.Problem, StringComparison.Ordinal);

            // A move that were begun would wait for an answer before the connection stays: this one says at once why it does.
            using StreamReaderWriter staying = _world.Connect(0);
            Assert.Equal("1.a from 0.0", await staying.AskAsync("get 1.a"));
            Assert.Contains(
                "nothing has come from its daemon", (await _world.StatusOfAsync(0)).LastRefusals["Peer"], StringComparison.Ordinal);
        }
        finally
        {
            DaemonWorld.Signal(hanging, "CONT");
        }

        Assert.Equal("peer node-1: its daemon answers again", await _world.ReadLogAsync(0, "answers again"));
        using StreamReaderWriter moving = _world.Connect(0);
        Assert.Equal("1.b from 1.0", await moving.AskAsync("get 1.b"));
    }

    [Fact]
    public async Task PeersDaemonHangsForLong_ItsNodeIsNotGivenUp_AndAnotherStreamIsFoundWhenItGoesOn()
    {
        Process hanging = await StartAllAsync();
        using StreamReaderWriter there = _world.Connect(0);
        Assert.Equal("1.a from 1.0", await there.AskAsync("get 1.a"));
        DaemonWorld.Signal(hanging, "STOP");
        try
        {
            await _world.ReadLogAsync(0, "peer node-1: not connected: nothing has come from its daemon for 15 s");
            await _world.ReadLogAsync(0, "its daemon has not finished the handshake");

            // Several times peer_timeout. Its kernel has been there all the while, and so has the worker.
            PeerStatus peer = (await _world.StatusOfAsync(0)).Peers.Single(static one => one.Name == "node-1");
            Assert.Equal((0, false), (peer.GivenUp, peer.IsLost));
            Assert.Equal("1.b from 1.0", await there.AskAsync("get 1.b"));
        }
        finally
        {
            DaemonWorld.Signal(hanging, "CONT");
        }

        await _world.ReadLogAsync(0, "peer node-1: connected");
        using StreamReaderWriter moving = _world.Connect(0);
        Assert.Equal("1.c from 1.0", await moving.AskAsync("get 1.c"));
        Assert.Equal("0.d from 0.0", await there.AskAsync("get 0.d"));
    }

    [Fact]
    public async Task OwnDaemonHangs_SystemdHearsNoMoreOfIt_AndTheNextOneServesItsWorkers()
    {
        string path = _world.FileOf("notify");
        using var systemd = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.Bind(new UnixDomainSocketEndPoint(path));
        systemd.ReceiveTimeout = (int)s_patience.TotalMilliseconds;
        string[] asked = ["env", "NOTIFY_SOCKET=" + path, $"WATCHDOG_USEC={Watchdog}"];
        Process daemon = _world.StartDaemon(0, asked);
        _world.StartDaemon(1);
        _world.StartWorker(0);
        _world.StartWorker(1);
        Assert.StartsWith("READY=1\nSTATUS=connections move over", Hear(systemd), StringComparison.Ordinal);
        Assert.Equal("WATCHDOG=1", Hear(systemd));
        await _world.WaitUntilConnectedAsync(0, 1);

        DaemonWorld.Signal(daemon, "STOP");
        await WaitUntilStoppedAsync(daemon);
        Drain(systemd);
        using StreamReaderWriter client = _world.Connect(0);
        Task<string?> asking = client.AskAsync("get 1.a");

        // What systemd does, when for so long it has heard nothing.
        systemd.ReceiveTimeout = Watchdog / 1000;
        Assert.Equal(SocketError.TimedOut, Assert.Throws<SocketException>(() => Hear(systemd)).SocketErrorCode);
        Assert.False(asking.IsCompleted);
        DaemonWorld.End(daemon, "KILL");
        systemd.ReceiveTimeout = (int)s_patience.TotalMilliseconds;
        _world.StartDaemon(0, asked);
        Assert.Contains((await asking)!, (string[])["1.a from 0.0", "1.a from 1.0"]);
        Assert.StartsWith("READY=1", Hear(systemd), StringComparison.Ordinal);
    }

    // A signal is on its way to threads that run.
    private static async Task WaitUntilStoppedAsync(Process process)
    {
        while (Directory.EnumerateDirectories($"/proc/{process.Id}/task")
            .Any(static thread => !File.ReadAllText(Path.Combine(thread, "stat")).Contains(") T ", StringComparison.Ordinal)))
        {
            await Task.Yield();
        }
    }

    private static string Hear(Socket systemd)
    {
        byte[] buffer = new byte[1024];
        return Encoding.UTF8.GetString(buffer, 0, systemd.Receive(buffer));
    }

    // The daemon is stopped: what it has said already ends.
    private static void Drain(Socket systemd)
    {
        while (systemd.Available > 0)
        {
            Hear(systemd);
        }
    }

    private async Task<Process> StartAllAsync()
    {
        _world.StartDaemon(0);
        Process second = _world.StartDaemon(1);
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        return second;
    }
}
