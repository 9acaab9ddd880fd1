// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>The clock that the client sees goes on, whoever has the connection (RFC 7323, 4.1): kernels begin each at random.</summary>
public sealed class TimestampTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int Rounds = 10;
    private const uint Quarter = 1u << 30;

    // Milliseconds: more than a test takes, and less than lies between the clocks of two sockets that know nothing of each other.
    private const int LargestStep = 120_000;

    // Two seconds before 0; even, which has the kernel count milliseconds.
    private const uint BeforeTheEnd = unchecked((uint)-2000);

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task ThereAndBack_TimestampsNeverDecrease(bool isIpv6, bool passesZero)
    {
        using var wire = new ClientWire(world.Client);
        using var journey = new Journey(world, isIpv6);
        await MoveScene.AssertTalksAsync(journey.Client, journey.Server);
        if (passesZero)
        {
            await SetClockAsync(journey, BeforeTheEnd);
        }

        // What it sent under another clock has come.
        await AllOfAsync(wire, journey, from: 0, sent: 0);
        int from = wire.Segments.Length;
        (uint least, uint last) = await TalkAsync(wire, journey, from, SentBy(journey));
        journey.WhenSaid = message =>
        {
            if (message is Transfer)
            {
                journey.Client.Send("from the client"u8);
            }
        };
        foreach (HandoffWorld.Node next in (HandoffWorld.Node[])[world.Nodes[1], world.Nodes[0]])
        {
            from = wire.Segments.Length;
            await journey.MoveAsync(next);
            Assert.Equal("from the client"u8.ToArray(), await SceneBytes.ReadAsync(journey.Server, 15));
            uint before = last;
            do
            {
                (least, last) = await TalkAsync(wire, journey, from, sent: 0);
            }
            while (last >= BeforeTheEnd && passesZero);

            // The least may be of the former owner, which said it late: the last is not.
            Assert.InRange((int)(least - before), 0, LargestStep);
            Assert.InRange((int)(last - before), 0, LargestStep);
        }

        Assert.True(!passesZero || last < Quarter);
    }

    /// <summary>In repair Linux tells the clock without its lowest bit: what was sent just before could be later.</summary>
    [Fact]
    public async Task ReadOut_AtOnceAfterASegment_TheClockIsNotEarlierThanThat()
    {
        using var wire = new ClientWire(world.Client);
        using var journey = new Journey(world, isIpv6: false);
        int fd = (int)journey.Server.Handle;
        for (int i = 1; i <= 40; i++)
        {
            journey.Server.Send(new byte[i]);
            Refusal refusal = ConnectionCapture.TryTake(fd, out ConnectionImage? image);
            ConnectionCapture.GiveBack(fd);
            Assert.True(refusal.IsNone, refusal.ToString());
            await SceneBytes.ReadAsync(journey.Client, i);
            bool IsIt(WireSegment one) => one.Source == journey.Known && one.Length == i;
            await wire.WaitAsync(IsIt, "the segment");
            uint sent = wire.Segments.First(IsIt).Timestamp!.Value;
            Assert.InRange((int)(image!.Timestamp - sent), 0, LargestStep);
        }
    }

    /// <summary>Talks for a while, until all that the server's socket has sent has come.</summary>
    /// <param name="wire">Where it comes.</param>
    /// <param name="journey">The connection.</param>
    /// <param name="from">Number of the first segment of the wire that counts.</param>
    /// <param name="sent">How many the socket had sent by then.</param>
    /// <returns>The least timestamp and the last of those that came from the server.</returns>
    private static async Task<(uint Least, uint Last)> TalkAsync(ClientWire wire, Journey journey, int from, uint sent)
    {
        for (int i = 0; i < Rounds; i++)
        {
            await MoveScene.AssertTalksAsync(journey.Client, journey.Server);
        }

        uint[] stamps = [.. (await AllOfAsync(wire, journey, from, sent)).Select(static one => one.Timestamp!.Value)];
        int[] since = [.. stamps.Select(stamp => (int)(stamp - stamps[0]))];
        return (stamps[0] + (uint)since.Min(), stamps[0] + (uint)since.Max());
    }

    private static async Task<WireSegment[]> AllOfAsync(ClientWire wire, Journey journey, int from, uint sent)
    {
        bool IsOf(WireSegment one) => one.Source == journey.Known && (one.Flags & TcpFlags.Syn) == 0;
        WireSegment[] Came() => [.. wire.Segments.Skip(from).Where(IsOf)];
        await SceneBytes.WaitAsync(() => Came().Length >= SentBy(journey) - sent, "what the server has sent");
        return Came();
    }

    private static uint SentBy(Journey journey) => SceneBytes.ReadInformation(journey.Server, SceneBytes.OffsetOfSegmentsSent);

    /// <summary>By steps, as a client does not believe a clock that jumps by half of its numbers or more.</summary>
    private static async Task SetClockAsync(Journey journey, uint wanted)
    {
        int fd = (int)journey.Server.Handle;
        uint now;
        do
        {
            Assert.Equal(0, TcpRepair.Enter(fd));
            Assert.Equal(0, TcpRepair.GetTimestamp(fd, out now));
            now = wanted - now > Quarter ? (now + Quarter) & ~1u : wanted;
            Assert.Equal(0, TcpRepair.SetTimestamp(fd, now));
            Assert.Equal(0, TcpRepair.Leave(fd));
            await MoveScene.AssertTalksAsync(journey.Client, journey.Server);
        }
        while (now != wanted);
    }
}
