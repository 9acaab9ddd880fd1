// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Nodes have one address, and what stands before them sends a client's packets now to one and now to another.</summary>
public sealed class SharedAddressTests : IDisposable
{
    private const int LimitMilliseconds = 60_000;

    // The least that a configuration may say.
    private const int PeerTimeout = 5;

    private readonly DaemonWorld _world = new(PeerTimeout);
    private readonly List<Process> _daemons = [];
    private readonly List<IDisposable> _clients = [];

    [Fact]
    public async Task PacketsComeByAnotherNode_TheConnectionGoesOn_AndMovesOn()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("0.a from 0.0", await client.AskAsync("get 0.a"));
        Assert.Equal("1.b from 1.0", await client.AskAsync("get 1.b"));

        // To one that has nothing to do with it, which it moves on to then: it is at home there.
        _world.SendBy(2);
        Assert.Equal("1.c from 1.0", await client.AskAsync("get 1.c"));
        Assert.Equal(SteeringMode.Redirect, _world.GivenOf(2).Single().Mode);
        Assert.Equal("2.d from 2.0", await client.AskAsync("get 2.d"));
        Assert.Equal("0.e from 0.0", await client.AskAsync("get 0.e"));

        // To its owner, and from there to the third.
        _world.SendBy(0);
        Assert.Equal("0.f from 0.0", await client.AskAsync("get 0.f"));
        Assert.Equal("1.g from 1.0", await client.AskAsync("get 1.g"));
        Assert.Equal("0.h from 0.0", await client.AskAsync("get 0.h"));
        Assert.Equal("2.i from 2.0", await client.AskAsync("get 2.i"));
        await AssertEndsAsync(client, anchor: 0);
    }

    [Fact]
    public async Task PacketsOfAConnectionThatHasNotMovedComeByAnotherNode_ItGoesOn_AndMovesOn()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("0.a from 0.0", await client.AskAsync("get 0.a"));
        _world.SendBy(2);
        Assert.Equal("0.b from 0.0", await client.AskAsync("get 0.b"));
        Assert.Equal("1.c from 1.0", await client.AskAsync("get 1.c"));
        Assert.Equal("2.d from 2.0", await client.AskAsync("get 2.d"));
        _world.SendBy(1);
        Assert.Equal("2.e from 2.0", await client.AskAsync("get 2.e"));
        Assert.Equal("0.f from 0.0", await client.AskAsync("get 0.f"));
        Assert.Equal("1.g from 1.0", await client.AskAsync("get 1.g"));
        _world.SendBy(0);
        Assert.Equal("1.h from 1.0", await client.AskAsync("get 1.h"));
        await AssertEndsAsync(client, anchor: 0);
    }

    [Fact]
    public async Task BalancerChangesItsMindAllTheTime_EveryAnswerComesOnceAndInOrder()
    {
        const int Clients = 16;
        const int Changes = 150;
        List<StreamReaderWriter> clients = [await StartAsync()];
        while (clients.Count < Clients)
        {
            clients.Add(await ConnectAsync());
        }

        bool isEnough = false;
        int answers = 0;
        Task[] asking = [.. clients.Select((client, number) => Task.Run(async () =>
        {
            var random = new Random(number);
            for (int i = 0; !Volatile.Read(ref isEnough); i++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"{random.Next(3)}.{number}.{i}");
                await AskAsync(client, name);
                Interlocked.Increment(ref answers);
            }
        }))];
        for (int i = 0; i < Changes; i++)
        {
            // Some answers each time.
            int before = Volatile.Read(ref answers);
            _world.SendBy(i % 3);
            await SoonAsync(() => Task.FromResult(Volatile.Read(ref answers) > before + 20 || asking.Any(static one => one.IsCompleted)));
        }

        Volatile.Write(ref isEnough, true);
        await Task.WhenAll(asking);
    }

    [Fact]
    public async Task FirstNodeIsLost_ItsConnectionsGoOnByAnother()
    {
        StreamReaderWriter client = await StartAsync();
        StreamReaderWriter silent = await ConnectAsync();
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        Assert.Equal("1.b from 1.0", await silent.AskAsync("get 1.b"));
        _world.NodeOf(0).Run("ip", "link", "set", BridgedHosts.Interface, "down");
        _world.SendBy(2);
        Assert.Equal("1.c from 1.0", await client.AskAsync("get 1.c"));
        Assert.Equal("2.d from 2.0", await client.AskAsync("get 2.d"));

        // It has gone for good, and one has not sent anything yet since then.
        await SoonAsync(async () => (await _world.StatusOfAsync(1)).Peers.Any(static peer => peer is { Name: "node-0", IsLost: true }));
        Assert.Equal("1.e from 1.0", await silent.AskAsync("get 1.e"));
        Assert.Equal("2.f from 2.0", await silent.AskAsync("get 2.f"));
        Assert.Equal("1.g from 1.0", await client.AskAsync("get 1.g"));
    }

    [Fact]
    public async Task AnotherNodeTakesTheAddressOfOneThatIsLost_ConnectionsGoOn()
    {
        string taken = DaemonWorld.AddressOf(0);
        for (int node = 0; node < _world.Nodes; node++)
        {
            _world.Configure(node, text => $"{text}\nservice_ip = {taken}");
            _daemons.Add(_world.StartDaemon(node));
            _world.StartWorker(node, listening: "0.0.0.0");
        }

        await _world.WaitUntilConnectedAsync(0, 1, 2);
        StreamReaderWriter client = await _world.ConnectAsync(taken);
        _clients.Add(client);
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        Assert.Equal("0.b from 0.0", await client.AskAsync("get 0.b"));
        Assert.Equal("1.c from 1.0", await client.AskAsync("get 1.c"));
        _world.NodeOf(0).Run("ip", "link", "set", BridgedHosts.Interface, "down");
        _world.NodeOf(2).Run("ip", "address", "add", taken + "/24", "dev", BridgedHosts.Interface);
        _world.Client.Run("ip", "neighbour", "flush", "dev", BridgedHosts.Interface);
        Assert.Equal("1.d from 1.0", await client.AskAsync("get 1.d"));
        Assert.Equal("2.e from 2.0", await client.AskAsync("get 2.e"));
        Assert.Equal("1.f from 1.0", await client.AskAsync("get 1.f"));
    }

    [Fact]
    public async Task OwnersDaemonIsStartedAgain_ItTellsTheNewNode()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        _world.SendBy(2);
        Assert.Equal("1.b from 1.0", await client.AskAsync("get 1.b"));
        DaemonWorld.End(_daemons[1], "KILL");
        _daemons[1] = _world.StartDaemon(1);
        await _world.WaitUntilConnectedAsync(0, 1, 2);
        Assert.Equal("1.c from 1.0", await client.AskAsync("get 1.c"));
        await AssertEndsAsync(client, anchor: 2);
    }

    [Fact]
    public async Task NoNodeHasIt_TheClientIsReset_AndMayBeginAnew()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("0.a from 0.0", await client.AskAsync("get 0.a"));
        // Nobody is to hear of it.
        _world.NodeOf(0).Run("ip", "link", "set", BridgedHosts.Interface, "down");
        _world.NodeOf(0).Run("ss", "-K", "dst", $"{BridgedHosts.Address(1)}:{client.Port}");
        _world.NodeOf(0).Run("ip", "link", "set", BridgedHosts.Interface, "up");
        await _world.WaitUntilConnectedAsync(0, 2);
        _world.SendBy(2);
        SocketException failure = await Assert.ThrowsAsync<SocketException>(() => AskRawAsync(client));
        Assert.Equal(SocketError.ConnectionReset, failure.SocketErrorCode);
        HandoffStatus status = await _world.StatusOfAsync(2);
        Assert.Equal((0, 1, 0), (status.SoughtFound, status.SoughtUnknown, status.SoughtUnanswered));

        // A stranger's port is nobody's for long.
        StreamReaderWriter next = await ConnectAsync(client.Port);
        Assert.Equal("1.b from 1.0", await next.AskAsync("get 1.b"));
        Assert.Equal("2.c from 2.0", await next.AskAsync("get 2.c"));
    }

    [Fact]
    public async Task ClientBeginsAnewFromItsPort_WhatANodeHasOfTheFormerConnectionIsNotInTheWay()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        _world.SendBy(2);
        Assert.Equal("1.b from 1.0", await client.AskAsync("get 1.b"));
        Assert.Null(await client.AskAsync("bye"));
        client.Dispose();
        await SoonAsync(() => Task.FromResult(_world.GivenOf(2).All(static given => given.Mode != SteeringMode.Redirect)));

        // By the first node, and then by the one that has a tombstone still.
        _world.SendBy(0);
        StreamReaderWriter next = await ConnectAsync(client.Port);
        Assert.Equal("0.c from 0.0", await next.AskAsync("get 0.c"));
        _world.SendBy(2);
        Assert.Equal("0.d from 0.0", await next.AskAsync("get 0.d"));
        Assert.Equal("1.e from 1.0", await next.AskAsync("get 1.e"));
    }

    [Fact]
    public async Task ANodeDoesNotAnswer_TheClientIsNotReset_AndGoesOnWhenItDoes()
    {
        StreamReaderWriter client = await StartAsync();
        Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
        DaemonWorld.End(_daemons[1], "KILL");
        _world.SendBy(2);
        await client.SendAsync("get 1.b\n");
        await SoonAsync(async () => (await _world.StatusOfAsync(2)).SoughtUnanswered > 0);
        _daemons[1] = _world.StartDaemon(1);
        Assert.Equal("1.b from 1.0", await client.ReadAsync());
    }

    [Fact]
    public async Task ListenerKeepsNothingOfItsHandshakes_NobodyIsAskedForThem()
    {
        StreamReaderWriter first = await StartAsync();
        _world.NodeOf(0).Run("sysctl", "-qw", "net.ipv4.tcp_syncookies=2");
        for (int i = 0; i < 5; i++)
        {
            StreamReaderWriter client = await ConnectAsync();
            Assert.Equal("0.a from 0.0", await client.AskAsync("get 0.a"));
        }

        Assert.Equal("0.a from 0.0", await first.AskAsync("get 0.a"));
        Assert.Equal(0ul, (await _world.StatusOfAsync(0)).Packets[nameof(SteeringCounter.Sought)]);
    }

    [Fact]
    public async Task ManyComeByAnotherNodeAtOnce_AllGoOn()
    {
        const int Count = 200;
        List<StreamReaderWriter> clients = [await StartAsync()];
        while (clients.Count < Count)
        {
            clients.Add(await ConnectAsync());
        }

        await Task.WhenAll(clients.Select(static async (client, i) =>
        {
            string name = Name(1 + (i % 2), i);
            Assert.StartsWith(name + " from ", await client.AskAsync("get " + name), StringComparison.Ordinal);
        }));
        for (int by = 2; by >= 0; by--)
        {
            _world.SendBy(by);
            await Task.WhenAll(clients.Select(async (client, i) =>
            {
                string name = Name(1 + (i % 2), i) + "." + by.ToString(CultureInfo.InvariantCulture);
                Assert.StartsWith(name + " from ", await client.AskAsync("get " + name), StringComparison.Ordinal);
            }));
        }

        static string Name(int node, int i) => string.Create(CultureInfo.InvariantCulture, $"{node}.{i}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _clients.ForEach(static client => client.Dispose());
        _world.Dispose();
    }

    private async Task AskAsync(StreamReaderWriter client, string name)
    {
        try
        {
            Assert.StartsWith(name + " from ", await client.AskAsync("get " + name), StringComparison.Ordinal);
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"{name}: {await _world.DescribeAsync(client.Port)}", failure);
        }
    }

    private static async Task AskRawAsync(StreamReaderWriter client)
    {
        await client.SendAsync("get 0.b\n");
        Assert.Equal(0, await client.Socket.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromMilliseconds(LimitMilliseconds)));
    }

    private async Task<StreamReaderWriter> StartAsync()
    {
        _world.ShareAddress();
        _world.SendBy(0);
        for (int node = 0; node < _world.Nodes; node++)
        {
            _daemons.Add(_world.StartDaemon(node));
            _world.StartWorker(node, listening: "0.0.0.0");
        }

        await _world.WaitUntilConnectedAsync(0, 1, 2);
        return await ConnectAsync();
    }

    private async Task<StreamReaderWriter> ConnectAsync(int fromPort = 0)
    {
        StreamReaderWriter client = await _world.ConnectAsync(DaemonWorld.SharedAddress, fromPort);
        _clients.Add(client);
        return client;
    }

    /// <summary>The owner closes, and the node that the client's packets come by hears of it.</summary>
    private async Task AssertEndsAsync(StreamReaderWriter client, int anchor)
    {
        Assert.Null(await client.AskAsync("bye"));
        client.Dispose();
        await SoonAsync(() => Task.FromResult(_world.GivenOf(anchor).All(
            static given => given.Mode == SteeringMode.Tombstone || given.Local.Port != DaemonWorld.Port)));
    }

    private static async Task SoonAsync(Func<Task<bool>> isSo)
    {
        for (long end = Environment.TickCount64 + LimitMilliseconds; !await isSo();)
        {
            Assert.True(Environment.TickCount64 < end, "it does not come to that");
            await Task.Delay(10);
        }
    }
}
