// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;
using SteeringCounter = Pronghorn.Handoff.Steering.SteeringCounter;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>A node asks others for a connection, and is asked; the others write down what they hear, and say what they are to.</summary>
public sealed class SeekerTests : IClassFixture<HandoffWorld>, IDisposable
{
    // More than make a stranger.
    private const ulong ManyRounds = 5;
    private static readonly TimeSpan s_never = TimeSpan.FromHours(1);
    private static readonly TimeSpan s_round = TimeSpan.FromMilliseconds(5);
    private static readonly SeekTimes s_patient = new(s_round, s_never, s_never);
    private static readonly Stay s_stay = new(77, 5);
    private static readonly TcpEnd s_peer = new(IpAddress.Parse("10.2.0.1"), 1000);

    // One for each test: a program that another test starts has a copy of a listener until it is executed.
    private static int s_port = 7800;

    private readonly HandoffWorld _world;
    private readonly HandoffWorld.Node _place;
    private readonly SteeredNode _node;
    private readonly Lifetimes _lifetimes;
    private readonly Other _one = new("10.2.0.12");
    private readonly Other _two = new("10.2.0.13");
    private Seeker? _seeker;

    public SeekerTests(HandoffWorld world)
    {
        ArgumentNullException.ThrowIfNull(world);
        _world = world;
        _place = world.Nodes[0];

        // What it listens at is shared; by another it is known to other nodes.
        _node = new SteeredNode(_place.Layer, _place.Hold, _place.InterfaceIndex, default)
        {
            Addresses = [Own.Address],
            SharedAddresses = [Known.Address],
        };
        _lifetimes = NamespaceThread.Run(_place.Place, () =>
        {
            Assert.Equal(0, Lifetimes.Open(_node, s_never, out Lifetimes? made));
            return made!;
        });
    }

    private ushort Port { get; } = (ushort)Interlocked.Increment(ref s_port);

    private TcpEnd Known => _place.End(false, Port);

    private static TcpEnd Own => new(IpAddress.Parse("10.2.0.99"), 61_000);

    private static TcpEnd Target => new(IpAddress.Parse("10.2.0.13"), 61_000);

    private SteeringTables Tables => _place.Layer.Tables;

    private SteeringMode? Mode => Tables.FindGiven(Known, s_peer, out GivenEntry given) ? given.Mode : null;

