// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>The server has not read for long: its queue is full, and the client may send nothing.</summary>
public sealed class ShutWindowTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int Length = 40_000_000; // More than both ends' buffers grow to.
    private const int Behind = 3_000_000;
    private const int SocketLevel = 1;
    private const int ReceiveBuffer = 8; // SO_RCVBUF

    /// <summary>A window must not shrink (RFC 9293, 3.8.6): what the client may send needs room also where buffers are small.</summary>
    [Theory]
    [InlineData(false, null)]
    [InlineData(true, null)]
    [InlineData(false, "4096 8192 16384")]
    [InlineData(true, "4096 8192 16384")]
    public async Task ServersQueueIsFull_Moved_EveryByteArrivesAndTheWindowOpens(bool isIpv6, string? targetsBuffers)
    {
        using Setting? small = targetsBuffers is null ? null : new Setting(world.Nodes[1].Place, "net.ipv4.tcp_rmem", targetsBuffers);
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        byte[] bytes = SceneBytes.Random(Length, 1);
        int written = 0;
        await SceneBytes.WaitAsync(
            () => (written += SceneBytes.Fill(scene.Client, bytes.AsSpan(written))) == 0 | WindowOf(scene.Client) == 0, "a shut window");
        Assert.InRange(written, 1, Length - Behind);
        int room = RoomOf(scene.Server);

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.InRange(image.ReceiveQueue.Length, 1, written - 1);
        Assert.Equal(0u, image.Window.RcvWnd);
        Assert.InRange(RoomOf(moved), room, int.MaxValue);
        Task<byte[]> reading = SceneBytes.ReadAsync(moved, written + Behind);
        await SceneBytes.WriteAsync(scene.Client, bytes.AsMemory(written, Behind));
        Assert.Equal(bytes[..(written + Behind)], await reading);
        await SceneBytes.WaitAsync(() => WindowOf(scene.Client) > 0, "an open window");
        await scene.AssertTalksAsync(moved);
    }

    /// <summary>Nothing waits to be read, and so nothing but the buffer that it had makes room.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServersBufferHasGrown_MovedWhereTheyAreSmall_ItIsAsLarge(bool isIpv6)
    {
        using var small = new Setting(world.Nodes[1].Place, "net.ipv4.tcp_rmem", "4096 8192 16384");
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        int first = RoomOf(scene.Server);
        for (int i = 0; i < 30 && RoomOf(scene.Server) == first; i++)
        {
            await SceneBytes.AssertCarriesAsync(scene.Client, scene.Server);
        }

        int room = RoomOf(scene.Server);
        Assert.InRange(room, first + 1, int.MaxValue);

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.Equal(0, image.ReceiveQueue.Length);
        Assert.InRange(RoomOf(moved), room, int.MaxValue);
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
    }

    private static uint WindowOf(Socket socket) => SceneBytes.ReadInformation(socket, SceneBytes.OffsetOfSendWindow);

    private static int RoomOf(Socket socket)
    {
        Assert.Equal(0, Libc.GetSocketOption((int)socket.Handle, SocketLevel, ReceiveBuffer, out int bytes, out _));
        return bytes;
    }
}
