// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Nodes with daemons as they are installed, and workers in this process, whose sockets a test has in its hands.</summary>
internal sealed class WorkerScene : IAsyncDisposable
{
    private const int LimitMilliseconds = 120_000;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly List<Socket> _sockets = [];
    private readonly Socket[] _listeners;
    private readonly HandoffClient[] _workers;

    private WorkerScene(DaemonWorld world, int count)
    {
        World = world;
        _listeners = new Socket[count];
        _workers = new HandoffClient[count];
    }

    public DaemonWorld World { get; }

    /// <summary>Starts daemons and workers of the first nodes.</summary>
    /// <param name="world">The hosts; this disposes of them.</param>
    /// <param name="count">How many nodes.</param>
    /// <param name="listening">What workers listen at; null for the node's address.</param>
    public static async Task<WorkerScene> StartAsync(DaemonWorld world, int count = 2, IPAddress? listening = null)
    {
        var scene = new WorkerScene(world, count);
        try
        {
            for (int node = 0; node < count; node++)
            {
                world.StartDaemon(node);
                scene._listeners[node] = scene.Listen(node, listening ?? IPAddress.Parse(DaemonWorld.AddressOf(node)));
                scene._workers[node] = await HandoffClient.ConnectAsync(WorkerService.Las, 0, world.SocketsOf(node));
                HandoffResult registered = await scene._workers[node].RegisterAsync(scene._listeners[node].SafeHandle, EndOf(node), 0);
                Assert.True(registered.IsDone, registered.Text);
            }

            await world.WaitUntilConnectedAsync([.. Enumerable.Range(0, count)]);
            return scene;
        }
        catch
        {
            await scene.DisposeAsync();
            throw;
        }
    }

    public static TcpEnd EndOf(int node) => new(IpAddress.Parse(DaemonWorld.AddressOf(node)), DaemonWorld.Port);

    public HandoffClient WorkerOf(int node) => _workers[node];

    public Socket ListenerOf(int node) => _listeners[node];

    /// <summary>A client's connection to a node, and what the node's worker has of it.</summary>
    public async Task<(Socket Client, Socket Server)> ConnectAsync(int node, int fromPort = 0)
    {
        Socket client = Keep(NamespaceThread.Run(World.Client, static () =>
            new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }));
        client.Bind(new IPEndPoint(IPAddress.Any, fromPort));
        await client.ConnectAsync(IPAddress.Parse(DaemonWorld.AddressOf(node)), DaemonWorld.Port).WaitAsync(s_patience);
        return (client, Keep(await _listeners[node].AcceptAsync().WaitAsync(s_patience)));
    }

    /// <summary>Moves a connection, and closes what the first worker has of it.</summary>
    /// <returns>What the other worker has.</returns>
    public async Task<Socket> MoveAsync(Socket socket, int from, int to)
    {
        HandoffResult given = await _workers[from].HandOffAsync(socket.SafeHandle, EndOf(to), 0, default).WaitAsync(s_patience);
        Assert.True(given.IsDone, given.Text);
        socket.Dispose();
        return await TakeAsync(to);
    }

    /// <summary>The next connection that comes to a node's worker.</summary>
    public async Task<Socket> TakeAsync(int node)
    {
        ReceivedConnection taken = await _workers[node].Connections.ReadAsync().AsTask().WaitAsync(s_patience);
        return Keep(taken.ToSocket());
    }

    /// <summary>Sends so many bytes each way at once, and looks at each that arrives.</summary>
    public static async Task AssertCarriesAsync(Socket client, Socket server, int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        await Task.WhenAll(
            WriteAsync(server, bytes), WriteAsync(client, bytes), AssertArrivesAsync(client, bytes), AssertArrivesAsync(server, bytes));
    }

    public static async Task WriteAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes).AsTask().WaitAsync(s_patience)..];
        }
    }

    public static async Task AssertArrivesAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        byte[] buffer = new byte[65_536];
        while (bytes.Length > 0)
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(0, Math.Min(buffer.Length, bytes.Length))).AsTask().WaitAsync(s_patience);
            Assert.True(count > 0, $"the end, and {bytes.Length} bytes have not come");
            Assert.True(buffer.AsSpan(0, count).SequenceEqual(bytes.Span[..count]), $"wrong bytes, {bytes.Length} before the end");
            bytes = bytes[count..];
        }
    }

    /// <summary>Waits until something is so.</summary>
    public static async Task SoonAsync(Func<Task<bool>> isSo, Func<Task<string>> otherwise)
    {
        for (long end = Environment.TickCount64 + LimitMilliseconds; !await isSo();)
        {
            if (Environment.TickCount64 > end)
            {
                Assert.Fail(await otherwise());
            }

            await Task.Delay(10, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (HandoffClient? worker in _workers)
        {
            if (worker is not null)
            {
                await worker.DisposeAsync();
            }
        }

        _sockets.ForEach(static socket => socket.Dispose());
        World.Dispose();
    }

    private Socket Listen(int node, IPAddress address) => NamespaceThread.Run(World.NodeOf(node), () =>
    {
        Socket socket = Keep(new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            socket.DualMode = true;
        }

        ServerSocket.Listen(socket, new IPEndPoint(address, DaemonWorld.Port), backlog: 512);
        return socket;
    });

    private Socket Keep(Socket socket)
    {
        lock (_sockets)
        {
            _sockets.Add(socket);
        }

        return socket;
    }
}
