// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>Many connections, and what is left when they are gone.</summary>
public sealed class ConnectionTests : IDisposable
{
    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void TenThousandConnections_OpenedAndClosed_LeaveNothing()
    {
        RedisServer server = _lab.StartServer();
        using RespConnection watcher = _lab.Connect();
        OpenAndClose(count: 200);
        RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "1");
        int descriptors = server.OpenDescriptors;
        long free = server.ReadCounter("frames_free", watcher);
        OpenAndClose(count: 10_000);
        RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "1");
        Assert.Equal("10201", RedisServer.Info(watcher, "total_connections_received"));
        Assert.Equal(descriptors, server.OpenDescriptors);

        // A batch may be on its way between the rings and the pool.
        Assert.InRange(server.ReadCounter("frames_free", watcher), free - 128, free + 4096);
    }

    [Fact]
    public void ThousandConnections_AtOnce_AreAllServed()
    {
        RedisServer server = _lab.StartServer();
        using RespConnection watcher = _lab.Connect();
        watcher.Call("PING");
        int descriptors = server.OpenDescriptors;
        List<RespConnection> clients = [.. Enumerable.Range(0, 1000).Select(_ => Connect())];
        for (int round = 0; round < 10; round++)
        {
            foreach (RespConnection client in clients)
            {
                client.Send("INCR", "counter");
            }

            Assert.Equal(
                Enumerable.Range(1 + (round * 1000), 1000).Select(number => (object)(long)number),
                clients.Select(client => client.Read()).OrderBy(number => number));
        }

        Assert.Equal("1001", RedisServer.Info(watcher, "connected_clients"));
        clients.ForEach(client => client.Dispose());
        RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "1");
        Assert.Equal(descriptors, server.OpenDescriptors);
    }

    private void OpenAndClose(int count)
    {
        const int Together = 100;
        for (int done = 0; done < count; done += Together)
        {
            List<RespConnection> clients = [.. Enumerable.Range(0, Together).Select(_ => Connect())];
            clients.ForEach(client => client.Send("PING"));
            foreach (RespConnection client in clients)
            {
                Assert.Equal("PONG", client.ReadText());
                client.Dispose();
            }
        }
    }

    private RespConnection Connect() =>
        RespConnection.Connect(_lab.Hosts.Client, TwoHosts.ServerAddress, RedisServer.Port);
}
