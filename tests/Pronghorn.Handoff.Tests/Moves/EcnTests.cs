// SPDX-License-Identifier: Apache-2.0
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>That a connection uses ECN cannot be restored: a socket made anew would not tell its client of congestion.</summary>
public sealed class EcnTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    [Theory]
    [InlineData(false, "1")]
    [InlineData(false, "2")]
    [InlineData(true, "2")]
    public async Task ClientUsesEcn_MoveIsRefused_AndTheConnectionWorksOn(bool isIpv6, string servers)
    {
        using var asking = new Setting(world.Client, "net.ipv4.tcp_ecn", "1");
        using var accepting = new Setting(world.Nodes[0].Place, "net.ipv4.tcp_ecn", servers);
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        Assert.Equal(0, TcpInformation.Query((int)scene.Server.Handle, out TcpInformation before));
        Assert.Equal(TcpNegotiated.Ecn, before.Negotiated & TcpNegotiated.Ecn);
        await scene.AssertTalksAsync(scene.Server);

        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        Assert.Equal(RefusalReason.Ecn, outcome.Refusal.Reason);
        Assert.Equal((0, 0), scene.From.Layer.Tables.CountEntries());
        Assert.Equal((0, 0), scene.To.Layer.Tables.CountEntries());
        await SceneBytes.AssertCarriesAsync(scene.Client, scene.Server);
        Assert.Equal(0, TcpInformation.Query((int)scene.Server.Handle, out TcpInformation after));
        Assert.Equal(TcpNegotiated.Ecn, after.Negotiated & TcpNegotiated.Ecn);
    }

    /// <summary>As the refusal says.</summary>
    [Fact]
    public async Task ServerDoesNotAcceptEcn_TheConnectionMoves()
    {
        using var asking = new Setting(world.Client, "net.ipv4.tcp_ecn", "1");
        using var accepting = new Setting(world.Nodes[0].Place, "net.ipv4.tcp_ecn", "0");
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        (var moved, _) = await SceneBytes.MoveAsync(scene);
        await SceneBytes.AssertCarriesAsync(scene.Client, moved);
    }
}
