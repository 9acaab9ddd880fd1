// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Moves;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Handoff.Tests.Peers;

/// <summary>Many connections move between two daemons over TLS while their clients talk.</summary>
public sealed class PeerConnectionTests(HandoffWorld world, ITestOutputHelper output) : IClassFixture<HandoffWorld>, IDisposable
{
    private const int Port = 6000;

    private readonly TestCertificates _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Fact]
    public async Task FiftyConnections_MoveWhileClientsEcho_EveryByteArrivesInOrder()
    {
        const int Count = 50;
        (HandoffWorld.Node from, HandoffWorld.Node to) = (world.Nodes[0], world.Nodes[1]);
        await using Daemons daemons = await Daemons.MeetAsync(_certificates, from, to);
        using Socket listener = from.Listen(false, Port);
        List<Task> echoes = [];
        List<double> freezes = [];
        using var enough = new CancellationTokenSource();
        for (int i = 0; i < Count; i++)
        {
            Socket client = NamespaceThread.Run(world.Client, () =>
            {
                var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                made.Connect(IPAddress.Parse(from.Address(false)), Port);
                return made;
            });
            Socket server = await listener.AcceptAsync();
            var talk = new EchoTalk(client, seed: i);
            Task talking = talk.RunAsync(enough.Token);
            echoes.Add(talking);
            await talk.EchoSomeAsync(server);

            MoveOutcome outcome = await daemons.Near.MoveAsync((int)server.Handle, to.End(false, Port));

            Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
            freezes.Add(outcome.Freeze.TotalMicroseconds);
            server.Dispose();
            Socket moved = await daemons.TakenAsync();
            echoes.Add(EchoTalk.EchoAllAsync(moved));
        }

        await enough.CancelAsync();
        await Task.WhenAll(echoes).WaitAsync(TimeSpan.FromSeconds(60));
        freezes.Sort();
        output.WriteLine($"freeze: p50 {freezes[Count / 2]:0} us, p90 {freezes[Count * 9 / 10]:0} us, of {Count} moves");

        // All have ended: a while later nothing of them is left on either node.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (from.Layer.Tables.CountEntries() != (0, 0) || to.Layer.Tables.CountEntries() != (0, 0))
        {
            Assert.False(limit.IsCancellationRequested, $"left: {from.Layer.Tables.CountEntries()} and {to.Layer.Tables.CountEntries()}");
            await Task.Yield();
        }

        Assert.Equal(0, from.Hold.Dropped + to.Hold.Dropped);
    }

    [Fact]
    public async Task PeerSendsDuringTheFreeze_ItIsHeld_AndNobodyWaitsForARetransmission()
    {
        await using Daemons holding = await Daemons.MeetAsync(_certificates, world.Nodes[0], world.Nodes[1]);
        await using Daemons dropping = await Daemons.MeetAsync(_certificates, world.DroppingNode, world.Nodes[2]);
        List<Delay> held = [];
        List<Delay> dropped = [];
        for (int i = 0; i < 100; i++)
        {
            held.Add(await SendDuringAFreezeAsync(holding, world.Nodes[0], world.Nodes[1]));
            dropped.Add(await SendDuringAFreezeAsync(dropping, world.DroppingNode, world.Nodes[2]));
        }

        output.WriteLine($"held: {Describe(held)}");
        output.WriteLine($"dropped: {Describe(dropped)}");

        // Where the machine stands still for 200 ms a client's timer runs out for that.
        Assert.InRange(held.Count(static one => one.IsRetransmitted), 0, 5);
        Assert.InRange(dropped.Count(static one => one.IsRetransmitted), 95, 100);
        Assert.True(world.DroppingNode.Hold.Dropped >= 95);

        // Medians, which a machine that is busy now and then does not change: a client waits 200 ms at least before it sends again.
        Assert.InRange(MedianBeyondTheFreeze(held), 0, 100);
        Assert.InRange(MedianBeyondTheFreeze(dropped), 150, double.MaxValue);
    }

    [Fact]
    public async Task OtherDaemonGoes_MoveIsRefusedAndTheConnectionStays()
    {
        (HandoffWorld.Node from, HandoffWorld.Node to) = (world.Nodes[0], world.Nodes[1]);
        Daemons daemons = await Daemons.MeetAsync(_certificates, from, to);
        using Socket listener = from.Listen(false, Port + 1);
        using Socket client = NamespaceThread.Run(world.Client, () =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            made.Connect(IPAddress.Parse(from.Address(false)), Port + 1);
            return made;
        });
        using Socket server = await listener.AcceptAsync();
        await daemons.Far.DisposeAsync();

        MoveOutcome outcome = await daemons.Near.MoveAsync((int)server.Handle, to.End(false, Port + 1));

        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        await client.SendAsync("still here"u8.ToArray());
        Assert.Equal(10, await server.ReceiveAsync(new byte[20]));
        await daemons.DisposeAsync();
    }

    /// <summary>A client that sends numbered bytes and checks that they come back.</summary>
    private sealed class EchoTalk(Socket client, int seed)
    {
        private const int Part = 777;

        public async Task RunAsync(CancellationToken enough)
        {
            byte[] sent = new byte[Part];
            byte[] back = new byte[Part];
            var random = new Random(seed);
            while (!enough.IsCancellationRequested)
            {
                random.NextBytes(sent);
                await client.SendAsync(sent, CancellationToken.None);
                for (int count = 0; count < Part;)
                {
                    int got = await client.ReceiveAsync(back.AsMemory(count), CancellationToken.None);
                    Assert.True(got > 0, "the connection ended");
                    count += got;
                }

                Assert.Equal(sent, back);
            }

            client.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, await client.ReceiveAsync(back, CancellationToken.None));
            client.Dispose();
        }

        /// <summary>Echoes half a part, so that the move comes in the middle of one.</summary>
        public async Task EchoSomeAsync(Socket server)
        {
            byte[] buffer = new byte[Part / 2];
            int got = await server.ReceiveAsync(buffer);
            await server.SendAsync(buffer.AsMemory(0, got));
        }

        public static async Task EchoAllAsync(Socket server)
        {
            byte[] buffer = new byte[4096];
            int got;
            while ((got = await server.ReceiveAsync(buffer)) > 0)
            {
                await server.SendAsync(buffer.AsMemory(0, got));
            }

            server.Dispose();
        }
    }

    private static string Describe(List<Delay> delays)
    {
        double[] more = [.. delays.Select(static one => (one.Arrival - one.Freeze).TotalMilliseconds).Order()];
        double[] all = [.. delays.Select(static one => one.Arrival.TotalMilliseconds).Order()];
        return $"sent to read: p50 {all[all.Length / 2]:0.0} ms, p99 {all[(all.Length * 99 / 100) - 1]:0.0} ms; "
            + $"more than the freeze: p50 {more[more.Length / 2]:0.0} ms, p99 {more[(more.Length * 99 / 100) - 1]:0.0} ms";
    }

    /// <summary>Milliseconds.</summary>
    private static double MedianBeyondTheFreeze(List<Delay> delays) =>
        delays.Select(static one => (one.Arrival - one.Freeze).TotalMilliseconds).Order().ElementAt(delays.Count / 2);

    private async Task<Delay> SendDuringAFreezeAsync(Daemons daemons, HandoffWorld.Node from, HandoffWorld.Node to)
    {
        using Socket listener = from.Listen(false, Port + 2);
        using Socket client = NamespaceThread.Run(world.Client, () =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            made.Connect(IPAddress.Parse(from.Address(false)), Port + 2);
            return made;
        });
        using Socket server = await listener.AcceptAsync();
        byte[] buffer = new byte[10];
        client.Send("before"u8);
        Assert.Equal(6, await server.ReceiveAsync(buffer));
        long sent = 0;
        MoveOutcome outcome = await daemons.Near.MoveAsync((int)server.Handle, to.End(false, Port + 2), complete: image =>
        {
            // The connection has been read out of its socket.
            sent = Stopwatch.GetTimestamp();
            client.Send("during"u8);
            return image;
        });
        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        using Socket moved = await daemons.TakenAsync();
        Assert.Equal(6, await moved.ReceiveAsync(buffer));
        TimeSpan arrival = Stopwatch.GetElapsedTime(sent);
        Assert.Equal("during"u8, buffer.AsSpan(0, 6));
        Assert.Equal(0, TcpInformation.Query((int)client.Handle, out TcpInformation information));
        return new Delay(arrival, outcome.Freeze, information.Retransmissions > 0);
    }

    /// <summary>What became of a segment that a client sent while its connection was frozen.</summary>
    private readonly record struct Delay(TimeSpan Arrival, TimeSpan Freeze, bool IsRetransmitted);

    private sealed class Daemons : IConnectionTaker, IAsyncDisposable
    {
        private readonly Channel<int> _taken = Channel.CreateUnbounded<int>();
        private readonly List<Lifetimes> _lifetimes = [];
        private Task _running = Task.CompletedTask;

        public PeerConnection Near { get; private set; } = null!;

        public PeerConnection Far { get; private set; } = null!;

        public static async Task<Daemons> MeetAsync(TestCertificates certificates, HandoffWorld.Node from, HandoffWorld.Node to)
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await near.ConnectAsync(listener.LocalEndPoint!);
            Socket far = await listener.AcceptAsync();
            far.NoDelay = true;
            Task<(SslStream Stream, string Name)> accepting = Task.Run(() => new PeerAuthentication(
                certificates.Issue("b"), certificates.Authority)
                .AcceptAsync(new PeerSocketStream(far), default));
            Stream connected = await Task.Run(() => new PeerAuthentication(certificates.Issue("a"), certificates.Authority)
                .ConnectAsync(new PeerSocketStream(near), "b", default));
            var daemons = new Daemons();
            daemons.Near = daemons.Make(connected, from);
            daemons.Far = daemons.Make((await accepting).Stream, to);
            daemons._running = Task.WhenAll(daemons.Near.RunAsync(default), daemons.Far.RunAsync(default));
            return daemons;
        }

        public int LargestContent => 1000;

        public bool Serves(TcpEnd listener, uint worker) => true;

        public Refusal TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given)
        {
            int own = Libc.Duplicate(fd);
            given = new GivenToTest(isLive => Assert.True(isLive && _taken.Writer.TryWrite(own)));
            return Refusal.None;
        }

        public async Task<Socket> TakenAsync() => new(new SafeSocketHandle(await _taken.Reader.ReadAsync(), ownsHandle: true));

        private PeerConnection Make(Stream stream, HandoffWorld.Node node)
        {
            SteeredNode steered = NodeOf(node);
            Lifetimes lifetimes = NamespaceThread.Run(node.Place, () =>
            {
                Assert.Equal(0, Lifetimes.Open(steered, TimeSpan.FromMilliseconds(100), out Lifetimes? made));
                return made!;
            });
            _lifetimes.Add(lifetimes);

            // A busy machine may be slow.
            var ever = TimeSpan.FromSeconds(30);
            return new PeerConnection(stream, steered, this, lifetimes, new MoveTimes(ever, ever, ever));
        }

        public async ValueTask DisposeAsync()
        {
            _lifetimes.ForEach(static lifetimes => lifetimes.Dispose());
            await Near.DisposeAsync();
            await Far.DisposeAsync();
            await _running;
        }

        private static SteeredNode NodeOf(HandoffWorld.Node node) => new(
            node.Layer, node.Hold, node.InterfaceIndex,
            MacAddress.Parse(node.Place.Run("cat", $"/sys/class/net/{HandoffWorld.Interface}/address").Trim()))
        {
            OpenSocket = new SocketStore(node.Place).Take,
        };
    }

    /// <summary>Sockets of a namespace, made beforehand: to enter it for each would be most of the time of a move.</summary>
    private sealed class SocketStore(NetworkNamespace place)
    {
        private const int AtOnce = 64;

        private readonly ConcurrentQueue<int> _sockets = new();

        public int Take(bool isIpv6)
        {
            if (!_sockets.TryDequeue(out int fd))
            {
                NamespaceThread.Run(place, () =>
                {
                    for (int i = 0; i < AtOnce; i++)
                    {
                        _sockets.Enqueue(TcpSocket.Open(isIpv6));
                    }
                });
                Assert.True(_sockets.TryDequeue(out fd));
            }

            return fd;
        }
    }
}