    [Fact]
    public void AnotherHasIt_ItsPacketsGoThere()
    {
        _one.Says = NotHere;
        _two.Says = asked => new Found(s_stay, asked.Known, asked.Remote, Target);
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Target, _node.InterfaceIndex, s_stay));
        Assert.Equal((1, 0, 0), (_seeker!.FoundCount, _seeker.UnknownCount, _seeker.UnansweredCount));
        Assert.Equal([(Known, s_peer)], _two.Asked.Select(static asked => (asked.Known, asked.Remote)).Distinct());
    }

    [Fact]
    public void AnotherHasIt_WithTheEndThatThePeerKnows_ItsPacketsGoByAnAddressOfItsOwn()
    {
        _two.Says = asked => new Found(s_stay, asked.Known, asked.Remote, asked.Known);
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Known, _node.InterfaceIndex, s_stay, _two.Node.Address));
    }

    [Fact]
    public void AnotherHasIt_AndHasNoAddressByWhichToReachIt_TheKernelDoesNotReset()
    {
        _two.Says = asked => new Found(s_stay, asked.Known, asked.Remote, asked.Known);
        Seek(s_patient, _node with { AddressOfNode = static (_, _) => null }, _two);
        AssertSoon(() => Mode == SteeringMode.Unanswered);
        Assert.Equal((0, 1), (_seeker!.FoundCount, _seeker.UnansweredCount));
    }

    [Fact]
    public void NobodyHasIt_ItIsAskedForTwice_AndIsUnknownThen()
    {
        ConcurrentQueue<SteeringMode?> modes = [];
        _one.Says = NotHere;
        _two.Says = asked =>
        {
            modes.Enqueue(Mode);
            return NotHere(asked);
        };
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Unknown);
        Assert.Equal([SteeringMode.Sought, SteeringMode.Sought], modes);
        Assert.Equal((2, 2), (_one.Asked.Count, _two.Asked.Count));
        Assert.Equal(_one.Asked, _two.Asked);
        Assert.Equal((0, 1, 0), (_seeker!.FoundCount, _seeker.UnknownCount, _seeker.UnansweredCount));
    }

    [Fact]
    public void ItComesHereBeforeItsFormerOwnerSaysNo_ItIsFoundHere()
    {
        using Socket listener = _place.Listen(false, Port);
        using Socket client = Connect();
        using Socket socket = listener.Accept();
        int rounds = 0;
        _one.Says = NotHere;
        _two.Says = asked =>
        {
            if (++rounds == 2)
            {
                Take(socket, _one);
            }

            return NotHere(asked);
        };
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode != SteeringMode.Sought);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Own, 0, s_stay));
        Assert.Equal((1, 0, 0), (_seeker!.FoundCount, _seeker.UnknownCount, _seeker.UnansweredCount));
    }

    [Fact]
    public void OneHadItUntilItEnded_AndAnotherHasWhatThePeerBeganSinceThen_ThatIsFound()
    {
        var since = new Stay(78, 1);
        int rounds = 0;
        _one.Says = asked => new Found(s_stay, asked.Known, asked.Remote, Own, HasEnded: true);
        _two.Says = asked => ++rounds < 2 ? null : new Found(since, asked.Known, asked.Remote, Target);
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode != SteeringMode.Sought);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Target, _node.InterfaceIndex, since));
    }

    [Fact]
    public void OneHadItUntilItEnded_AndNobodyHasAnother_WhatIsLateGoesThere()
    {
        _one.Says = asked => new Found(s_stay, asked.Known, asked.Remote, Target, HasEnded: true);
        _two.Says = NotHere;
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Tombstone);
        AssertGiven(new GivenEntry(SteeringMode.Tombstone, Known, s_peer, Target, _node.InterfaceIndex, s_stay));
    }

    [Fact]
    public void ThereIsNoOtherNode_ItIsUnknown()
    {
        Seek(s_patient);
        AssertSoon(() => Mode == SteeringMode.Unknown);
        Assert.Equal(1, _seeker!.UnknownCount);
    }

    [Fact]
    public void OneNeverAnswers_ItIsUnanswered_HoweverOftenOthersSayNo()
    {
        _one.Says = asked =>
        {
            // Twice, as two streams could: that makes up for nobody.
            _seeker!.Hear(NotHere(asked), _one.Node);
            return NotHere(asked);
        };
        Seek(s_patient with { Limit = 20 * s_round }, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Unanswered);
        Assert.Equal((0, 0, 1), (_seeker!.FoundCount, _seeker.UnknownCount, _seeker.UnansweredCount));
    }

    [Fact]
    public void ItIsBeingMoved_WhoMovesItSaysNothing_UntilItHasIt()
    {
        ulong rounds = 0;
        _one.Says = NotHere;
        _two.Says = asked => ++rounds < ManyRounds ? null : new Found(s_stay, asked.Known, asked.Remote, Target);
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Target, _node.InterfaceIndex, s_stay));
        Assert.Equal(0, _seeker!.UnknownCount);
    }

    [Fact]
    public void AnswersOfFormerRounds_AreNotCounted()
    {
        ulong rounds = 0;
        _one.Says = NotHere;
        _two.Says = asked => ++rounds < ManyRounds
            ? new NotFound(asked.Round - 1, asked.Known, asked.Remote) : new Found(s_stay, asked.Known, asked.Remote, Target);
        Seek(s_patient, _one, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        Assert.Equal(0, _seeker!.UnknownCount);
    }

    [Fact]
    public void FoundTooLate_OrNeverSought_ChangesNothing()
    {
        _one.Says = NotHere;
        Seek(s_patient, _one);
        AssertSoon(() => Mode == SteeringMode.Unknown);
        TcpEnd other = s_peer with { Port = 1001 };
        _seeker!.Hear(new Found(s_stay, Known, s_peer, Target), _two.Node);
        _seeker.Hear(new Found(s_stay, Known, other, Target), _two.Node);

        // What is said is heard in its order: this is behind it.
        _two.Says = NotHere;
        Seek(other);
        AssertSoon(() => _seeker.UnknownCount == 2);
        Assert.Equal(SteeringMode.Unknown, Mode);
        Assert.Equal(0, _seeker.FoundCount);
    }

    [Fact]
    public void ItIsUnknown_AfterAWhileItMayBeAskedForAgain()
    {
        _one.Says = NotHere;
        Seek(s_patient with { Rest = s_round }, _one);
        AssertSoon(() => _seeker!.UnknownCount == 1);
        AssertSoon(() => Mode is null);
    }

    [Fact]
    public void ThisNodeHasIt_ItIsTurnedIn_AndTheFormerAnchorIsTold()
    {
        using Socket socket = _place.Listen(false, Port);
        Take(socket, _one);
        Seek(s_patient, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Own, InterfaceIndex: 0, s_stay));
        Assert.True(Tables.FindTaken(Own, s_peer, out TakenEntry taken));
        Assert.Equal(_node.Addresses[0], taken.Anchor);
        Assert.Equal([new Released(s_stay, Known, s_peer)], _one.Told);
        Assert.Empty(_two.Told);
    }

    [Fact]
    public void ThisNodeMovesIt_NobodyHasItThen_UntilItIsDecided()
    {
        using Socket socket = _place.Listen(false, Port);
        Take(socket, _one);
        Assert.Equal(0, Tables.Hold(Own, s_peer, s_stay.Next()));
        int rounds = 0;
        _two.Says = asked =>
        {
            // The move is given up: it is here after all.
            if (++rounds == 2)
            {
                Tables.Forget(Own, s_peer);
            }

            return null;
        };
        Seek(s_patient, _two);
        AssertSoon(() => Mode == SteeringMode.Redirect);
        AssertGiven(new GivenEntry(SteeringMode.Redirect, Known, s_peer, Own, InterfaceIndex: 0, s_stay));
    }

    [Fact]
    public void AskedForWhatIsNotHere_SaysNo()
    {
        Start(s_patient, _node);
        _seeker!.Hear(new Sought(7, Known, s_peer), _one.Node);
        Assert.Equal([new NotFound(7, Known, s_peer)], _one.Told);
    }

    [Fact]
    public void AskedForAListener_SaysNo()
    {
        using Socket listener = _place.Listen(false, Port);
        AskedForWhatIsNotHere_SaysNo();
    }

    [Fact]
    public void AskedForWhatCame_SaysWhere_AndTheFormerAnchorIsTold_OnlyWhenItIsAnother()
    {
        using Socket socket = _place.Listen(false, Port);
        Take(socket, _one);
        Start(s_patient, _node);
        var found = new Found(s_stay, Known, s_peer, Own);
        _seeker!.Hear(new Sought(7, Known, s_peer), _two.Node);
        Assert.Equal([found], _two.Told);
        Assert.Equal([new Released(s_stay, Known, s_peer)], _one.Told);
        Assert.True(Tables.FindTaken(Own, s_peer, out TakenEntry taken));
        Assert.Equal(_two.Node.Address, taken.Anchor);
        Assert.True(_lifetimes.FindTaken((int)socket.Handle, out taken));
        Assert.Equal(_two.Node.Address, taken.Anchor);

        _seeker.Hear(new Sought(8, Known, s_peer), _two.Node);
        Assert.Equal([found, found], _two.Told);
        Assert.Single(_one.Told);
    }

    [Fact]
    public void AskedForWhatIsHeld_SaysNothing_AndTheAnchorStays()
    {
        using Socket socket = _place.Listen(false, Port);
        Prepare came = Take(socket, _one);
        Prepare leaving = came with { Stay = s_stay.Next() };
        Assert.Equal(-Errno.TryAgain, _lifetimes.Hold((int)socket.Handle, Own, leaving with { Anchor = _two.Node.Address }));
        Assert.Equal(0, _lifetimes.Hold((int)socket.Handle, Own, leaving));
        Start(s_patient, _node);
        _seeker!.Hear(new Sought(7, Known, s_peer), _two.Node);
        Assert.Empty(_two.Told);
        Assert.Empty(_one.Told);
        Assert.True(Tables.FindTaken(Own, s_peer, out TakenEntry taken));
        Assert.Equal(_one.Node.Address, taken.Anchor);

        // It has gone, and is whoever's it is now.
        Assert.Equal(0, Tables.Redirect(Own, s_peer, Target, _node.InterfaceIndex, leaving.Stay));
        _lifetimes.Leave((int)socket.Handle, Target, leaving.Stay);
        _seeker.Hear(new Sought(8, Known, s_peer), _two.Node);
        Assert.Equal([new NotFound(8, Known, s_peer)], _two.Told);
    }

    [Fact]
    public void AskedForWhatHasEnded_SaysSo_ForLateSegmentsAreItsOwnStill()
    {
        using Socket listener = _place.Listen(false, Port);
        using (Socket client = Connect())
        {
            Socket socket = listener.Accept();
            Take(socket, _one);
            socket.LingerState = new LingerOption(true, 0);
            socket.Dispose();
        }

        var ended = new Ended(s_stay, Known, s_peer);
        AssertSoon(() => _one.Told.Contains(ended));
        Start(s_patient, _node);
        _seeker!.Hear(new Sought(7, Known, s_peer), _two.Node);
        Assert.Equal([new Found(s_stay, Known, s_peer, Own, HasEnded: true)], _two.Told);
    }

    [Fact]
    public void AskedForWhatBeganHere_SaysThatItIs_AndIsToldOfItsEnd()
    {
        using Socket listener = _place.Listen(false, Port);
        using Socket client = Connect();
        Socket socket = listener.Accept();
        Assert.Equal(0, TcpSocket.GetRemote((int)socket.Handle, out TcpEnd remote));
        Start(s_patient, _node);

        // While it moves for the first time nobody has it.
        Assert.Equal(0, _lifetimes.Hold((int)socket.Handle, Known, PrepareOf(remote, Known, _node.Addresses[0])));
        _seeker!.Hear(new Sought(6, Known, remote), _one.Node);
        Assert.Empty(_one.Told);
        Assert.Equal(0, Tables.Forget(Known, remote));

        _seeker.Hear(new Sought(7, Known, remote), _one.Node);
        var found = (Found)Assert.Single(_one.Told);
        Assert.Equal(new Found(found.Stay with { Epoch = 1 }, Known, remote, Known), found);

        // Its anchor changes as any other's.
        _seeker.Hear(new Sought(8, Known, remote), _two.Node);
        Assert.Equal([found], _two.Told);
        Assert.Equal(new Released(found.Stay, Known, remote), _one.Told[^1]);

        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
        AssertSoon(() => _two.Told.Contains(new Ended(found.Stay, Known, remote)));
        Assert.Equal(2, _one.Told.Count);
    }

    [Fact]
    public void OwnLeavesForTheFirstTime_AndThatIsNotDecidedYet_SaysNothing()
    {
        using Socket listener = _place.Listen(false, Port);
        using Socket client = Connect();
        using Socket socket = listener.Accept();
        Assert.Equal(0, TcpSocket.GetRemote((int)socket.Handle, out TcpEnd remote));
        Start(s_patient, _node);
        var origin = new KernelOrigin(_node, (int)socket.Handle, Known, PrepareOf(remote, Known, _node.Addresses[0]), _lifetimes);
        Assert.True(origin.Hold().IsNone);
        Assert.True(origin.LetGo(Target).IsNone);
        _seeker!.Hear(new Sought(7, Known, remote), _one.Node);
        Assert.Empty(_one.Told);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void PeerUsesItsPortAgain_WhatBeganHereIsFound(bool hasLeft)
    {
        using Socket listener = _place.Listen(false, Port);
        using Socket client = Connect();
        using Socket socket = listener.Accept();
        using Socket other = Connect();
        Socket former = listener.Accept();
        Assert.Equal(0, TcpSocket.GetRemote((int)socket.Handle, out TcpEnd remote));
        Assert.Equal(0, Tables.Translate(Own, remote, Known, s_stay, _one.Node.Address));
        Assert.Equal(0, Tables.SetLive(Own, remote));
        _lifetimes.Watch((int)former.Handle, PrepareOf(remote, Known, _one.Node.Address), Own, _one);
        if (hasLeft)
        {
            Assert.Equal(0, Tables.Redirect(Own, remote, Target, _node.InterfaceIndex, s_stay.Next()));
            _lifetimes.Leave((int)former.Handle, Target, s_stay.Next());
        }
        else
        {
            former.LingerState = new LingerOption(true, 0);
            former.Dispose();
            AssertSoon(() => _one.Told.OfType<Ended>().Any());
        }

        Start(s_patient, _node);
        _seeker!.Hear(new Sought(7, Known, remote), _two.Node);
        Assert.Equal(Known, Assert.IsType<Found>(Assert.Single(_two.Told)).Target);
    }

    [Fact]
    public void DaemonStartsAnew_WhatLeftThisNodeItsAnchor_IsForgotten()
    {
        Assert.Equal(0, Tables.Translate(Own, s_peer, Known, s_stay, _node.Addresses[0]));
        Assert.Equal(0, Tables.SetLive(Own, s_peer));
        Assert.Equal(0, Tables.Redirect(Own, s_peer, Target, _node.InterfaceIndex, s_stay.Next()));
        Assert.Equal(0, Tables.Redirect(Known, s_peer, Target, _node.InterfaceIndex, s_stay.Next()));
        using Lifetimes next = NamespaceThread.Run(_place.Place, () =>
        {
            Assert.Equal(0, Lifetimes.Open(_node, s_round, out Lifetimes? made));
            return made!;
        });
        for (long end = Environment.TickCount64 + 5_000; Tables.FindTaken(Own, s_peer, out _);)
        {
            Assert.True(Environment.TickCount64 < end, "not within five seconds");
            Thread.Yield();
        }
    }

    [Fact]
    public void AskedForWhatHasNoSharedAddress_SaysNo()
    {
        using Socket listener = _place.Listen(false, Port);
        using Socket client = Connect();
        using Socket socket = listener.Accept();
        Assert.Equal(0, TcpSocket.GetRemote((int)socket.Handle, out TcpEnd remote));
        using Lifetimes plain = NamespaceThread.Run(_place.Place, () =>
        {
            Assert.Equal(0, Lifetimes.Open(_node with { SharedAddresses = [] }, s_never, out Lifetimes? made));
            return made!;
        });
        Assert.Equal(SoughtState.NotHere, plain.Reanchor(Known, remote, _one.Node, out _));
    }

    [Fact]
    public void AnEntryToItself_DoesNotSendOnePacketForEver()
    {
        Assert.Equal(0, Tables.Redirect(Known, s_peer, Target, _node.InterfaceIndex, s_stay));
        Assert.Equal(0, Tables.Repoint(Known, s_peer, Known, 0, s_stay.Next()));
        ulong before = _place.Layer.Read(SteeringCounter.Redirected);
        ulong after = before;
        NamespaceThread.Run(_world.Client, () =>
        {
            using var one = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            one.Bind(new IPEndPoint(IPAddress.Any, s_peer.Port));
            try
            {
                one.Connect(IPAddress.Parse(_place.Address(false)), Port);
            }
            catch (SocketException)
            {
            }

            for (long end = Environment.TickCount64 + 3_000; Environment.TickCount64 < end && after < before + 100_000;)
            {
                after = _place.Layer.Read(SteeringCounter.Redirected);
            }
        });
        Tables.Forget(Known, s_peer);
        Assert.True(after < before + 300, $"{after - before} times");
    }

    public void Dispose()
    {
        _seeker?.Dispose();
        _lifetimes.Dispose();
        Tables.Clear();
    }

    private static NotFound NotHere(Sought asked) => new(asked.Round, asked.Known, asked.Remote);

    private static void AssertSoon(Func<bool> holds)
    {
        for (long end = Environment.TickCount64 + 30_000; !holds();)
        {
            Assert.True(Environment.TickCount64 < end, "not within half a minute");
            Thread.Yield();
        }
    }

    private void Seek(SeekTimes times, params Other[] others) => Seek(times, _node, others);

    private void Seek(SeekTimes times, SteeredNode node, params Other[] others)
    {
        Start(times, node, others);
        Seek(s_peer);
    }

    /// <summary>Does what the program does for a connection's first segment, and tells of it as the one does that has it wait.</summary>
    private void Seek(TcpEnd remote)
    {
        using (BpfMap map = BpfMap.OpenPinned(Path.Combine(_place.Folder, "handoff_inbound")))
        {
            var entry = new InboundEntry { Mode = SteeringMode.Sought };
            Assert.Equal(0, map.Update(ConnectionKey.Create(Known, remote), entry, BpfUpdateMode.Add));
        }

        _place.Hold.WhenSought!(Known, remote);
    }

    private void Start(SeekTimes times, SteeredNode node, params Other[] others)
    {
        _seeker = new Seeker(node, _lifetimes, () => [.. others.Select(static other => other.Node)], times);
        foreach (Other other in (Other[])[_one, _two])
        {
            other.Asker = _seeker;
        }
    }

    /// <summary>A connection came from another node; any socket will do.</summary>
    private Prepare Take(Socket socket, Other anchor)
    {
        Prepare came = PrepareOf(s_peer, Known, anchor.Node.Address);
        Assert.Equal(0, Tables.Translate(Own, s_peer, Known, s_stay, anchor.Node.Address));
        Assert.Equal(0, Tables.SetLive(Own, s_peer));
        _lifetimes.Watch((int)socket.Handle, came, Own, anchor);
        return came;
    }

    private static Prepare PrepareOf(TcpEnd remote, TcpEnd known, IpAddress anchor) =>
        new(0, s_stay, false, known, remote, Own, 0, anchor);

    private Socket Connect() => NamespaceThread.Run(_place.Place, () =>
    {
        var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        made.Connect(IPAddress.Parse(_place.Address(false)), Port);
        return made;
    });

    private void AssertGiven(GivenEntry wanted)
    {
        Assert.True(Tables.FindGiven(wanted.Local, wanted.Remote, out GivenEntry found));
        Assert.Equal(wanted, found);
    }

    /// <summary>Another node: writes down what it is told, and answers at once, by the same thread.</summary>
    private sealed class Other(string address) : IMessageSender
    {
        private readonly ConcurrentQueue<Message> _told = [];

        public AskedNode Node => new(IpAddress.Parse(address), this);

        /// <summary>What it says when it is asked; null: nothing.</summary>
        public Func<Sought, Message?> Says { get; set; } = static _ => null;

        public Seeker? Asker { get; set; }

        public IReadOnlyList<Message> Told => [.. _told];

        public IReadOnlyList<Sought> Asked => [.. _told.OfType<Sought>()];

        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            _told.Enqueue(message);
            if (message is Sought asked && Says(asked) is { } answer)
            {
                Asker!.Hear(answer, Node);
            }

            return ValueTask.CompletedTask;
        }
    }
}
