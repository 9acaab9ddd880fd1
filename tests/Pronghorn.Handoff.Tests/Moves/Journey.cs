// SPDX-License-Identifier: Apache-2.0
using System;
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
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>A connection that goes from the first node to others and back, and what is done between the steps of each move.</summary>
internal sealed class Journey : IConnectionTaker, IDisposable
{
    private static readonly TimeSpan s_ever = TimeSpan.FromSeconds(30);

    private static int s_port = 8000;

    private readonly HandoffWorld _world;
    private readonly bool _isIpv6;
    private readonly Channel<(int Fd, ConnectionImage Image)> _taken = Channel.CreateUnbounded<(int, ConnectionImage)>();
    private readonly TcpEnd _remote;
    private HandoffWorld.Node _node;
    private TcpEnd _local;

    public Journey(HandoffWorld world, bool isIpv6)
    {
        (_world, _isIpv6, _node) = (world, isIpv6, world.Nodes[0]);
        var port = (ushort)Interlocked.Increment(ref s_port);
        Known = _local = _node.End(isIpv6, port);
        using Socket listener = _node.Listen(isIpv6, port);
        Client = Connect(world, _node, isIpv6, port);
        Server = listener.Accept();
        Assert.Equal(0, TcpSocket.GetRemote((int)Server.Handle, out _remote));
        Stay = new Stay(port, 0);
    }

    public Socket Client { get; }

    /// <summary>The connection where it is now.</summary>
    public Socket Server { get; private set; }

    /// <summary>The end that the client knows.</summary>
    public TcpEnd Known { get; }

    public TcpEnd Remote => _remote;

    public Stay Stay { get; private set; }

    /// <summary>Is called before a node is told something.</summary>
    public Action<Message> WhenSaid { get; set; } = static _ => { };

    int IConnectionTaker.LargestContent => 1000;

    public static Socket Connect(HandoffWorld world, HandoffWorld.Node to, bool isIpv6, int port) => NamespaceThread.Run(world.Client, () =>
    {
        var address = IPAddress.Parse(to.Address(isIpv6));
        var client = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        client.Connect(address, port);
        return client;
    });

    public async Task<ConnectionImage> MoveAsync(HandoffWorld.Node to)
    {
        var times = new MoveTimes(s_ever, s_ever, s_ever);
        Channel<Message> toTarget = Channel.CreateUnbounded<Message>();
        Channel<Message> toOrigin = Channel.CreateUnbounded<Message>();
        Stay = Stay.Next();
        var request = new Prepare(
            Stay.Epoch, Stay, _isIpv6, Known, Remote, to.End(_isIpv6, Known.Port), Worker: 0, Anchor: Known.Address);
        Task<Refusal> target = Task.Run(async () =>
        {
            var asked = (Prepare)await toTarget.Reader.ReadAsync();
            using var side = new KernelTarget(MoveScene.NodeOf(to), this);
            return await new TargetMove(new Sender(this, toOrigin), toTarget.Reader, times).RunAsync(asked, side, default);
        });
        var origin = new KernelOrigin(MoveScene.NodeOf(_node), (int)Server.Handle, _local, request);
        MoveOutcome outcome = await new OriginMove(new Sender(this, toTarget), toOrigin.Reader, times)
            .RunAsync(request, origin, static image => image, CancellationToken.None);
        Refusal refusal = await target;
        Assert.True(refusal.IsNone && outcome.Refusal.IsNone && outcome.IsLive, $"{outcome.Refusal}, {refusal}");
        (int fd, ConnectionImage image) = await _taken.Reader.ReadAsync();
        Server.Dispose();
        Server = new Socket(new SafeSocketHandle(fd, ownsHandle: true));
        (_node, _local) = (to, outcome.Target);
        return image;
    }

    bool IConnectionTaker.Serves(TcpEnd listener, uint worker) => true;

    public Refusal TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given)
    {
        int own = Libc.Duplicate(fd);
        given = new GivenToTest(isLive => Assert.True(isLive && _taken.Writer.TryWrite((own, image))));
        return Refusal.None;
    }

    public void Dispose()
    {
        Client.Dispose();
        Server.Dispose();
        foreach (HandoffWorld.Node node in _world.Nodes)
        {
            node.Layer.Tables.Clear();
        }
    }

    private sealed class Sender(Journey journey, Channel<Message> to) : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            journey.WhenSaid(message);
            to.Writer.TryWrite(message);
            return ValueTask.CompletedTask;
        }
    }
}
