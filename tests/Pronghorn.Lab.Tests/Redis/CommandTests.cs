// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>What redis promises its clients, with redis on Pronghorn and the clients on the kernel.</summary>
public sealed class CommandTests : IClassFixture<CommandTests.Fixture>
{
    private readonly RedisLab _lab;

    public CommandTests(Fixture fixture)
    {
        ArgumentNullException.ThrowIfNull(fixture);
        _lab = fixture.Lab;
        using RespConnection client = _lab.Connect();
        client.Call("FLUSHALL");
    }

    [Fact]
    public void HundredThousandCommands_InOnePipeline_AreAnsweredInOrder()
    {
        const int Count = 50_000;
        using RespConnection client = _lab.Connect();
        for (int i = 0; i < Count; i++)
        {
            client.Queue("SET", "key:" + i, "value of " + i);
            client.Queue("GET", "key:" + i);
        }

        client.Flush();
        for (int i = 0; i < Count; i++)
        {
            Assert.Equal("OK", client.ReadText());
            Assert.Equal("value of " + i, client.ReadText());
        }

        Assert.Equal((long)Count, client.Call("DBSIZE"));
    }

    [Fact]
    public void FiftySubscribers_Published_AllGetEveryMessageInOrder()
    {
        const int Messages = 500;
        List<RespConnection> subscribers = [.. Enumerable.Range(0, 50).Select(_ => _lab.Connect())];
        foreach (RespConnection subscriber in subscribers)
        {
            Assert.Equal("subscribe news 1", subscriber.Text("SUBSCRIBE", "news"));
        }

        using RespConnection publisher = _lab.Connect();
        for (int i = 0; i < Messages; i++)
        {
            publisher.Queue("PUBLISH", "news", "message " + i);
        }

        publisher.Flush();
        for (int i = 0; i < Messages; i++)
        {
            Assert.Equal((long)subscribers.Count, publisher.Read());
        }

        foreach (RespConnection subscriber in subscribers)
        {
            for (int i = 0; i < Messages; i++)
            {
                Assert.Equal("message news message " + i, subscriber.ReadText());
            }

            subscriber.Dispose();
        }
    }

    [Fact]
    public void BlockedClients_Pushed_AreServedInTurn()
    {
        List<RespConnection> blocked = [];
        using RespConnection pusher = _lab.Connect();
        for (int i = 0; i < 200; i++)
        {
            RespConnection client = _lab.Connect();
            client.Send("BLPOP", "queue", "0");
            blocked.Add(client);
            string wanted = (i + 1).ToString(CultureInfo.InvariantCulture);
            RedisServer.WaitForInfo(pusher, "blocked_clients", value => value == wanted);
        }

        for (int i = 0; i < blocked.Count; i++)
        {
            pusher.Call("RPUSH", "queue", "item " + i);
        }

        for (int i = 0; i < blocked.Count; i++)
        {
            Assert.Equal("queue item " + i, blocked[i].ReadText());
            blocked[i].Dispose();
        }

        Assert.Null(pusher.Call("BLPOP", "queue", "0.05"));
    }

    [Fact]
    public void WatchedKey_ChangedByAnother_StopsTheTransaction()
    {
        using RespConnection one = _lab.Connect();
        using RespConnection other = _lab.Connect();
        Assert.Equal("OK", one.Text("WATCH", "balance"));
        Assert.Equal("OK", one.Text("MULTI"));
        Assert.Equal("QUEUED", one.Text("INCRBY", "balance", 5));
        Assert.Equal("OK", other.Text("SET", "balance", 10));
        Assert.Null(one.Call("EXEC"));
        Assert.Equal("OK", one.Text("WATCH", "balance"));
        Assert.Equal("OK", one.Text("MULTI"));
        Assert.Equal("QUEUED", one.Text("INCRBY", "balance", 5));
        Assert.Equal("QUEUED", one.Text("GET", "balance"));
        Assert.Equal("15 15", one.Text("EXEC"));
    }

