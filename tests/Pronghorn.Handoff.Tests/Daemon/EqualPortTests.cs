// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>One client has connections from one port to several nodes, and all of them move to one node.</summary>
public sealed class EqualPortTests : IDisposable
{
    // KernelTarget has this end for a connection that comes, and others above where it is taken.
    private const int FirstSpare = 61_000;
    private const int LastSpare = 65_000;

    // What each stream asks for at once: more than one segment, and more than the worker reads at a time.
    private const int Questions = 200;

    private readonly DaemonWorld _world = new(addresses: 2);
    private readonly List<StreamReaderWriter> _clients = [];

    [Fact]
    public async Task SamePortToTwoNodes_BothMoveToTheThird_TheSecondHasAnotherEndAndBothStreamsAreExact()
    {
        await StartAsync();
        StreamReaderWriter first = await ConnectAsync(DaemonWorld.AddressOf(0), 0);
        StreamReaderWriter second = await ConnectAsync(DaemonWorld.AddressOf(2), first.Port);
        Assert.Equal("1.a from 1.0", await first.AskAsync("get 1.a"));
        Assert.Equal("1.a from 1.0", await second.AskAsync("get 1.a"));

        Assert.Equal(FirstSpare, Assert.Single(_world.GivenOf(0)).Target.Port);
        Assert.InRange(Assert.Single(_world.GivenOf(2)).Target.Port, FirstSpare + 1, LastSpare);
        await Task.WhenAll(AssertExactAsync(first, 1), AssertExactAsync(second, 1));

        // What one leaves behind is not in the other's way, whichever ends first.
        Assert.Null(await first.AskAsync("bye"));
        await AssertExactAsync(second, 1);
        Assert.Equal("2.b from 2.0", await second.AskAsync("get 2.b"));
        Assert.Equal("1.c from 1.0", await second.AskAsync("get 1.c"));
    }

    [Fact]
    public async Task FiftyPortsWithFourConnectionsEach_AllMoveToOneNode_EachHasItsOwnEndAndEachStreamIsExact()
    {
        const int Ports = 50;
        await StartAsync();
        string[] ends = [.. from node in (int[])[0, 2] from which in (int[])[0, 1] select DaemonWorld.AddressOf(node, which)];
        for (int i = 0; i < Ports; i++)
        {
            int port = 0;
            foreach (string end in ends)
            {
                port = (await ConnectAsync(end, port)).Port;
            }
        }

        await Task.WhenAll(_clients.Select(static client => AssertExactAsync(client, 1)));

        GivenEntry[] given = [.. _world.GivenOf(0), .. _world.GivenOf(2)];
        Assert.Equal(Ports * ends.Length, given.Length);
        foreach (IGrouping<int, GivenEntry> same in given.GroupBy(static entry => (int)entry.Remote.Port))
        {
            Assert.Equal(ends.Length, same.Select(static entry => entry.Target).Distinct().Count());
            Assert.Contains(same, static entry => entry.Target.Port == FirstSpare);
        }

        Assert.Equal(given.Length, (await _world.StatusOfAsync(1)).TakenNow);
    }

    public void Dispose()
    {
        _clients.ForEach(static client => client.Dispose());
        _world.Dispose();
    }

    private static async Task AssertExactAsync(StreamReaderWriter client, int owner)
    {
        var all = new StringBuilder();
        for (int i = 0; i < Questions; i++)
        {
            all.Append(CultureInfo.InvariantCulture, $"get {owner}.{client.Port}.{client.Socket.RemoteEndPoint}.{i}\n");
        }

        Task sending = client.SendAsync(all.ToString());
        for (int i = 0; i < Questions; i++)
        {
            string expected = string.Create(
                CultureInfo.InvariantCulture, $"{owner}.{client.Port}.{client.Socket.RemoteEndPoint}.{i} from {owner}.0");
            Assert.Equal(expected, await client.ReadAsync());
        }

        await sending;
    }

    private async Task StartAsync()
    {
        for (int node = 0; node < _world.Nodes; node++)
        {
            _world.StartDaemon(node);
            _world.StartWorker(node, listening: "0.0.0.0");
        }

        await _world.WaitUntilConnectedAsync(0, 1, 2);
    }

    private async Task<StreamReaderWriter> ConnectAsync(string address, int fromPort)
    {
        StreamReaderWriter client = await _world.ConnectAsync(address, fromPort);
        _clients.Add(client);
        return client;
    }
}
