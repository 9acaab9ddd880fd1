// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>Several segments of one client wait for the end of a move.</summary>
public sealed class HeldOrderTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int Count = 8; // Less than a client may send at once (RFC 6928).
    private const int Length = 500;

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task ManySegmentsAreHeld_TheyComeInTheirOrder_AndOnesThatCameTwiceDoNoHarm(bool isIpv6, bool comeTwice)
    {
        // On a busy machine one processor can overtake another within the kernel, which is as on any wire.
        uint outOfOrder = 1;
        for (int attempt = 0; attempt < 5 && outOfOrder > 0; attempt++)
        {
            outOfOrder = await MoveAsync(isIpv6, comeTwice);
        }

        Assert.Equal(0u, outOfOrder);
    }

    private async Task<uint> MoveAsync(bool isIpv6, bool comeTwice)
    {
        using var wire = new ClientWire(world.Client);
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        await scene.AssertTalksAsync(scene.Server);
        byte[] bytes = SceneBytes.Random(Count * Length, 1);
        MoveOutcome outcome = await scene.MoveAsync(image =>
        {
            // The connection is read out of its socket.
            ulong held = scene.From.Layer.Read(SteeringCounter.Held);
            foreach (byte[] part in bytes.Chunk(Length))
            {
                Assert.Equal(Length, scene.Client.Send(part));
            }

            Assert.True(SpinWait.SpinUntil(() => Sent(wire, scene).Length >= Count, 20_000), "too few segments");
            byte[][] again = comeTwice ? [.. Sent(wire, scene).Select(static one => one.Copy())] : [];
            Array.ForEach(again, frame => wire.Send(frame));
            ulong all = held + (ulong)(Count + again.Length);
            Assert.True(SpinWait.SpinUntil(() => scene.From.Layer.Read(SteeringCounter.Held) >= all, 20_000), "too few are held");
            return image;
        });
        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        (Socket moved, _) = await scene.TakenAsync();
        Assert.Equal(bytes, await SceneBytes.ReadAsync(moved, bytes.Length));
        uint outOfOrder = SceneBytes.ReadInformation(moved, SceneBytes.OffsetOfOutOfOrder);
        await scene.AssertTalksAsync(moved);
        Assert.Equal(0, moved.Available);
        return outOfOrder;
    }

    private static WireSegment[] Sent(ClientWire wire, MoveScene scene) =>
        [.. wire.Segments.Where(one => one.Destination.Port == scene.Port && one.Length == Length)];
}
