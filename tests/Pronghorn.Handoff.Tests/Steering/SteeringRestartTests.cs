// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What a daemon that starts makes of what another has left.</summary>
public sealed class SteeringRestartTests
{
    [Fact]
    public void StartedAgain_ConnectionsGivenAwayStay_AndMovesThatNobodyFinishesEnd()
    {
        using var world = new HandoffWorld();
        HandoffWorld.Node node = world.Nodes[0];
        TcpEnd local = node.End(false, 80);
        TcpEnd peer = new(IpAddress.Parse("10.2.0.1"), 1000);
        TcpEnd owner = world.Nodes[1].End(false, 80);
        Assert.Equal(0, node.Layer.Tables.Hold(local, peer, new Stay(1, 1)));
        Assert.Equal(0, node.Layer.Tables.Hold(local, peer with { Port = 1001 }, new Stay(1, 1)));
        Assert.Equal(0, node.Layer.Tables.Redirect(local, peer, owner, node.InterfaceIndex, new Stay(1, 1)));

        NamespaceThread.Run(node.Place, () =>
        {
            Assert.Equal(0, TapDevice.Open("hold%d", out TapDevice? tap));
            using (tap)
            {
                using SteeringLayer layer = SteeringLayer.Start(node.Folder, [node.InterfaceIndex], tap!);
                Assert.Equal((1, 0), layer.Tables.CountEntries());
                Assert.Equal(0, layer.Tables.Bury(local, peer, new Stay(1, 1)));
            }

            return 0;
        });
    }
}
