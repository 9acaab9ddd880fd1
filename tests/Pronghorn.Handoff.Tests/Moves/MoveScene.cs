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

/// <summary>A connection from the client to the first node, and what is needed to move it to the second.</summary>
internal sealed class MoveScene : IConnectionTaker, IDisposable
{
    private static readonly TimeSpan s_ever = TimeSpan.FromSeconds(30);

    private static int s_port = 7000;

    private readonly HandoffWorld _world;
    private readonly bool _isIpv6;
    private readonly NetworkNamespace _client;
    private readonly Channel<(int Fd, ConnectionImage Image)> _taken = Channel.CreateUnbounded<(int, ConnectionImage)>();
    private readonly ConcurrentBag<IDisposable> _made = [];

    private MoveScene(HandoffWorld world, bool isIpv6, NetworkNamespace client)
    {
        _world = world;
        _isIpv6 = isIpv6;
        _client = client;
        Port = Interlocked.Increment(ref s_port);
        using Socket listener = From.Listen(isIpv6, Port);
        Client = Connect(From, 0);
        Server = listener.Accept();
    }

    public HandoffWorld.Node From => _world.Nodes[0];

    public HandoffWorld.Node To => _world.Nodes[1];

    public int Port { get; }

    public Socket Client { get; }

    public Socket Server { get; }

    public bool Serves { get; set; } = true;

    public Type? Lost { get; set; }

    /// <summary>A connection; <paramref name="client"/>: from another place than the world's client.</summary>
    public static MoveScene Open(HandoffWorld world, bool isIpv6, NetworkNamespace? client = null) =>
        new(world, isIpv6, client ?? world.Client);

    public static async Task AssertTalksAsync(Socket client, Socket server)
    {
        byte[] buffer = new byte[100];
        await server.SendAsync("from the server"u8.ToArray());
        Assert.Equal(15, await client.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
        await client.SendAsync("from the client"u8.ToArray());
        Assert.Equal(15, await server.ReceiveAsync(buffer).WaitAsync(TimeSpan.FromSeconds(10)));
    }

    public Task AssertTalksAsync(Socket server) => AssertTalksAsync(Client, server);

    public Socket Connect(HandoffWorld.Node to, int fromPort) => NamespaceThread.Run(_client, () =>
    {
        AddressFamily family = _isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
        var client = new Socket(family, SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true,
        };

        // Both of a pair that share a port must allow it.
        client.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        client.Bind(new IPEndPoint(_isIpv6 ? IPAddress.IPv6Any : IPAddress.Any, fromPort));

        client.Connect(IPAddress.Parse(to.Address(_isIpv6)), Port);
        return client;
    });

    public async Task<MoveOutcome> MoveAsync(Func<ConnectionImage, ConnectionImage> complete)
    {
        // A busy machine may be slow; only what never comes is waited for shortly.
        var times = new MoveTimes(s_ever, Lost is null ? s_ever : TimeSpan.FromMilliseconds(200), s_ever);
        Channel<Message> toTarget = Channel.CreateUnbounded<Message>();
        Channel<Message> toOrigin = Channel.CreateUnbounded<Message>();
        TcpEnd local = From.End(_isIpv6, (ushort)Port);
        Assert.Equal(0, TcpSocket.GetRemote((int)Server.Handle, out TcpEnd remote));
        var request = new Prepare(
            (ulong)Port, new Stay((ulong)Port, 1), _isIpv6, local, remote, To.End(_isIpv6, (ushort)Port), Worker: 0,
            Anchor: local.Address);
        Task<Refusal> target = Task.Run(async () =>
        {
            var asked = (Prepare)await toTarget.Reader.ReadAsync();
            using var side = new KernelTarget(NodeOf(To), this);
            return await new TargetMove(new Sender(toOrigin, Lost), toTarget.Reader, times).RunAsync(asked, side, default);
        });
        var origin = new KernelOrigin(NodeOf(From), (int)Server.Handle, local, request);
        MoveOutcome outcome = await new OriginMove(new Sender(toTarget, Lost), toOrigin.Reader, times)
            .RunAsync(request, origin, complete, CancellationToken.None);
        await target;
        return outcome;
    }

    public async Task<(Socket Moved, ConnectionImage Image)> TakenAsync()
    {
        (int fd, ConnectionImage image) = await _taken.Reader.ReadAsync();
        var moved = new Socket(new SafeSocketHandle(fd, ownsHandle: true));
        _made.Add(moved);
        return (moved, image);
    }

    int IConnectionTaker.LargestContent => 1000;

    bool IConnectionTaker.Serves(TcpEnd listener, uint worker) => Serves;

    public Refusal TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given)
    {
        int own = Libc.Duplicate(fd);
        given = new GivenToTest(isLive => Assert.True(isLive && _taken.Writer.TryWrite((own, image))));
        return Refusal.None;
    }

    public void Dispose()
    {
        foreach (IDisposable made in _made)
        {
            made.Dispose();
        }

        Client.Dispose();
        Server.Dispose();
        foreach (HandoffWorld.Node node in _world.Nodes)
        {
            node.Layer.Tables.Clear();
        }
    }

    public static SteeredNode NodeOf(HandoffWorld.Node node) => new(
        node.Layer, node.Hold, node.InterfaceIndex, node.Mac)
    {
        OpenSocket = isIpv6 => NamespaceThread.Run(node.Place, () => TcpSocket.Open(isIpv6)),
    };

    private sealed class Sender(Channel<Message> to, Type? lost) : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            if (message.GetType() != lost)
            {
                to.Writer.TryWrite(message);
            }

            return ValueTask.CompletedTask;
        }
    }
}
