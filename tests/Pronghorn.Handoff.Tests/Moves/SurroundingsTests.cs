// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>What nodes and clients may be set to: moves work all the same.</summary>
public sealed class SurroundingsTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int Large = 1_500_000;
    private const int NotSentLimit = 25; // TCP_NOTSENT_LOWAT

    /// <summary>What a cookie does not carry was not negotiated, and must not be restored.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task ListenerUsesSynCookies_OptionsAreThoseOfTheConnection(int timestamps)
    {
        using var cookies = new Setting(world.Nodes[0].Place, "net.ipv4.tcp_syncookies", "2");
        using var clocks = new Setting(world.Client, "net.ipv4.tcp_timestamps", timestamps.ToString(CultureInfo.InvariantCulture));
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        Assert.Equal(0, TcpInformation.Query((int)scene.Server.Handle, out TcpInformation before));

        (Socket moved, _) = await SceneBytes.MoveAsync(scene);

        Assert.Equal(0, TcpInformation.Query((int)moved.Handle, out TcpInformation after));
        const TcpNegotiated Kept = TcpNegotiated.Timestamps | TcpNegotiated.Sack | TcpNegotiated.WindowScale;
        Assert.Equal(before.Negotiated & Kept, after.Negotiated & Kept);
        Assert.Equal((before.SendScale, before.ReceiveScale), (after.SendScale, after.ReceiveScale));
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
    }

    /// <summary>RFC 7323, 5: a segment whose timestamp is older than the last one is thrown away by the client.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Timestamps_GoOn_NoSegmentIsOldToTheClient(bool isIpv6)
    {
        long old = CountOld();
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        await scene.AssertTalksAsync(scene.Server);

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.Equal(0, TcpRepair.GetTimestamp((int)moved.Handle, out uint now));
        Assert.InRange((int)(now - image.Timestamp), 0, 60_000_000);
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
        Assert.Equal(old, CountOld());
    }

    [Theory]
    [InlineData("tx")]
    [InlineData("gso")]
    [InlineData("gro")]
    public async Task Offload_IsOff_EveryByteArrives(string offload)
    {
        using var nodes = new Offload(world, offload);
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        (Socket moved, _) = await SceneBytes.MoveAsync(scene);
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
    }

    [Fact]
    public async Task ReversePath_IsFilteredStrictly_EveryByteArrives()
    {
        using var first = new Setting(world.Nodes[0].Place, "net.ipv4.conf.all.rp_filter", "1");
        using var second = new Setting(world.Nodes[1].Place, "net.ipv4.conf.all.rp_filter", "1");
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        (Socket moved, _) = await SceneBytes.MoveAsync(scene);
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
    }

    /// <summary>The target's firewall sees a connection in its middle, which conntrack takes up unless it is told not to.</summary>
    [Fact]
    public async Task TargetDropsWhatConntrackFindsInvalid_EveryByteArrives()
    {
        NetworkNamespace target = world.Nodes[1].Place;
        string[] rule = ["INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"];
        target.Run("iptables", ["-A", .. rule]);
        try
        {
            using MoveScene scene = MoveScene.Open(world, isIpv6: false);
            (Socket moved, _) = await SceneBytes.MoveAsync(scene);
            await SceneBytes.AssertCarriesAsync(scene.Client, moved);
        }
        finally
        {
            target.Run("iptables", ["-D", .. rule]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ClientDoesNotRead_MovedWithItsWindowShut_EveryByteArrivesWhenItDoes(bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        byte[] all = new byte[Large];
        new Random(5).NextBytes(all);
        int written = Fill(scene, all);

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.True(image.Unsent > 0, "everything was sent");
        Task<byte[]> reading = SceneBytes.ReadAsync(scene.Client, all.Length);
        await SceneBytes.WriteAsync(moved, all.AsMemory(written));
        Assert.Equal(all, await reading);
    }

    /// <summary>Small segments need many times their length in the send buffer; a limit of what is not sent stands in the way.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(16_384)]
    public async Task ClientHasASmallWindow_MuchIsUnsent_EveryByteArrives(int notSentLimit)
    {
        using var small = new Setting(world.Client, "net.ipv4.tcp_rmem", "2304 2304 2304");
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        byte[] all = new byte[Large / 4];
        new Random(6).NextBytes(all);
        int written = Fill(scene, all);
        Assert.Equal(0, Libc.SetSocketOption((int)scene.Server.Handle, TcpRepair.Level, NotSentLimit, notSentLimit));

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.True(image.Unsent > 16_384, $"{image.Unsent} bytes were not sent");
        Assert.Equal(0, Libc.GetSocketOption((int)moved.Handle, TcpRepair.Level, NotSentLimit, out int limit, out _));
        Assert.Equal(notSentLimit, limit);
        Task<byte[]> reading = SceneBytes.ReadAsync(scene.Client, all.Length);
        await SceneBytes.WriteAsync(moved, all.AsMemory(written));
        Assert.Equal(all, await reading);
    }

    /// <summary>Retransmissions and probes of a socket in repair: its timers run on, and the peer must not hear them.</summary>
    [Fact]
    public async Task FreezeIsLong_TheFrozenSocketSaysNothing()
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        Fill(scene, new byte[Large]);
        HandoffWorld.Node node = scene.From;
        TcpEnd local = node.End(false, (ushort)scene.Port);
        Assert.Equal(0, TcpSocket.GetRemote((int)scene.Server.Handle, out TcpEnd remote));
        Assert.Equal(0, node.Layer.Tables.Hold(local, remote, new Stay(1, 1)));
        Assert.True(ConnectionCapture.TryTake((int)scene.Server.Handle, out _).IsNone);
        ulong stopped = node.Layer.Read(SteeringCounter.DropOwn);

        // What had left before packets were held has arrived when its timers have run, a retransmission timeout later.
        await TimersHaveRunAsync(node, stopped + 2);
        long heard = CountSegments();
        await TimersHaveRunAsync(node, stopped + 4);
        Assert.Equal(heard, CountSegments());
        ConnectionCapture.GiveBack((int)scene.Server.Handle);
        Assert.Equal(0, node.Layer.Tables.Forget(local, remote));
        node.Hold.Replay();
    }

    private static async Task TimersHaveRunAsync(HandoffWorld.Node node, ulong stopped)
    {
        for (long end = Environment.TickCount64 + 30_000; node.Layer.Read(SteeringCounter.DropOwn) < stopped; await Task.Delay(5))
        {
            Assert.True(Environment.TickCount64 < end, "its timers do not run");
        }
    }

    private static int Fill(MoveScene scene, byte[] all)
    {
        scene.Client.ReceiveBufferSize = 4096;
        return SceneBytes.Fill(scene.Server, all);
    }

    private long CountOld() => ReadCounter("/proc/thread-self/net/netstat", "TcpExt:", "PAWSEstab");

    private long CountSegments() => ReadCounter("/proc/thread-self/net/snmp", "Tcp:", "InSegs");

    private long ReadCounter(string file, string group, string name)
    {
        string[][] lines = [.. NamespaceThread.Run(world.Client, () => File.ReadAllLines(file))
            .Select(static line => line.Split(' ')).Where(words => words[0] == group)];
        return long.Parse(lines[1][Array.IndexOf(lines[0], name)], CultureInfo.InvariantCulture);
    }

    /// <summary>An offload of both nodes' interfaces that is off for a while.</summary>
    private sealed class Offload : IDisposable
    {
        private readonly HandoffWorld _world;
        private readonly string _name;

        public Offload(HandoffWorld world, string name)
        {
            (_world, _name) = (world, name);
            Set("off");
        }

        public void Dispose() => Set("on");

        private void Set(string state)
        {
            foreach (HandoffWorld.Node node in _world.Nodes)
            {
                node.Place.Run("ethtool", "-K", HandoffWorld.Interface, _name, state);
            }
        }
    }
}
