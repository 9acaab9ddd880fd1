// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>
/// A client is gone without a word: what its server set to notice that holds at the new owner, and all that there is of it goes.
/// </summary>
public sealed class SilentClientTests
{
    private const int SocketLevel = 1;

    // Level, name and value, as tcp(7) and socket(7) have them.
    private static readonly (int Level, int Name, int Value)[] s_keepAlive =
    [
        (SocketLevel, 9, 1), // SO_KEEPALIVE
        (TcpRepair.Level, 4, 1), // TCP_KEEPIDLE
        (TcpRepair.Level, 5, 1), // TCP_KEEPINTVL
        (TcpRepair.Level, 6, 2), // TCP_KEEPCNT
    ];

    private const int UserTimeout = 18; // TCP_USER_TIMEOUT

    private static readonly bool s_isLong = Environment.GetEnvironmentVariable("PRONGHORN_LONG_TESTS") == "1";

    [Theory]
    [InlineData(0)]
    [InlineData(2500)]
    public async Task ClientIsGoneWithoutAWord_AfterTheMove_KeepAliveEndsItAndAllEntriesVanish(int userTimeout)
    {
        (int Level, int Name, int Value)[] set = [.. s_keepAlive, (TcpRepair.Level, UserTimeout, userTimeout)];
        await using WorkerScene scene = await WorkerScene.StartAsync(new DaemonWorld());
        (Socket client, Socket server) = await scene.ConnectAsync(0);
        foreach ((int level, int name, int value) in set)
        {
            Assert.Equal(0, Libc.SetSocketOption((int)server.Handle, level, name, value));
        }

        Socket moved = await scene.MoveAsync(server, 0, 1);
        foreach ((int level, int name, int value) in set)
        {
            Assert.Equal(0, Libc.GetSocketOption((int)moved.Handle, level, name, out int there, out _));
            Assert.Equal((level, name, value), (level, name, there));
        }

        await WorkerScene.AssertCarriesAsync(client, moved, 10_000, seed: 1);
        int port = ((IPEndPoint)client.LocalEndPoint!).Port;

        // Its neighbours are still found, so that nothing but TCP's own patience ends the connection.
        scene.World.Client.Run("iptables", "-A", "INPUT", "-p", "tcp", "-j", "DROP");
        scene.World.Client.Run("iptables", "-A", "OUTPUT", "-p", "tcp", "-j", "DROP");

        SocketException ended = await Assert.ThrowsAsync<SocketException>(
            () => moved.ReceiveAsync(new byte[1]).WaitAsync(TimeSpan.FromSeconds(90)));
        Assert.Equal(SocketError.TimedOut, ended.SocketErrorCode);
        moved.Dispose();
        await WorkerScene.SoonAsync(
            async () => scene.World.CountGiven(0) == 0 && (await scene.World.StatusOfAsync(1)).TakenNow == 0,
            () => scene.World.DescribeAsync(port));

        if (!s_isLong)
        {
            return;
        }

        // What late segments would need is kept as long as a TIME-WAIT, and no longer.
        await WorkerScene.SoonAsync(
            async () => (await scene.World.StatusOfAsync(0)).InboundEntries == 0
                && await scene.World.StatusOfAsync(1) is { InboundEntries: 0, OutboundEntries: 0 },
            () => scene.World.DescribeAsync(port));
    }
}
