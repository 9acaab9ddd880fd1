// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>Connections of which one end has said its last, or both have.</summary>
public sealed class HalfClosedTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    private const int Large = 600_000;

    /// <summary>The server has only to wait, or to repeat its FIN: there is nothing to move, and its state could not be restored.</summary>
    [Theory]
    [InlineData(KernelTcpState.FinWait2, false)]
    [InlineData(KernelTcpState.FinWait2, true)]
    [InlineData(KernelTcpState.LastAck, false)]
    [InlineData(KernelTcpState.LastAck, true)]
    [InlineData(KernelTcpState.Closing, false)]
    [InlineData(KernelTcpState.Closing, true)]
    public async Task ServerHasShutAndNeedNotSendMore_MoveIsRefused_AndEveryByteArrives(KernelTcpState state, bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        (byte[] up, byte[] down) = (SceneBytes.Random(5000, 1), SceneBytes.Random(Large, 2));
        int written = state == KernelTcpState.FinWait2 ? 0 : Fill(scene, down);
        await SceneBytes.WriteAsync(scene.Client, up);
        if (state == KernelTcpState.LastAck)
        {
            scene.Client.Shutdown(SocketShutdown.Send);
            await SceneBytes.WaitForStateAsync(scene.Server, KernelTcpState.CloseWait);
        }

        scene.Server.Shutdown(SocketShutdown.Send);
        if (state == KernelTcpState.Closing)
        {
            scene.Client.Shutdown(SocketShutdown.Send);
        }

        await SceneBytes.WaitForStateAsync(scene.Server, state);
        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        AssertRefusedForItsState(scene, outcome.Refusal, state);
        Assert.Equal(state, SceneBytes.StateOf(scene.Server));
        await SceneBytes.AssertEndsWithAsync(down.AsMemory(0, written), scene.Client);
        if (state == KernelTcpState.FinWait2)
        {
            await SceneBytes.WriteAsync(scene.Client, up);
            scene.Client.Shutdown(SocketShutdown.Send);
            up = [.. up, .. up];
        }

        await SceneBytes.AssertEndsWithAsync(up, scene.Server);
    }

    /// <summary>A socket in TIME-WAIT is one without a connection to whoever still has its descriptor.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task BothHaveShut_TheServerFirst_MoveIsRefused_AndWhatCameIsRead(bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        byte[] up = SceneBytes.Random(5000, 1);
        scene.Server.Shutdown(SocketShutdown.Send);
        await SceneBytes.WriteAsync(scene.Client, up);
        scene.Client.Shutdown(SocketShutdown.Send);
        await SceneBytes.WaitForStateAsync(scene.Server, KernelTcpState.Closed);
        string local = string.Create(CultureInfo.InvariantCulture, $"( sport = :{scene.Port} )");
        Assert.Contains("TIME-WAIT", scene.From.Place.Run("ss", "-tano", local), StringComparison.Ordinal);

        Refusal refusal = ConnectionCapture.TryTake((int)scene.Server.Handle, out ConnectionImage? image);

        Assert.Null(image);
        AssertRefusedForItsState(scene, refusal, KernelTcpState.Closed);
        Assert.False(TcpRepair.IsEntered((int)scene.Server.Handle));
        await SceneBytes.AssertEndsWithAsync(up, scene.Server);
        await SceneBytes.AssertEndsWithAsync(default, scene.Client);
    }

    /// <summary>FIN-WAIT-1: part of what was written is under way, part was never sent, and the FIN is behind it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ServerHasShutBehindUnsentBytes_Moved_EveryByteAndTheEndArrive(bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        byte[] down = SceneBytes.Random(Large, 3);
        await scene.AssertTalksAsync(scene.Server);
        (Socket moved, ConnectionImage image, int written) = await WhileTheClientHearsNothingAsync(scene, isIpv6, async () =>
        {
            int count = SceneBytes.Fill(scene.Server, down);
            scene.Server.Shutdown(SocketShutdown.Send);
            (Socket made, ConnectionImage taken) = await SceneBytes.MoveAsync(scene);
            return (made, taken, count);
        });

        Assert.Equal(KernelTcpState.FinWait1, image.State);
        Assert.InRange(image.Unsent, 1, image.SendQueue.Length - 1);
        byte[] up = SceneBytes.Random(5000, 4);
        await SceneBytes.WriteAsync(scene.Client, up);
        await SceneBytes.AssertEndsWithAsync(down.AsMemory(0, written), scene.Client);
        scene.Client.Shutdown(SocketShutdown.Send);
        await SceneBytes.AssertEndsWithAsync(up, moved);
    }

    /// <summary>CLOSE-WAIT: the client has said all, the server has read half of it and answers.</summary>
    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task ClientHasShut_MovedWithUnreadBytes_EveryByteAndBothEndsArrive(bool isIpv6, bool hasUnsent)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        (byte[] up, byte[] down) = (SceneBytes.Random(20_000, 5), SceneBytes.Random(Large, 6));
        int written = hasUnsent ? Fill(scene, down) : 0;
        await SceneBytes.WriteAsync(scene.Client, up);
        scene.Client.Shutdown(SocketShutdown.Send);
        await SceneBytes.WaitForStateAsync(scene.Server, KernelTcpState.CloseWait);

        // It is not sent again: the new owner has it from the former one only.
        await SceneBytes.WaitForStateAsync(scene.Client, KernelTcpState.FinWait2);
        Assert.Equal(up[..7000], await SceneBytes.ReadAsync(scene.Server, 7000));

        (Socket moved, ConnectionImage image) = await SceneBytes.MoveAsync(scene);

        Assert.Equal(KernelTcpState.CloseWait, image.State);
        Assert.Equal(up[7000..], image.ReceiveQueue.ToArray());
        Assert.Equal(hasUnsent, image.Unsent > 0);
        await SceneBytes.AssertEndsWithAsync(up.AsMemory(7000), moved);
        Task reading = SceneBytes.AssertEndsWithAsync(down, scene.Client);
        await SceneBytes.WriteAsync(moved, down.AsMemory(written));
        moved.Close();
        await reading;
    }

    private static void AssertRefusedForItsState(MoveScene scene, Refusal refusal, KernelTcpState state)
    {
        Assert.Equal(RefusalReason.State, refusal.Reason);
        Assert.Contains(state.ToString(), refusal.ToString(), StringComparison.Ordinal);
        Assert.Equal((0, 0), scene.From.Layer.Tables.CountEntries());
        Assert.Equal((0, 0), scene.To.Layer.Tables.CountEntries());
    }

    /// <summary>Much more than the client has room for: it does not read.</summary>
    private static int Fill(MoveScene scene, byte[] bytes)
    {
        scene.Client.ReceiveBufferSize = 4096;
        int written = SceneBytes.Fill(scene.Server, bytes);
        Assert.NotEqual(0, TcpRepair.GetUnacknowledged((int)scene.Server.Handle));
        return written;
    }

    /// <summary>What is sent to the client meanwhile is lost: it stays unacknowledged.</summary>
    private async Task<T> WhileTheClientHearsNothingAsync<T>(MoveScene scene, bool isIpv6, Func<Task<T>> act)
    {
        string command = isIpv6 ? "ip6tables" : "iptables";
        string port = scene.Port.ToString(CultureInfo.InvariantCulture);
        string[] rule = ["INPUT", "-p", "tcp", "--sport", port, "-j", "DROP"];
        world.Client.Run(command, ["-A", .. rule]);
        try
        {
            return await act();
        }
        finally
        {
            world.Client.Run(command, ["-D", .. rule]);
        }
    }
}
