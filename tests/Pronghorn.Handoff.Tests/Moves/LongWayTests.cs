// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Tests.RandomMoves;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>
/// A client 20 ms away, by 200 Mbit/s. No kernel takes a congestion window: a connection that has moved begins with slow start, as one
/// that was just made does.
/// </summary>
public sealed class LongWayTests(HandoffWorld world, ITestOutputHelper output) : IClassFixture<HandoffWorld>
{
    private const int ClientNumber = 40;
    private const int TcpLevel = 6;
    private const int CongestionControl = 13; // TCP_CONGESTION
    private const int Length = 4_000_000;
    private const int InitialWindow = 10; // RFC 6928

    [Fact]
    public async Task Moved_ItsWindowGrowsAsThatOfANewConnection_AndEveryByteArrives()
    {
        (NetworkNamespace client, NetworkNamespace way) = world.AddClientBehindCable(ClientNumber);
        using var cable = Cable.Start(way, "delay=10000 rate=200 queue=1000", seed: 1);
        using MoveScene scene = MoveScene.Open(world, isIpv6: false, client);
        Assert.Equal(0, Libc.SetSocketOption((int)scene.Server.Handle, TcpLevel, CongestionControl, "cubic"u8));
        TimeSpan first = await CarryAsync(scene.Server, scene.Client);
        TimeSpan settled = await CarryAsync(scene.Server, scene.Client);

        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        (Socket moved, _) = await scene.TakenAsync();
        Assert.Equal(0, TcpInformation.Query((int)moved.Handle, out TcpInformation begun));
        TimeSpan after = await CarryAsync(moved, scene.Client);
        Assert.Equal(0, TcpInformation.Query((int)moved.Handle, out TcpInformation grown));
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Length} bytes: new {first.TotalMilliseconds:0} ms, settled {settled.TotalMilliseconds:0} ms, "
            + $"moved {after.TotalMilliseconds:0} ms; window {begun.CongestionWindow} to {grown.CongestionWindow} segments"));
        Assert.InRange<uint>(begun.CongestionWindow, 1, InitialWindow + 2);
        Assert.True(grown.CongestionWindow > 4 * InitialWindow, $"the window is {grown.CongestionWindow}");
    }

    private static async Task<TimeSpan> CarryAsync(Socket from, Socket to)
    {
        byte[] sent = SceneBytes.Random(Length, seed: 3);
        long began = Stopwatch.GetTimestamp();
        Task sending = SceneBytes.WriteAsync(from, sent);
        byte[] read = await SceneBytes.ReadAsync(to, Length);
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        await sending;
        Assert.True(sent.AsSpan().SequenceEqual(read));
        return took;
    }
}
