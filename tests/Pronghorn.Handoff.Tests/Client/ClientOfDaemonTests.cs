// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Client;

/// <summary>Workers in C# on two nodes with daemons as they are installed: a connection goes there and back.</summary>
public sealed class ClientOfDaemonTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task Connection_GoesThereAndBack_AndTheClientSeesNothing()
    {
        _world.StartDaemon(0);
        _world.StartDaemon(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        using Socket first = Listen(0);
        using Socket second = Listen(1);
        await using HandoffClient here = await HandoffClient.ConnectAsync(WorkerService.Las, 0, _world.SocketsOf(0));
        await using HandoffClient there = await HandoffClient.ConnectAsync(WorkerService.Las, 0, _world.SocketsOf(1));
        Assert.True((await here.RegisterAsync(first.SafeHandle, EndOf(0), 0)).IsDone);
        Assert.True((await there.RegisterAsync(second.SafeHandle, EndOf(1), 0)).IsDone);

        using StreamReaderWriter client = _world.Connect(0);
        using Socket accepted = await first.AcceptAsync().WaitAsync(s_patience);
        await client.SendAsync("one\ntw");
        byte[] read = new byte[6];
        await accepted.ReceiveAsync(read.AsMemory(0, 4));
        HandoffResult given = await here.HandOffAsync(accepted.SafeHandle, EndOf(1), 0, read.AsMemory(0, 4), "tag"u8.ToArray());
        Assert.Equal("", given.Text);
        accepted.Dispose();

        using ReceivedConnection taken = await there.Connections.ReadAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal(("one\n", "tag"), (Encoding.ASCII.GetString(taken.Consumed.Span), Encoding.ASCII.GetString(taken.Tag.Span)));
        using Socket owned = taken.ToSocket();
        await owned.SendAsync("answer of the second\n"u8.ToArray());
        Assert.Equal("answer of the second", await client.ReadAsync());
        Assert.Equal(2, await owned.ReceiveAsync(read));
        Assert.True((await there.HandOffAsync(owned.SafeHandle, EndOf(0), 0, read.AsMemory(0, 2))).IsDone);
        owned.Dispose();

        using ReceivedConnection back = await here.Connections.ReadAsync().AsTask().WaitAsync(s_patience);
        using Socket again = back.ToSocket();
        await client.SendAsync("o\n");
        Assert.Equal(2, await again.ReceiveAsync(read));
        await again.SendAsync("answer of the first\n"u8.ToArray());
        Assert.Equal("answer of the first", await client.ReadAsync());
    }

    [Fact]
    public async Task NobodyThere_IsSaid_AndTheConnectionStays()
    {
        _world.StartDaemon(0);
        using Socket listener = Listen(0);
        await using HandoffClient here = await HandoffClient.ConnectAsync(WorkerService.Las, 1, _world.SocketsOf(0));
        using StreamReaderWriter client = _world.Connect(0);
        using Socket accepted = await listener.AcceptAsync().WaitAsync(s_patience);
        HandoffResult result = await here.HandOffAsync(accepted.SafeHandle, EndOf(1), 0, default);
        Assert.False(result.IsDone);
        Assert.NotEqual("", result.Text);
        await accepted.SendAsync("still here\n"u8.ToArray());
        Assert.Equal("still here", await client.ReadAsync());
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private static TcpEnd EndOf(int node) => new(IpAddress.Parse(DaemonWorld.AddressOf(node)), DaemonWorld.Port);

    private Socket Listen(int node) => NamespaceThread.Run(_world.NodeOf(node), () =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        ServerSocket.Listen(socket, new IPEndPoint(IPAddress.Parse(DaemonWorld.AddressOf(node)), DaemonWorld.Port), backlog: 128);
        return socket;
    });
}
