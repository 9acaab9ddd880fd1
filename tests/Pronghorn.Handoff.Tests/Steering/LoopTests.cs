// SPDX-License-Identifier: Apache-2.0
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Moves;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>An entry that is out of date leads back to where the packet came from.</summary>
public sealed class LoopTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int HopLimit = 255;

    private static ushort s_port = 9500;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task TwoNodesSendToEachOther_OnePacketEnds(bool isIpv6)
    {
        (HandoffWorld.Node a, HandoffWorld.Node b) = (world.Nodes[0], world.Nodes[1]);
        ushort port = s_port++;
        (TcpEnd first, TcpEnd second) = (a.End(isIpv6, port), b.End(isIpv6, port));
        using var wire = new ClientWire(world.Client);
        var frame = new TestFrame
        {
            DestinationMac = Number(a.Mac.ToString()),
            SourceMac = Number(wire.Mac.ToString()),
            Source = new TcpEnd(Pronghorn.Wire.IpAddress.Parse(isIpv6 ? "fd02::1" : "10.2.0.1"), port),
            Destination = first,
            HopLimit = HopLimit,
            Payload = [1, 2, 3],
        };
        (ulong sentOn, ulong dropped) = (SumOf(SteeringCounter.Redirected), SumOf(SteeringCounter.DropHopLimit));
        try
        {
            Assert.Equal(0, a.Layer.Tables.Redirect(first, frame.Source, second, a.InterfaceIndex, new Stay(port, 2)));
            Assert.Equal(0, b.Layer.Tables.Redirect(second, frame.Source, first, b.InterfaceIndex, new Stay(port, 1)));

            wire.Send(frame.Build());
            await SceneBytes.WaitAsync(() => SumOf(SteeringCounter.DropHopLimit) > dropped, "its end");

            Assert.Equal(dropped + 1, SumOf(SteeringCounter.DropHopLimit));
            Assert.Equal(sentOn + HopLimit - 1, SumOf(SteeringCounter.Redirected));
        }
        finally
        {
            a.Layer.Tables.Clear();
            b.Layer.Tables.Clear();
        }
    }

    private static ulong Number(string mac) => System.Convert.ToUInt64(mac.Replace(":", "", System.StringComparison.Ordinal), 16);

    private ulong SumOf(SteeringCounter counter) => world.Nodes[0].Layer.Read(counter) + world.Nodes[1].Layer.Read(counter);
}
