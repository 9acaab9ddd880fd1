// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Image;
using Pronghorn.Handoff.Tests.Moves;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

/// <summary>A peer with the right certificate and wrong words: out of order, twice, or of what is none of its business.</summary>
public sealed class LyingPeerTests : IClassFixture<HandoffWorld>, IConnectionTaker, IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private static readonly Stay s_stay = new(77, 1);

    private readonly HandoffWorld.Node _node;
    private readonly TcpEnd _known;
    private readonly TcpEnd _remote;
    private readonly MessageStream _peer;
    private readonly PeerConnection _daemon;
    private readonly Lifetimes _lifetimes;
    private readonly Task<string?> _running;
    private int _given;

    public LyingPeerTests(HandoffWorld world)
    {
        ArgumentNullException.ThrowIfNull(world);
        _node = world.Nodes[1];
        _known = world.Nodes[0].End(false, 80);
        _remote = new TcpEnd(IpAddress.Parse(BridgedHosts.Address(1)), 40_000);
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        near.Connect(listener.LocalEndPoint!);
        Socket far = listener.Accept();
        SteeredNode node = MoveScene.NodeOf(_node);
        _lifetimes = NamespaceThread.Run(_node.Place, () =>
        {
            Assert.Equal(0, Lifetimes.Open(node, TimeSpan.FromMilliseconds(100), out Lifetimes? made));
            return made!;
        });
        _peer = new MessageStream(new PeerSocketStream(near));
        _daemon = new PeerConnection(
            new PeerSocketStream(far), node, this, _lifetimes, new MoveTimes(s_patience, s_patience, s_patience), new Unsettled());
        _running = _daemon.RunAsync(default);
    }

    int IConnectionTaker.LargestContent => 1000;

    bool IConnectionTaker.Serves(TcpEnd listener, uint worker) => worker == 0;

    Refusal IConnectionTaker.TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given)
    {
        Interlocked.Increment(ref _given);
        given = new GivenToTest(static _ => { });
        return Refusal.None;
    }

    public void Dispose()
    {
        _daemon.DisposeAsync().AsTask().Wait(s_patience);
        _running.Wait(s_patience);
        _peer.DisposeAsync().AsTask().Wait(s_patience);
        _lifetimes.Dispose();
        _node.Layer.Tables.Clear();
    }

    [Fact]
    public async Task WordsOfWhatIsNotThere_ChangeNothing()
    {
        Message[] words =
        [
            new Commit(1), new Transfer(2, new byte[9]), new Prepared(3), new Restored(4, _known), new Live(5),
            new Refused(6, new Refusal(RefusalReason.Refused, "no")), new Ended(s_stay, _known, _remote),
            new Moved(s_stay, _known, _remote, _node.End(false, 80)), new Released(s_stay, _known, _remote), new Repointed(s_stay),
            new Owned(s_stay), new Decided(s_stay, IsGiven: true), new Found(s_stay, _known, _remote, _node.End(false, 80)),
            new Sought(7, _known, _remote), new NotFound(8, _known, _remote),
        ];
        foreach (Message word in words.Concat(words))
        {
            await SendAsync(word);
        }

        await AssertIsWellAsync();
        Assert.Equal((0, 0, 0), Left);
    }

    [Fact]
    public async Task TwoMovesHaveOneNumber_TheSecondIsRefused_AndTheFirstGoesOn()
    {
        await SendAsync(Request(1));
        Assert.IsType<Prepared>(await HearAsync());
        await SendAsync(Request(1));
        Assert.Equal(RefusalReason.Limit, Assert.IsType<Refused>(await HearAsync()).Refusal.Reason);

        await SendAsync(new Transfer(1, Bytes(TestImage.Of(_known, _remote))));
        Assert.IsType<Restored>(await HearAsync());
        await SendAsync(new Commit(1));
        await SendAsync(new Commit(1));
        Assert.IsType<Live>(await HearAsync());
        await SendAsync(new Commit(1));
        await AssertIsWellAsync();
        Assert.Equal(1, _given);
    }

    [Fact]
    public async Task CommitBeforeTheConnection_EndsTheMove_AndNothingIsLeft()
    {
        await SendAsync(Request(1));
        Assert.IsType<Prepared>(await HearAsync());
        await SendAsync(new Commit(1));
        await SendAsync(new Transfer(1, Bytes(TestImage.Of(_known, _remote))));
        await AssertIsWellAsync();
        Assert.Equal((0, 0, 0), Left);
    }

    [Fact]
    public async Task SomethingElseThanWhatWasAnnounced_IsRefused_AndNothingIsLeft()
    {
        ConnectionImage announced = TestImage.Of(_known, _remote);
        byte[] tooMuch = new byte[1001];
        (byte[] Image, RefusalReason Reason)[] cases =
        [
            ([1, 2, 3], RefusalReason.Refused),
            (Bytes(TestImage.Of(_known, _remote with { Port = 1 })), RefusalReason.Refused),
            (Bytes(announced with { Consumed = tooMuch }), RefusalReason.Limit),
            (Bytes(announced with { Tag = tooMuch }), RefusalReason.Limit),
        ];
        ulong number = 1;
        foreach ((byte[] image, RefusalReason reason) in cases)
        {
            await SendAsync(Request(++number));
            Assert.IsType<Prepared>(await HearAsync());
            await SendAsync(new Transfer(number, image));
            Assert.Equal(reason, Assert.IsType<Refused>(await HearAsync()).Refusal.Reason);
        }

        await SendAsync(Request(++number) with { Worker = 1 });
        Assert.Equal(RefusalReason.NoWorker, Assert.IsType<Refused>(await HearAsync()).Refusal.Reason);
        await AssertIsWellAsync();
        Assert.Equal((0, 0, 0), Left);
    }

    /// <summary>Its own stay, known to the peer that gave it: what another names is not ended by it.</summary>
    [Fact]
    public async Task EndOfAnotherStayThanTheOneGivenAway_ChangesNothing()
    {
        TcpEnd local = _node.End(false, 80);
        Assert.Equal(0, _node.Layer.Tables.Redirect(local, _remote, _known, _node.InterfaceIndex, s_stay));
        foreach (Stay stay in (Stay[])[new Stay(78, 1), new Stay(77, 0)])
        {
            await SendAsync(new Ended(stay, local, _remote));
            await SendAsync(new Released(stay, local, _remote));
            await SendAsync(new Moved(stay, local, _remote, _known with { Port = 81 }));
        }

        await AssertIsWellAsync();
        Assert.True(_node.Layer.Tables.FindGiven(local, _remote, out GivenEntry given));
        Assert.Equal((SteeringMode.Redirect, _known, s_stay), (given.Mode, given.Target, given.Stay));
    }

    private (int Inbound, int Outbound, int Given) Left
    {
        get
        {
            (int inbound, int outbound) = _node.Layer.Tables.CountEntries();
            return (inbound, outbound, Volatile.Read(ref _given));
        }
    }

    /// <summary>The words before have been heard, and the next move goes as it should.</summary>
    private async Task AssertIsWellAsync()
    {
        const ulong Number = 1000;
        await SendAsync(Request(Number));
        Message answer;
        do
        {
            answer = await HearAsync();
        }
        while (answer.Move != Number);

        Assert.IsType<Prepared>(answer);
        await SendAsync(new Transfer(Number, new byte[1]));
        Assert.IsType<Refused>(await HearAsync());
        Assert.False(_running.IsCompleted);
    }

    private Prepare Request(ulong number) =>
        new(number, s_stay, IsIpv6: false, _known, _remote, _node.End(false, 80), Worker: 0, Anchor: _known.Address);

    private async Task SendAsync(Message message) => await _peer.SendAsync(message, default);

    private async Task<Message> HearAsync()
    {
        Message? heard;
        do
        {
            heard = await Task.Run(_peer.Read).WaitAsync(s_patience);
        }
        while (heard is Heartbeat);

        return heard ?? throw new InvalidOperationException("the daemon has ended the stream");
    }

    private static byte[] Bytes(ConnectionImage image)
    {
        var writer = new ArrayBufferWriter<byte>();
        ImageCodec.Write(image, writer);
        return writer.WrittenSpan.ToArray();
    }
}
