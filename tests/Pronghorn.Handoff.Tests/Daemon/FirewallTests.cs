// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>
/// Nodes drop what conntrack finds invalid, both ways, and do not look away (nf_conntrack_tcp_be_liberal): what passes a node by while a
/// connection is elsewhere its conntrack does not see.
/// </summary>
public sealed class FirewallTests
{
    // More than any window, so that numbers are far from those that conntrack has seen when a connection is back.
    private const int Length = 10_000_000;

    /// <summary>Node 0 has the handshake in its conntrack, and so needs not take up what it has not seen from the beginning.</summary>
    [Theory]
    [InlineData("0")]
    [InlineData("1")]
    public async Task InvalidIsDropped_ThereAndBackAndThere_EveryByteArrives(string loose)
    {
        await using WorkerScene scene = await StartAsync();
        scene.World.NodeOf(0).Run("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=" + loose);
        (Socket client, Socket server) = await scene.ConnectAsync(0);
        await WorkerScene.AssertCarriesAsync(client, server, Length, seed: 0);
        int at = 0;
        for (int move = 1; move <= 4; move++)
        {
            server = await scene.MoveAsync(server, at, 1 - at);
            at = 1 - at;
            await WorkerScene.AssertCarriesAsync(client, server, Length, seed: move);
        }
    }

    [Fact]
    public async Task EndsAtItsOwner_TheFirstNodesConntrackForgetsIt_AndThePortIsOfUseAtOnce()
    {
        await using WorkerScene scene = await StartAsync();
        (Socket client, Socket server) = await scene.ConnectAsync(0);
        Socket moved = await scene.MoveAsync(server, 0, 1);
        await WorkerScene.AssertCarriesAsync(client, moved, Length, seed: 1);
        int port = ((IPEndPoint)client.LocalEndPoint!).Port;
        Assert.Contains(" ESTABLISHED ", TrackedOf(scene, 0, port), StringComparison.Ordinal);

        // The client closes last: no TIME-WAIT of its own is in the way of the next one.
        moved.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await client.ReceiveAsync(new byte[1]));
        client.Dispose();
        moved.Dispose();
        await WorkerScene.SoonAsync(
            () => Task.FromResult(TrackedOf(scene, 0, port).Length == 0), () => scene.World.DescribeAsync(port));
        (Socket next, Socket nextServer) = await scene.ConnectAsync(0, port);
        await WorkerScene.AssertCarriesAsync(next, nextServer, Length, seed: 2);
    }

    /// <summary>The first node's kernel says that there is nothing any more, by numbers that its conntrack has not seen come.</summary>
    [Fact]
    public async Task OwnersNodeIsLost_TheResetOfTheFirstNodePassesItsFirewall()
    {
        await using WorkerScene scene = await StartAsync(peerTimeout: 5);
        (Socket client, Socket server) = await scene.ConnectAsync(0);
        Socket moved = await scene.MoveAsync(server, 0, 1);
        await WorkerScene.AssertCarriesAsync(client, moved, Length, seed: 1);
        scene.World.NodeOf(1).Run("ip", "link", "set", BridgedHosts.Interface, "down");
        int port = ((IPEndPoint)client.LocalEndPoint!).Port;
        await WorkerScene.SoonAsync(() => Task.FromResult(scene.World.GivenOf(0).Count == 0), () => scene.World.DescribeAsync(port));
        await client.SendAsync(new byte[1]);
        SocketException told = await Assert.ThrowsAsync<SocketException>(
            () => client.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(SocketError.ConnectionReset, told.SocketErrorCode);
    }

    /// <summary>The line that a node's conntrack has of a client's connection; empty where it has none.</summary>
    private static string TrackedOf(WorkerScene scene, int node, int port)
    {
        string[] lines = NamespaceThread.Run(
            scene.World.NodeOf(node), static () => File.ReadAllLines("/proc/thread-self/net/nf_conntrack"));
        string from = string.Create(CultureInfo.InvariantCulture, $" sport={port} dport={DaemonWorld.Port} ");
        return lines.SingleOrDefault(line => line.Contains(from, StringComparison.Ordinal)) ?? "";
    }

    private static async Task<WorkerScene> StartAsync(int peerTimeout = 30)
    {
        var world = new DaemonWorld(peerTimeout);
        foreach (int node in (int[])[0, 1])
        {
            NetworkNamespace place = world.NodeOf(node);
            place.Run("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=0");
            foreach (string chain in (string[])["INPUT", "OUTPUT"])
            {
                place.Run("iptables", "-A", chain, "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP");
            }
        }

        return await WorkerScene.StartAsync(world);
    }
}
