// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>
/// All hosts believe only what comes by the interface that they would answer by (rp_filter 1), and nodes have a second interface, which
/// is their way to everything that is far: what was held is let go by a device of its own, and must be believed.
/// </summary>
public sealed class ReversePathTests : IDisposable
{
    private readonly HandoffWorld _world = new();

    public ReversePathTests()
    {
        Filter(_world.Client);
        foreach (HandoffWorld.Node node in _world.Nodes)
        {
            node.Place.Run("ip", "link", "add", "second0", "type", "veth", "peer", "name", "second1");
            node.Place.Run("ip", "address", "add", "10.77.0.1/24", "dev", "second0");
            node.Place.Run("ip", "link", "set", "second0", "up");
            node.Place.Run("ip", "link", "set", "second1", "up");
            node.Place.Run("ip", "route", "add", "default", "via", "10.77.0.2");
            Filter(node.Place);
        }
    }

    [Theory]
    [InlineData(typeof(Transfer))]
    [InlineData(typeof(Restored))]
    public async Task MoveIsGivenUp_WhatTheClientSentMeanwhileArrives(Type lost)
    {
        using MoveScene scene = MoveScene.Open(_world, isIpv6: false);
        scene.Lost = lost;
        Task<MoveOutcome> moving = scene.MoveAsync(image =>
        {
            // Now its packets are held.
            SendMeanwhile(scene);
            return image;
        });
        MoveOutcome outcome = await moving;

        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        Assert.True(scene.From.Layer.Read(SteeringCounter.Returned) > 0, "nothing was held");
        await AssertArrivedAsync(scene.Server);
        await scene.AssertTalksAsync(scene.Server);
        AssertAllBelieved();
    }

    [Fact]
    public async Task Moved_WhatTheClientSentMeanwhileArrivesThere()
    {
        using MoveScene scene = MoveScene.Open(_world, isIpv6: false);
        MoveOutcome outcome = await scene.MoveAsync(image =>
        {
            SendMeanwhile(scene);
            return image;
        });

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        Assert.True(scene.From.Layer.Read(SteeringCounter.Held) > 0, "nothing was held");
        (Socket moved, _) = await scene.TakenAsync();
        await AssertArrivedAsync(moved);
        await scene.AssertTalksAsync(moved);
        AssertAllBelieved();
    }

    public void Dispose() => _world.Dispose();

    private static void Filter(NetworkNamespace place)
    {
        foreach (string which in (string[])["all", "default", HandoffWorld.Interface])
        {
            place.Run("sysctl", "-qw", $"net.ipv4.conf.{which}.rp_filter=1");
        }
    }

    // What is dropped comes again: only the kernel's count says that it was dropped.
    private void AssertAllBelieved()
    {
        foreach (NetworkNamespace place in (NetworkNamespace[])[_world.Client, .. _world.Nodes.Select(static node => node.Place)])
        {
            string[][] lines = [.. NamespaceThread.Run(place, static () => File.ReadAllLines("/proc/thread-self/net/netstat"))
                .Select(static line => line.Split(' ')).Where(static words => words[0] == "TcpExt:")];
            Assert.Equal("0", lines[1][Array.IndexOf(lines[0], "IPReversePathFilter")]);
        }
    }

    /// <summary>Sends, and waits until it is held.</summary>
    private static void SendMeanwhile(MoveScene scene)
    {
        ulong before = scene.From.Layer.Read(SteeringCounter.Held);
        scene.Client.Send("meanwhile"u8);
        for (long end = Environment.TickCount64 + 30_000; scene.From.Layer.Read(SteeringCounter.Held) == before;)
        {
            Assert.True(Environment.TickCount64 < end, "what the client sends is not held");
        }
    }

    private static async Task AssertArrivedAsync(Socket server)
    {
        byte[] buffer = new byte[100];
        Assert.Equal(9, await server.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal("meanwhile"u8, buffer.AsSpan(0, 9));
    }
}
