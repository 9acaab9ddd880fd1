// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>The MTU between nodes is lowered under daemons that run: no ICMP error tells of it, as the link itself drops.</summary>
public sealed class LoweredMtuTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly DaemonWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task OfTheOtherNode_ConnectionsStay_UntilAnotherStreamIsFound_AndMoveThen()
    {
        _world.StartDaemon(0);
        _world.StartDaemon(1);
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        foreach (int node in (int[])[0, 1])
        {
            // A veth pair lets through what is segmented later, whatever its length.
            _world.NodeOf(node).Run("ethtool", "-K", BridgedHosts.Interface, "gso", "off", "tso", "off");
        }

        _world.NodeOf(1).Run("ip", "link", "set", BridgedHosts.Interface, "mtu", "1280");

        // Its image is larger than a packet: what it has not read goes along.
        string[] names = [.. Enumerable.Range(0, 40).Select(static number => $"1.{number}-{new string('x', 90)}")];
        var time = Stopwatch.StartNew();
        bool hasStayed = false;
        for (bool hasMoved = false; !hasMoved;)
        {
            Assert.True(time.Elapsed < s_patience, "no connection moves any more");
            using StreamReaderWriter client = _world.Connect(0);
            await client.SendAsync(string.Concat(names.Select(static name => $"get {name}\n")));
            foreach (string name in names)
            {
                string? answer = await client.ReadAsync();
                hasMoved = answer == $"{name} from 1.0";
                hasStayed |= answer == $"{name} from 0.0";
                Assert.True(hasMoved || hasStayed, answer);
            }
        }

        // What was too large for the way was lost.
        Assert.True(hasStayed);
        Assert.True((await _world.StatusOfAsync(0)).Refused["Peer"] > 0);
    }
}
