// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>redis-sentinel: it watches a master over the stack, and makes the replica the master when that dies.</summary>
public sealed class SentinelTests : IDisposable
{
    private const int SentinelPort = 26379;

    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData(Side.Pronghorn)]
    [InlineData(Side.Kernel)]
    public void Sentinel_MasterKilled_ReplicaIsPromoted(Side masterSide)
    {
        string[] options = ["--repl-diskless-sync-delay", "0"];
        RedisServer master = _lab.StartServer(masterSide, options);
        _lab.StartOther(Side.Kernel, options);
        RespConnection replica = _lab.ConnectToOther();
        using (RespConnection writer = RespConnection.Connect(_lab.Hosts.Server, TwoHosts.ServerAddress, RedisServer.Port))
        {
            replica.Text("REPLICAOF", TwoHosts.ServerAddress, RedisServer.Port);
            RedisServer.WaitForInfo(replica, "master_link_status", value => value == "up");
            writer.Call("SET", "k", "v");
            Assert.Equal("1", writer.Text("WAIT", 1, 20_000));
        }

        // On the client's host beside the replica: on the kernel when the master is ours, on the stack when it is not.
        Side sentinelSide = masterSide == Side.Pronghorn ? Side.Kernel : Side.Pronghorn;
        using LabProgram sentinel = StartSentinel(sentinelSide);
        using RespConnection asked = RespConnection.Connect(_lab.Hosts.Client, "127.0.0.1", SentinelPort);
        WaitForSentinel(asked, "num-slaves", "1");
        master.Kill();
        WaitForSentinel(asked, "ip", TwoHosts.ClientAddress);

        // Its old clients were sent away when it was promoted.
        RespConnection promoted = _lab.ConnectToOther();
        Assert.Equal("master", RedisServer.Info(promoted, "role"));
        Assert.Equal("v", promoted.Text("GET", "k"));
        Assert.Equal("OK", promoted.Text("SET", "k", "w"));
    }

    private LabProgram StartSentinel(Side side)
    {
        string directory = Directory.CreateDirectory(Path.Combine(_lab.ClientDirectory, "sentinel")).FullName;
        string configuration = Path.Combine(directory, "sentinel.conf");
        File.WriteAllText(
            configuration,
            $"""
            port {SentinelPort}
            bind 127.0.0.1
            dir {directory}
            sentinel monitor m {TwoHosts.ServerAddress} {RedisServer.Port} 1
            sentinel down-after-milliseconds m 1500
            sentinel failover-timeout m 10000

            """);
        return LabProgram.Start(
            _lab.Hosts.Client, "redis-server", [configuration, "--sentinel"], Product.Options(side, directory), "+monitor master m");
    }

    // There is no event for what a sentinel has found out; it looks by its own timer.
    private static void WaitForSentinel(RespConnection sentinel, string field, string expected)
    {
        DateTime end = DateTime.UtcNow.AddSeconds(60);
        while (!Describe(sentinel).Contains((field, expected)))
        {
            Assert.True(DateTime.UtcNow < end, $"{field} never becomes {expected}");
        }
    }

    private static HashSet<(string, string)> Describe(RespConnection sentinel)
    {
        var words = (object?[])sentinel.Call("SENTINEL", "MASTER", "m")!;
        HashSet<(string, string)> fields = [];
        for (int i = 0; i + 1 < words.Length; i += 2)
        {
            fields.Add((RespConnection.AsText(words[i]), RespConnection.AsText(words[i + 1])));
        }

        return fields;
    }
}