    [Fact]
    public void ClientList_Asked_HasTheClientsAddress()
    {
        using RespConnection client = _lab.Connect();
        string list = client.Text("CLIENT", "LIST");
        Assert.Contains($" addr={client.Local} laddr={TwoHosts.ServerAddress}:{RedisServer.Port} ", list, StringComparison.Ordinal);
    }

    [Fact]
    public void Client_KilledByAnother_SeesTheEndAndNobodyElseDoes()
    {
        using RespConnection victim = _lab.Connect();
        using RespConnection killer = _lab.Connect();
        victim.Call("PING");
        Assert.Equal(1L, killer.Call("CLIENT", "KILL", "ADDR", victim.Local));
        Assert.True(victim.IsClosedByServer());
        Assert.Equal("PONG", killer.Text("PING"));
    }

    [Fact]
    public void Monitor_Running_ShowsCommandsWithTheirClients()
    {
        using RespConnection monitor = _lab.Connect();
        using RespConnection client = _lab.Connect();
        Assert.Equal("OK", monitor.Text("MONITOR"));
        for (int i = 0; i < 1000; i++)
        {
            client.Call("SET", "seen", i);
        }

        for (int i = 0; i < 1000; i++)
        {
            Assert.EndsWith($" [0 {client.Local}] \"SET\" \"seen\" \"{i}\"", monitor.ReadText(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void MaximumOfClients_Reached_RefusesTheNextWithAWord()
    {
        using RespConnection client = _lab.Connect();
        Assert.Equal("OK", client.Text("CONFIG", "SET", "maxclients", 1));
        using (RespConnection refused = _lab.Connect())
        {
            Assert.Equal(new RespError("ERR max number of clients reached"), refused.Read());
            Assert.True(refused.IsClosedByServer());
        }

        Assert.Equal("OK", client.Text("CONFIG", "SET", "maxclients", 10000));
        using RespConnection next = _lab.Connect();
        Assert.Equal("PONG", next.Text("PING"));
    }

    [Fact]
    public void IdleClient_WithTimeout_IsClosed()
    {
        using RespConnection idle = _lab.Connect();
        idle.Call("PING");
        using RespConnection other = _lab.Connect();
        Assert.Equal("OK", other.Text("CONFIG", "SET", "timeout", 1));
        Assert.True(idle.IsClosedByServer());
        using RespConnection again = _lab.Connect();
        Assert.Equal("OK", again.Text("CONFIG", "SET", "timeout", 0));
    }

    [Fact]
    public void SilentPeer_WithKeepAlive_IsGivenUp()
    {
        using RespConnection watcher = _lab.Connect();
        Assert.Equal("OK", watcher.Text("CONFIG", "SET", "tcp-keepalive", 1));
        RespConnection silent = _lab.Connect();
        silent.Call("CLIENT", "SETNAME", "silent");
        string port = silent.Local.Port.ToString(CultureInfo.InvariantCulture);
        _lab.Hosts.Client.Run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", port, "-j", "DROP");
        _lab.Hosts.Client.Run("iptables", "-A", "OUTPUT", "-p", "tcp", "--sport", port, "-j", "DROP");
        DateTime end = DateTime.UtcNow.AddSeconds(60);
        while (watcher.Text("CLIENT", "LIST").Contains("silent", StringComparison.Ordinal))
        {
            Assert.True(DateTime.UtcNow < end, "the silent client is still listed");
            watcher.Call("BLPOP", "no-such-key", "0.05");
        }

        watcher.Call("CONFIG", "SET", "tcp-keepalive", 300);
        _lab.Hosts.Client.Run("iptables", "-F");
    }

    /// <summary>One server for all.</summary>
    public sealed class Fixture : IDisposable
    {
        public Fixture() => Lab.StartServer();

        public RedisLab Lab { get; } = new();

        public void Dispose() => Lab.Dispose();
    }
}
