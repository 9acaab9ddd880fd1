// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Servers;

/// <summary>What a server says of the handoff daemon, which it does without where there is none.</summary>
public sealed class LasServerTests : IDisposable
{
    private const int SocketLevel = 1;
    private const int OptionReusePort = 15; // SO_REUSEPORT

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("las-").FullName;
    private readonly BlockingCollection<string> _said = [];
    private readonly CancellationTokenSource _stopped = new();

    // It has the port, which the server shares as each of its workers does.
    private readonly Socket _holder = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public LasServerTests()
    {
        _holder.SetRawSocketOption(SocketLevel, OptionReusePort, BitConverter.GetBytes(1));
        _holder.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        _holder.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    private TcpEnd End => new(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)_holder.LocalEndPoint!).Port);

    private string Sockets => Path.Combine(_folder, "tcpm");

    [Fact]
    public async Task NoDaemon_IsSaidOnce_AndThatItCameAndWent()
    {
        using LasServer server = Create();
        Task running = server.RunAsync(_stopped.Token);
        Assert.Equal(
            $"worker 0: {Sockets}/las-0.sock: no handoff daemon answers (there is no such socket: no daemon has been started, or its "
            + "svcWorkerNum is not more than 0); requests for others' contents are relayed meanwhile",
            Said());

        using (MakeDaemon())
        {
            Assert.Equal("worker 0: the handoff daemon is there", Said());
        }

        Assert.StartsWith("worker 0: the handoff daemon has gone", Said(), StringComparison.Ordinal);
        using (MakeDaemon())
        {
            Assert.Equal("worker 0: the handoff daemon is there", Said());
        }

        await _stopped.CancelAsync();
        await running.WaitAsync(s_patience);
    }

    [Fact]
    public async Task DaemonIsThere_NothingIsSaid()
    {
        using WorkerServer daemon = MakeDaemon();
        using LasServer server = Create();
        Task running = server.RunAsync(_stopped.Token);
        Assert.True(SpinWait.SpinUntil(() => daemon.Serves(End, 0), s_patience));
        await _stopped.CancelAsync();
        await running.WaitAsync(s_patience);
        Assert.Empty(_said);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _said.Dispose();
        _holder.Dispose();
        _stopped.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private LasServer Create() => new(new LasOptions { Node = "a", Listen = End, SocketDirectory = Sockets }, _said.Add);

    private WorkerServer MakeDaemon() => new(
        Sockets, 1, static (_, _) => Task.FromResult(new Refusal(RefusalReason.Peer, "there is no other node")));

    private string Said()
    {
        Assert.True(_said.TryTake(out string? said, s_patience));
        return said;
    }
}
