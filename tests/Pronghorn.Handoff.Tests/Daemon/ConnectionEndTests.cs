// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>How connections that have moved end, by either side, by their worker's or their node's, and what comes after them.</summary>
public sealed class ConnectionEndTests : IDisposable
{
    private const int LimitMilliseconds = 60_000;

    private readonly List<IDisposable> _clients = [];
    private DaemonWorld? _world;

    [Fact]
    public async Task OwnerClosesFirst_ClientsFinIsAcknowledged_AndItsPortIsOfUseAtOnce()
    {
        DaemonWorld world = await StartAsync(new DaemonWorld());
        StreamReaderWriter client = await MovedAsync(world);

        // A worker closes on what is no request.
        Assert.Null(await client.AskAsync("bye"));
        await SoonAsync(
            () => world.GivenOf(0).Single().Mode == SteeringMode.Tombstone, "the first node has not heard of the end", client.Port);
        client.Dispose();
        await SoonAsync(() => !HasSocket(world.Client, client.Port), "the client's FIN is not acknowledged", client.Port);

        StreamReaderWriter next = await ConnectAsync(world, DaemonWorld.AddressOf(0), client.Port);
        Assert.Equal("0.b from 0.0", await next.AskAsync("get 0.b"));
        Assert.Empty(world.GivenOf(0));

        // Where the one before is in TIME-WAIT.
        Assert.Equal("1.c from 1.0", await next.AskAsync("get 1.c"));
        Assert.Equal("0.d from 0.0", await next.AskAsync("get 0.d"));
    }

    [Fact]
    public async Task ClientsHaveLostTheirConnections_ConnectFromTheSamePorts_AndAreAnswered()
    {
        const int Count = 20;
        DaemonWorld world = await StartAsync(new DaemonWorld());
        StreamReaderWriter[] clients = new StreamReaderWriter[Count];
        for (int i = 0; i < Count; i++)
        {
            clients[i] = await MovedAsync(world);
            int fd = (int)clients[i].Socket.Handle;
            Assert.Equal(0, TcpRepair.Enter(fd));
            Assert.Equal(0, ConnectionCapture.Discard(fd));
            clients[i].Dispose();
            Assert.False(HasSocket(world.Client, clients[i].Port));
        }

        Assert.Equal(Count, (await world.StatusOfAsync(1)).TakenNow);

        // The owner does not believe the SYN, asks, and is told by a reset.
        await Task.WhenAll(clients.Select(client => Task.Run(async () =>
        {
            StreamReaderWriter next = await ConnectAsync(world, DaemonWorld.AddressOf(0), client.Port);
            Assert.Equal("0.b from 0.0", await next.AskAsync("get 0.b"));
            Assert.Equal("1.c from 1.0", await next.AskAsync("get 1.c"));
        })));
        await SoonAsync(
            async () => (await world.StatusOfAsync(1)).TakenNow == Count, "the owner has those before still", clients[0].Port);
    }

    [Fact]
    public async Task OwnersWorkerIsKilled_ClientsSeeTheEnd_AndBothNodesHearOfIt()
    {
        const int Count = 12;
        DaemonWorld world = new();
        _world = world;
        StartNode(0);
        world.StartDaemon(1);
        Process worker = world.StartWorker(1);
        await world.WaitUntilConnectedAsync(0, 1);
        StreamReaderWriter[] clients = new StreamReaderWriter[Count];
        for (int i = 0; i < Count; i++)
        {
            clients[i] = await MovedAsync(world);
        }

        Assert.Equal(Count, (await world.StatusOfAsync(1)).TakenNow);
        DaemonWorld.End(worker, "KILL");

        foreach (StreamReaderWriter client in clients)
        {
            Assert.True(await HasEndedAsync(client), await world.DescribeAsync(client.Port));
            client.Dispose();
        }

        await SoonAsync(async () => (await world.StatusOfAsync(1)).TakenNow == 0, "the owner has some still", clients[0].Port);
        await SoonAsync(
            () => world.GivenOf(0).All(static given => given.Mode == SteeringMode.Tombstone),
            "the first node sends some on",
            clients[0].Port);
    }

    [Fact]
    public async Task NodeIsLost_WhatItHadIsGivenUp_AndTheClientIsTold()
    {
        DaemonWorld world = await StartAsync(new DaemonWorld(peerTimeout: 5), count: 3);
        StreamReaderWriter lost = await MovedAsync(world);
        StreamReaderWriter other = await ConnectAsync(world, DaemonWorld.AddressOf(0));
        Assert.Equal("2.a from 2.0", await other.AskAsync("get 2.a"));
        await SoonAsync(() => world.GivenOf(0).Count(static given => given.Mode == SteeringMode.Redirect) == 2, "not given", lost.Port);

        world.NodeOf(1).Run("ip", "link", "set", BridgedHosts.Interface, "down");

        await SoonAsync(
            async () => PeerOf(await world.StatusOfAsync(0), 1).GivenUp == 1, "the lost node's connection is not given up", lost.Port);
        GivenEntry left = Assert.Single(world.GivenOf(0));
        Assert.Equal(other.Port, left.Remote.Port);
        await lost.SendAsync("get 1.b\n");
        var told = await Assert.ThrowsAsync<IOException>(lost.ReadAsync);
        Assert.Equal(SocketError.ConnectionReset, Assert.IsType<SocketException>(told.InnerException).SocketErrorCode);

        // What others have is theirs.
        Assert.Equal("2.b from 2.0", await other.AskAsync("get 2.b"));
        Assert.Equal(0, PeerOf(await world.StatusOfAsync(0), 2).GivenUp);
    }

