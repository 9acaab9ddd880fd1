// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>redis forks to save. The child must not disturb the stack, nor the stack the child.</summary>
public sealed class PersistenceTests : IDisposable
{
    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void Snapshot_TakenUnderLoad_LoadsAfterRestart()
    {
        RedisServer server = _lab.StartServer();
        using RespConnection client = _lab.Connect();
        client.Call("DEBUG", "POPULATE", 200_000, "key", 100);
        UnderLoad(() =>
        {
            for (int i = 0; i < 3; i++)
            {
                client.Call("BGSAVE");
                WaitUntilSaved(client, "rdb_bgsave_in_progress");
                Assert.Equal("ok", RedisServer.Info(client, "rdb_last_bgsave_status"));
            }
        });
        client.Call("BGSAVE");
        WaitUntilSaved(client, "rdb_bgsave_in_progress");
        AssertSameAfterRestart(server, client);
    }

    [Fact]
    public void AppendOnlyFile_RewrittenUnderLoad_LoadsAfterRestart()
    {
        string[] options = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"];
        RedisServer server = _lab.StartServer(options);
        using RespConnection client = _lab.Connect();
        client.Call("DEBUG", "POPULATE", 100_000, "key", 100);
        UnderLoad(() =>
        {
            for (int i = 0; i < 2; i++)
            {
                client.Call("BGREWRITEAOF");
                RedisServer.WaitForInfo(client, "aof_rewrite_scheduled", value => value == "0");
                WaitUntilSaved(client, "aof_rewrite_in_progress");
                Assert.Equal("ok", RedisServer.Info(client, "aof_last_bgrewrite_status"));
            }
        });
        AssertSameAfterRestart(server, client, options);
    }

    private static void WaitUntilSaved(RespConnection client, string field) =>
        RedisServer.WaitForInfo(client, field, value => value == "0");

    private void AssertSameAfterRestart(RedisServer server, RespConnection client, params string[] options)
    {
        string digest = client.Text("DEBUG", "DIGEST");
        Assert.NotEqual(new string('0', 40), digest);
        server.Kill();
        _lab.StartServer(options);
        using RespConnection again = _lab.Connect();
        Assert.Equal(digest, again.Text("DEBUG", "DIGEST"));
    }

    /// <summary>Runs an action while eight clients write, and checks that no write was lost.</summary>
    private void UnderLoad(Action action)
    {
        using var stop = new CancellationTokenSource();
        Task<long>[] writers = new Task<long>[8];
        for (int i = 0; i < writers.Length; i++)
        {
            string key = "counter:" + i;
            RespConnection writer = _lab.Connect();
            writers[i] = Task.Factory.StartNew(
                () => Write(writer, key, stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        try
        {
            action();
        }
        finally
        {
            stop.Cancel();
            Task.WaitAll(writers);
        }

        using RespConnection reader = _lab.Connect();
        for (int i = 0; i < writers.Length; i++)
        {
            Assert.True(writers[i].Result > 0);
            Assert.Equal(writers[i].Result, long.Parse(reader.Text("GET", "counter:" + i), null));
        }
    }

    private static long Write(RespConnection client, string key, CancellationToken stop)
    {
        long count = 0;
        while (!stop.IsCancellationRequested)
        {
            Assert.Equal(++count, client.Call("INCR", key));
        }

        return count;
    }
}
