// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>A node before which a balancer stands is looked at all the time, and taken out while its clients are in conversation.</summary>
public sealed class DrainTests : IDisposable
{
    private const int Clients = 50;

    // What a conversation has to have gone on by after everything has moved.
    private const int More = 20;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_betweenProbes = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<Socket, Served> _served = new();
    private readonly CancellationTokenSource _end = new();
    private readonly int[] _answered = new int[Clients];
    private readonly int[] _answeredByOther = new int[Clients];

    [Fact]
    public async Task NodeIsTakenOut_NoProbeFailsBefore_EveryConversationGoesOn_AndNothingIsLeft()
    {
        await using WorkerScene scene = await WorkerScene.StartAsync(new DaemonWorld());
        _ = TakeAllAsync(scene, 1);
        Task accepting = AcceptAllAsync(scene.ListenerOf(0));
        Socket[] clients = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => ConnectAsync(scene.World.Client)));
        Task[] talking = [.. clients.Select((client, number) => Task.Run(() => TalkAsync(client, number)))];
        using var takesPart = new CancellationTokenSource();
        Task<int> probing = ProbeAsync(scene.World.NodeOf(2), takesPart.Token);
        await AllAsync(() => _answered.All(static count => count > More), talking);

        // One after the other moves while the node takes part still, and is looked at.
        Served[] some = [.. _served.Values.Where(static served => served.IsClientOf(0)).Take(Clients / 2)];
        foreach (Served served in some)
        {
            await served.StopAsync();
            Assert.True((await scene.WorkerOf(0).HandOffAsync(
                served.Socket.SafeHandle, WorkerScene.EndOf(1), 0, served.Unanswered).WaitAsync(s_patience)).IsDone);
            Close(served);
            await Task.Delay(1);
        }

        // Then it takes no more, which the balancer sees, and gives away what it has.
        await takesPart.CancelAsync();
        Assert.True(await probing > 0, "there were no probes");
        scene.ListenerOf(0).Dispose();
        await accepting;
        SocketException refused = await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(scene.World.NodeOf(2)));
        Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        Served[] rest = [.. _served.Values.Where(static served => served.IsClientOf(0))];
        Assert.Equal(Clients - some.Length, rest.Length);
        await Task.WhenAll(rest.Select(static served => served.StopAsync()));
        IReadOnlyList<HandoffResult> results = await scene.WorkerOf(0).HandOffAllAsync(
            [.. rest.Select(static one => new HandoffRequest(one.Socket.SafeHandle, WorkerScene.EndOf(1), 0, one.Unanswered))]);
        Assert.All(results, static result => Assert.True(result.IsDone, result.Text));
        Array.ForEach(rest, Close);

        int[] before = [.. _answeredByOther];
        await AllAsync(() => _answeredByOther.Zip(before).All(static pair => pair.First > pair.Second + More), talking);
        await WorkerScene.SoonAsync(() => Task.FromResult(SocketsOf(scene).Length == 0), () => Task.FromResult(SocketsOf(scene)));
        Assert.Equal(Clients, scene.World.CountGiven(0));
        Assert.Equal(Clients, (await scene.World.StatusOfAsync(1)).TakenNow);
        await _end.CancelAsync();
        await Task.WhenAll(talking);
        Array.ForEach(clients, static client => client.Dispose());
    }

    /// <inheritdoc/>
    public void Dispose() => _end.Dispose();

    /// <summary>What the first node has of the service, but for what ends.</summary>
    private static string SocketsOf(WorkerScene scene) => scene.World.NodeOf(0).Run(
        "ss", "-Htan", "state", "connected", "exclude", "time-wait", "sport", "=", $":{DaemonWorld.Port}").Trim();

    private static async Task AllAsync(Func<bool> isSo, Task[] talking)
    {
        await WorkerScene.SoonAsync(
            async () =>
            {
                // One that has failed says why.
                await Task.WhenAll(talking.Where(static one => one.IsFaulted));
                return isSo();
            },
            static () => Task.FromResult("the conversations do not go on"));
    }

    private static async Task<Socket> ConnectAsync(NetworkNamespace from)
    {
        Socket socket = NamespaceThread.Run(from, static () =>
            new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        await socket.ConnectAsync(IPAddress.Parse(DaemonWorld.AddressOf(0)), DaemonWorld.Port).WaitAsync(s_patience);
        return socket;
    }

    /// <summary>A new connection each time, which has to be answered.</summary>
    /// <returns>How many there were.</returns>
    private static async Task<int> ProbeAsync(NetworkNamespace from, CancellationToken end)
    {
        int count = 0;
        for (; !end.IsCancellationRequested; count++)
        {
            using (var probe = new StreamReaderWriter(await ConnectAsync(from)))
            {
                Assert.Equal("probe from 0", await probe.AskAsync("probe"));
            }

            await Task.Delay(s_betweenProbes, CancellationToken.None);
        }

        return count;
    }

    /// <summary>Sends each line in two parts, so that a move comes within one, and takes nothing but its answer.</summary>
    private async Task TalkAsync(Socket socket, int number)
    {
        var client = new StreamReaderWriter(socket);
        for (int i = 0; !_end.IsCancellationRequested; i++)
        {
            string line = string.Create(CultureInfo.InvariantCulture, $"{number}.{i}");
            await client.SendAsync(line[..1]);
            await Task.Yield();
            string? answer = await client.AskAsync(line[1..]);
            Assert.True(answer == line + " from 0" || answer == line + " from 1", $"{answer} to {line}");
            Interlocked.Increment(ref _answered[number]);
            if (answer.EndsWith('1'))
            {
                Interlocked.Increment(ref _answeredByOther[number]);
            }
        }
    }

    private async Task AcceptAllAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                Serve(await listener.AcceptAsync(), 0, default);
            }
        }
        catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
        {
            // It takes no more.
        }
    }

    private async Task TakeAllAsync(WorkerScene scene, int node)
    {
        await foreach (ReceivedConnection taken in scene.WorkerOf(node).Connections.ReadAllAsync())
        {
            Serve(taken.ToSocket(), node, taken.Consumed);
        }
    }

    private void Serve(Socket socket, int node, ReadOnlyMemory<byte> unanswered)
    {
        var served = new Served(socket, node, unanswered);
        _served[socket] = served;
        served.Start(() => Close(served));
    }

    private void Close(Served served)
    {
        _served.TryRemove(served.Socket, out _);
        served.Dispose();
    }

    /// <summary>A connection that is served until it ends, or is to move.</summary>
    private sealed class Served(Socket socket, int node, ReadOnlyMemory<byte> unanswered) : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly List<byte> _read = [.. unanswered.Span];
        private readonly bool _isClient = ((IPEndPoint)socket.RemoteEndPoint!).Address.Equals(IPAddress.Parse(BridgedHosts.Address(1)));
        private Task _serving = Task.CompletedTask;

        public Socket Socket => socket;

        /// <summary>Whether it is a client's, and no probe.</summary>
        public bool IsClientOf(int which) => node == which && _isClient;

        /// <summary>What was read and not answered.</summary>
        public ReadOnlyMemory<byte> Unanswered => _read.ToArray();

        public void Start(Action ended) => _serving = Task.Run(async () =>
        {
            if (await ServeAsync())
            {
                ended();
            }
        });

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _serving.WaitAsync(s_patience);
        }

        public void Dispose()
        {
            socket.Dispose();
            _stop.Dispose();
        }

        /// <returns>Whether it has ended.</returns>
        private async Task<bool> ServeAsync()
        {
            byte[] buffer = new byte[100];
            while (true)
            {
                for (int end = _read.IndexOf((byte)'\n'); end >= 0; end = _read.IndexOf((byte)'\n'))
                {
                    string line = Encoding.ASCII.GetString([.. _read.Take(end)]);
                    await socket.SendAsync(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{line} from {node}\n")));
                    _read.RemoveRange(0, end + 1);
                }

                try
                {
                    int count = await socket.ReceiveAsync(buffer, _stop.Token);
                    if (count == 0)
                    {
                        return true;
                    }

                    _read.AddRange(buffer.AsSpan(0, count));
                }
                catch (OperationCanceledException)
                {
                    return false;
                }
                catch (SocketException)
                {
                    return true;
                }
            }
        }
    }
}
