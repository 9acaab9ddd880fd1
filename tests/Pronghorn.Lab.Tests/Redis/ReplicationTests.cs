// SPDX-License-Identifier: Apache-2.0
using System;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>A master and a replica on different stacks.</summary>
public sealed class ReplicationTests : IDisposable
{
    private static readonly string[] s_options =
    [
        "--repl-diskless-sync-delay", "0", "--repl-timeout", "3", "--repl-ping-replica-period", "1",
        "--repl-backlog-size", "64mb", "--rdbcompression", "no",
    ];

    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData(Side.Pronghorn, Side.Kernel)]
    [InlineData(Side.Kernel, Side.Pronghorn)]
    [InlineData(Side.Pronghorn, Side.Pronghorn)]
    public void Replica_AfterFullSyncAndCutLink_HasTheMastersData(Side masterSide, Side replicaSide)
    {
        RedisServer master = _lab.StartServer(masterSide, s_options);
        RedisServer other = _lab.StartOther(replicaSide, s_options);

        // Both are asked from their own hosts, so that a cut of the link does not cut these connections.
        using RespConnection writer =
            RespConnection.Connect(_lab.Hosts.Server, TwoHosts.ServerAddress, RedisServer.Port);
        using RespConnection replica = _lab.ConnectToOther();
        writer.Call("DEBUG", "POPULATE", 1000, "key", 100_000);
        Assert.Equal("OK", replica.Text("REPLICAOF", TwoHosts.ServerAddress, RedisServer.Port));
        RedisServer.WaitForInfo(replica, "master_link_status", value => value == "up");
        AssertSame(writer, replica);
        Assert.Equal("1", RedisServer.Info(writer, "sync_full"));
        if (masterSide == Side.Pronghorn)
        {
            Assert.InRange(master.ReadCounter("bytes_out", writer), 100_000_000, long.MaxValue);
        }

        if (replicaSide == Side.Pronghorn)
        {
            Assert.InRange(other.ReadCounter("bytes_in", replica), 100_000_000, long.MaxValue);
        }

        NetworkNamespace cut = masterSide == Side.Kernel ? _lab.Hosts.Server : _lab.Hosts.Client;
        Cut(cut, replicaSide == Side.Pronghorn && masterSide == Side.Pronghorn);
        RedisServer.WaitForInfo(replica, "master_link_status", value => value == "down");
        for (int i = 0; i < 1000; i++)
        {
            writer.Call("SET", "while cut " + i, new byte[10_000]);
        }

        Mend(cut);
        RedisServer.WaitForInfo(replica, "master_link_status", value => value == "up");
        AssertSame(writer, replica);
        Assert.Equal("1", RedisServer.Info(writer, "sync_full"));
        Assert.Equal("1", RedisServer.Info(writer, "sync_partial_ok"));
        Assert.False(master.HasEnded || other.HasEnded);
    }

    private static void AssertSame(RespConnection master, RespConnection replica)
    {
        Assert.Equal(1L, master.Call("WAIT", 1, 60_000));
        Assert.Equal(master.Text("DEBUG", "DIGEST"), replica.Text("DEBUG", "DIGEST"));
    }

    /// <summary>
    /// Cuts the link. The kernel's stack is cut by its firewall; where Pronghorn is on both sides, the interface goes down.
    /// </summary>
    private static void Cut(NetworkNamespace place, bool byLink)
    {
        if (byLink)
        {
            place.Run("ip", "link", "set", TwoHosts.Interface, "down");
            return;
        }

        place.Run("iptables", "-A", "INPUT", "-i", TwoHosts.Interface, "-j", "DROP");
        place.Run("iptables", "-A", "OUTPUT", "-o", TwoHosts.Interface, "-j", "DROP");
    }

    private static void Mend(NetworkNamespace place)
    {
        place.Run("ip", "link", "set", TwoHosts.Interface, "up");
        place.Run("iptables", "-F");
    }
}