    [Fact]
    public async Task NodesHaveTwoAddresses_ClientsOfTheSecondMoveAndComeBack()
    {
        DaemonWorld world = await StartAsync(new DaemonWorld(addresses: 2), count: 3, listening: "0.0.0.0");
        StreamReaderWriter client = await ConnectAsync(world, DaemonWorld.AddressOf(0, which: 1));
        int i = 0;
        foreach (int owner in (int[])[0, 1, 2, 0, 2, 1, 0])
        {
            Assert.Equal($"{owner}.{i} from {owner}.0", await client.AskAsync($"get {owner}.{i}"));
            i++;
        }

        await SoonAsync(() => world.GivenOf(0).Count == 0, "the first node has an entry, and the connection", client.Port);
        Assert.Equal("1.again from 1.0", await client.AskAsync("get 1.again"));
        GivenEntry given = Assert.Single(world.GivenOf(0));
        Assert.Equal(DaemonWorld.AddressOf(0, which: 1), given.Local.Address.ToString());
    }

    [Fact]
    public async Task AddressIsNotInTheConfiguration_ConnectionStays_AndWorks()
    {
        DaemonWorld world = await StartAsync(new DaemonWorld(addresses: 2), listening: "0.0.0.0");
        StreamReaderWriter client = await ConnectAsync(world, DaemonWorld.AddressOf(0, which: 2));
        Assert.Equal("1.a from 0.0", await client.AskAsync("get 1.a"));
        HandoffStatus status = await world.StatusOfAsync(0);
        Assert.Equal([("Address", 1L)], status.Refused.Select(static refused => (refused.Key, refused.Value)));
        Assert.Contains(DaemonWorld.AddressOf(0, which: 2), status.LastRefusals["Address"], StringComparison.Ordinal);
        Assert.Equal("0.b from 0.0", await client.AskAsync("get 0.b"));
        Assert.Empty(world.GivenOf(0));
    }

    public void Dispose()
    {
        _clients.ForEach(static client => client.Dispose());
        _world?.Dispose();
    }

    private static PeerStatus PeerOf(HandoffStatus status, int node) =>
        status.Peers.Single(peer => peer.Name == DaemonWorld.NameOf(node));

    /// <summary>Whether TCP of a host has more of a connection than TIME-WAIT.</summary>
    private static bool HasSocket(NetworkNamespace host, int port) => NamespaceThread.Run(host, () =>
    {
        Assert.Equal(0, SocketDiagnostics.Open(out SocketDiagnostics? diagnostics));
        using (diagnostics)
        {
            List<DiagnosedSocket> sockets = [];
            Assert.Equal(0, diagnostics!.List(isIpv6: false, IpProtocol.Tcp, 0, sockets));
            return sockets.Any(socket => socket.LocalPort == port);
        }
    });

    private static async Task<bool> HasEndedAsync(StreamReaderWriter client)
    {
        try
        {
            return await client.ReadAsync() is null;
        }
        catch (IOException failure) when (failure.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return true;
        }
    }

    private async Task<DaemonWorld> StartAsync(DaemonWorld world, int count = 2, string? listening = null)
    {
        _world = world;
        for (int node = 0; node < count; node++)
        {
            StartNode(node, listening);
        }

        await world.WaitUntilConnectedAsync([.. Enumerable.Range(0, count)]);
        return world;
    }

    private void StartNode(int node, string? listening = null)
    {
        _world!.StartDaemon(node);
        _world.StartWorker(node, listening: listening);
    }

    private async Task<StreamReaderWriter> ConnectAsync(DaemonWorld world, string address, int fromPort = 0)
    {
        StreamReaderWriter client = await world.ConnectAsync(address, fromPort);
        lock (_clients)
        {
            _clients.Add(client);
        }

        return client;
    }

    /// <summary>A client's connection to the first node that has moved to the second, as both know.</summary>
    private async Task<StreamReaderWriter> MovedAsync(DaemonWorld world)
    {
        long before = (await world.StatusOfAsync(0)).Given;
        StreamReaderWriter client = await ConnectAsync(world, DaemonWorld.AddressOf(0));
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        await SoonAsync(async () => (await world.StatusOfAsync(0)).Given > before, "it does not move", client.Port);
        return client;
    }

    private Task SoonAsync(Func<bool> holds, string otherwise, int clientPort) =>
        SoonAsync(() => Task.FromResult(holds()), otherwise, clientPort);

    private async Task SoonAsync(Func<Task<bool>> holds, string otherwise, int clientPort)
    {
        long end = Environment.TickCount64 + LimitMilliseconds;
        while (!await holds())
        {
            if (Environment.TickCount64 > end)
            {
                Assert.Fail($"{otherwise}: {await _world!.DescribeAsync(clientPort)}");
            }

            await Task.Delay(5, CancellationToken.None);
        }
    }
}
