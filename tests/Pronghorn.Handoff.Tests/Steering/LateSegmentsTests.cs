// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Moves;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>
/// Copies of what a client has sent before come to the node that it knows at every step of a move and afterwards: there is always
/// somebody who knows the connection, and nobody says that there is none.
/// </summary>
public sealed class LateSegmentsTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task OldSegmentsCome_AtEveryStep_TheClientHearsNoReset(bool isIpv6)
    {
        using var wire = new ClientWire(world.Client);
        using var journey = new Journey(world, isIpv6);
        (HandoffWorld.Node from, HandoffWorld.Node to) = (world.Nodes[0], world.Nodes[1]);
        await MoveScene.AssertTalksAsync(journey.Client, journey.Server);
        await MoveScene.AssertTalksAsync(journey.Client, journey.Server);
        bool IsOld(WireSegment one) => one.Source == journey.Remote && (one.Length > 0 || one.IsBareAck);
        await SceneBytes.WaitAsync(() => wire.Segments.Count(IsOld) >= 3, "the client's segments");
        byte[][] old = [.. wire.Segments.Where(IsOld).Select(static one => one.Copy())];
        Assert.Contains(wire.Segments, one => IsOld(one) && one.IsBareAck);
        int steps = 0;
        journey.WhenSaid = message =>
        {
            // Held, read out and not sent on yet; sent on to a socket that is silent; the new owner works and the old socket is there.
            if (message is Transfer or Restored or Commit or Live)
            {
                SteeringCounter counter = message is Transfer or Restored ? SteeringCounter.Held : SteeringCounter.Redirected;
                SendAll(wire, old, () => from.Layer.Read(counter));
                steps++;
            }
        };

        await journey.MoveAsync(to);
        Assert.Equal(4, steps);
        SendAll(wire, old, () => from.Layer.Read(SteeringCounter.Redirected));
        await MoveScene.AssertTalksAsync(journey.Client, journey.Server);

        await EndAsync(journey);
        Assert.Equal(0, from.Layer.Tables.Bury(journey.Known, journey.Remote, journey.Stay));
        WithoutResetsOfTheClient(isIpv6, () =>
        {
            int answers = CountFromServer(wire, journey);
            SendAll(wire, old, () => from.Layer.Read(SteeringCounter.Redirected));
            Assert.True(SpinWait.SpinUntil(() => CountFromServer(wire, journey) > answers, 20_000), "TIME-WAIT says nothing");
            SendAll(wire, old, () => from.Layer.Read(SteeringCounter.Redirected));
        });

        // What they may have answered has come before what they say to others.
        PassBy(isIpv6, from);
        PassBy(isIpv6, to);
        Assert.DoesNotContain(wire.Segments, static one => one.IsReset);
    }

    /// <summary>The server ends first: its TIME-WAIT is at the new owner, and answers what comes late.</summary>
    private static async Task EndAsync(Journey journey)
    {
        journey.Server.Shutdown(SocketShutdown.Send);
        await SceneBytes.AssertEndsWithAsync(default, journey.Client);
        journey.Client.Shutdown(SocketShutdown.Send);
        await SceneBytes.WaitForStateAsync(journey.Server, KernelTcpState.Closed);
    }

    /// <summary>The client has no socket any more: its kernel would end the TIME-WAIT that answers it (RFC 1337).</summary>
    private void WithoutResetsOfTheClient(bool isIpv6, Action act)
    {
        string command = isIpv6 ? "ip6tables" : "iptables";
        string[] rule = ["OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"];
        world.Client.Run(command, ["-A", .. rule]);
        try
        {
            act();
        }
        finally
        {
            world.Client.Run(command, ["-D", .. rule]);
        }
    }

    private static int CountFromServer(ClientWire wire, Journey journey) => wire.Segments.Count(one => one.Source == journey.Known);

    /// <summary>Sends them, and waits until as many more have been counted.</summary>
    private static void SendAll(ClientWire wire, byte[][] frames, Func<ulong> count)
    {
        ulong before = count();
        foreach (byte[] frame in frames)
        {
            wire.Send(frame);
        }

        bool isDone = SpinWait.SpinUntil(() => count() >= before + (ulong)frames.Length, 20_000);
        Assert.True(isDone, $"{count() - before} of {frames.Length} are counted");
    }

    private void PassBy(bool isIpv6, HandoffWorld.Node node)
    {
        const int Port = 8999;
        using Socket listener = node.Listen(isIpv6, Port);
        using Socket client = Journey.Connect(world, node, isIpv6, Port);
        using Socket server = listener.Accept();
    }
}
