// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>Both daemons' parts of a move, by real connections between namespaces; messages go from one to the other in memory.</summary>
public sealed class MoveTests(HandoffWorld world) : IClassFixture<HandoffWorld>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connection_Moves_AndItsWorkerHasItWithWhatWasConsumed(bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        scene.Client.Send("GET /film HTTP/1.1\r\n"u8);
        byte[] buffer = new byte[100];
        int read = await scene.Server.ReceiveAsync(buffer);

        MoveOutcome outcome = await scene.MoveAsync(image => image with { Consumed = buffer.AsMemory(0, read), Tag = new byte[] { 7 } });

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        Assert.True(outcome.IsLive);
        (Socket moved, ConnectionImage image) = await scene.TakenAsync();
        Assert.Equal("GET /film HTTP/1.1\r\n"u8.ToArray(), image.Consumed.ToArray());
        await scene.AssertTalksAsync(moved);
    }

    /// <summary>The peer's largest window is small, and it has acknowledged more than that since the image was made.</summary>
    [Fact]
    public async Task PeerHasAcknowledgedMuchSinceItsImage_ItsFinIsBelieved()
    {
        const int Length = 1_000_000;
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        int fd = (int)scene.Server.Handle;
        Task<int> reading = Task.Run(() =>
        {
            byte[] buffer = new byte[Length];
            int read = 0;
            while (read < Length)
            {
                read += scene.Client.Receive(buffer, read, Length - read, SocketFlags.None);
            }

            return read;
        });
        scene.Server.Send(new byte[Length]);
        await reading;
        SpinWait.SpinUntil(() => TcpRepair.GetUnacknowledged(fd) == 0);
        Assert.True(ConnectionCapture.TryTake(fd, out ConnectionImage? image).IsNone);
        ConnectionCapture.GiveBack(fd);
        ConnectionImage before = image! with
        {
            State = KernelTcpState.CloseWait, RcvNxt = image.RcvNxt + 1, SendQueue = new byte[Length], Unsent = Length,
        };
        SteeredNode node = MoveScene.NodeOf(scene.From);

        FinSegment.Inject(before, image.Local, node, fd);

        Assert.Equal(0, TcpInformation.Query(fd, out TcpInformation now));
        Assert.Equal(KernelTcpState.CloseWait, now.State);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task PeerHasShutItsSide_Moved_EndIsReadAndTheAnswerArrives(bool isIpv6)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6);
        scene.Client.Send("all"u8);
        scene.Client.Shutdown(SocketShutdown.Send);
        byte[] buffer = new byte[100];
        Assert.Equal(3, await scene.Server.ReceiveAsync(buffer));
        Assert.Equal(0, await scene.Server.ReceiveAsync(buffer));

        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        (Socket moved, ConnectionImage image) = await scene.TakenAsync();
        Assert.Equal(KernelTcpState.CloseWait, image.State);
        Assert.Equal(0, await moved.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
        await moved.SendAsync("answer"u8.ToArray());
        moved.Shutdown(SocketShutdown.Send);
        Assert.Equal(6, await scene.Client.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Equal(0, await scene.Client.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task SamePeerPortIsConnectedThere_Moved_AnotherPortIsUsedAndThePeerSeesNothing()
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        using Socket listener = scene.To.Listen(false, scene.Port);
        int clientPort = ((IPEndPoint)scene.Client.LocalEndPoint!).Port;
        using Socket direct = scene.Connect(scene.To, clientPort);
        using Socket directServer = await listener.AcceptAsync();

        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        Assert.InRange(outcome.Target.Port, 61_000, 65_000);
        (Socket moved, _) = await scene.TakenAsync();
        await scene.AssertTalksAsync(moved);
        await MoveScene.AssertTalksAsync(direct, directServer);
    }

    [Fact]
    public async Task NobodyTakesItThere_Refused_AndItGoesOnHere()
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        scene.Serves = false;

        MoveOutcome outcome = await scene.MoveAsync(static image => image);

        Assert.Equal(RefusalReason.NoWorker, outcome.Refusal.Reason);
        await scene.AssertTalksAsync(scene.Server);
        Assert.Equal((0, 0), scene.From.Layer.Tables.CountEntries());
    }

    [Theory]
    [InlineData(typeof(Transfer))]
    [InlineData(typeof(Restored))]
    public async Task MessageIsLost_GivenUp_AndItGoesOnHere(Type lost)
    {
        using MoveScene scene = MoveScene.Open(world, isIpv6: false);
        scene.Lost = lost;

        Task<MoveOutcome> moving = scene.MoveAsync(static image => image);
        scene.Client.Send("meanwhile"u8);
        MoveOutcome outcome = await moving;

        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        byte[] buffer = new byte[100];
        Assert.Equal(9, await scene.Server.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
        await scene.AssertTalksAsync(scene.Server);
        Assert.Equal((0, 0), scene.From.Layer.Tables.CountEntries());
        Assert.Equal((0, 0), scene.To.Layer.Tables.CountEntries());
    }
}
