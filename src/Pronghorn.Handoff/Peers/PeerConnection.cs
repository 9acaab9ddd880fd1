// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Peers;

/// <summary>
/// What two daemons have with each other: any number of moves at once, in both directions, over one stream that is authenticated
/// already. When the stream ends, moves that are not decided end too, each where it came from.
/// </summary>
public sealed class PeerConnection : IMessageSender, IAsyncDisposable
{
    // Of one peer at once: what it may have this node keep in memory is bounded by it.
    private const int MostIncoming = 1024;

    // Heartbeats without a byte: no move is begun then, as each would wait for an answer; and the stream is given up, as the fault may
    // be the way's that it goes, and another might get through.
    private const int SilentAfter = 3;
    private const int DeadAfter = 15;

    // Of one move: more than it has steps, and TryWrite passes over the rest. The reader of the stream goes on with the move itself:
    // a connection is frozen meanwhile, and another thread would have to wake first.
    private static readonly BoundedChannelOptions s_waiting = new(8)
    {
        AllowSynchronousContinuations = true, SingleReader = true,
    };

    private readonly MessageStream _stream;
    private readonly SteeredNode _node;
    private readonly IConnectionTaker _taker;
    private readonly MoveTimes _times;
    private readonly Lifetimes? _lifetimes;
    private readonly Unsettled? _unsettled;
    private readonly Audits? _audits;
    private readonly Func<Prepare, IMessageSender> _anchors;
    private readonly IMessageSender? _link;
    private readonly Seeker? _seeker;
    private readonly IpAddress _address;
    private readonly ConcurrentDictionary<ulong, Channel<Message>> _outgoing = new();
    private readonly ConcurrentDictionary<ulong, Channel<Message>> _incoming = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly Pulse _pulse = new(SilentAfter, DeadAfter);
    private bool _isDisposed;
    private volatile bool _refusesNew;

    /// <summary>Makes one; <see cref="RunAsync"/> must run for anything to happen.</summary>
    /// <param name="stream">An authenticated stream to the other daemon; this disposes of it.</param>
    /// <param name="node">This node.</param>
    /// <param name="taker">Who takes connections that come.</param>
    /// <param name="lifetimes">Sees to the entries of connections that end; null for nobody.</param>
    /// <param name="times">How long to wait for the other.</param>
    /// <param name="unsettled">Moves that wait for word of the other side over a later stream; null: there is none.</param>
    /// <param name="link">The other daemon over whatever stream there is, later than this one; null: over this one only.</param>
    /// <param name="seeker">Finds connections whose packets come by another node than before; null for nobody.</param>
    /// <param name="address">One of the other's addresses, always the same.</param>
    /// <param name="anchors">
    /// Who is told what becomes of a connection that came: the node that the peer knows, later than this stream perhaps. Null: the other.
    /// </param>
    public PeerConnection(
        Stream stream,
        SteeredNode node,
        IConnectionTaker taker,
        Lifetimes? lifetimes = null,
        MoveTimes? times = null,
        Unsettled? unsettled = null,
        IMessageSender? link = null,
        Seeker? seeker = null,
        IpAddress address = default,
        Func<Prepare, IMessageSender>? anchors = null)
    {
        _seeker = seeker;
        _address = address;
        _anchors = anchors ?? (_ => this);
        _lifetimes = lifetimes;
        _link = link;
        _unsettled = unsettled;
        _audits = lifetimes is null ? null : new Audits(node, lifetimes, unsettled ?? new Unsettled());
        _stream = new MessageStream(stream);
        _node = node;
        _taker = taker;
        _times = times ?? MoveTimes.Default;
    }

    /// <summary>Reads what the other daemon says, in a thread of its own, until it ends, or this is cancelled.</summary>
    /// <returns>Null when the other has ended in order, else what went wrong.</returns>
    public async Task<string?> RunAsync(CancellationToken cancellation)
    {
        // Reading waits for bytes alone, and sees the end of the stream.
        await using CancellationTokenRegistration ending = cancellation.Register(() => _ = DisposeAsync().AsTask());
        Task beating = BeatAsync();
        string? problem = await Task.Factory.StartNew(
            ReadUntilEnd, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await beating;
        return _pulse.IsDead ? SilenceOf(_pulse) : problem;
    }

    /// <summary>
    /// Whether anything has come: only then the other has accepted this node's certificate, of which TLS 1.3 does not tell a client.
    /// </summary>
    public bool HasHeard => _stream.ReadCount > 0;

    /// <summary>What is wrong while nothing comes from the other, as a sentence's end; null while all is well.</summary>
    public string? Silence => _pulse.IsSilent ? SilenceOf(_pulse) : null;

    private string SilenceOf(Pulse pulse) => string.Create(
        CultureInfo.InvariantCulture, $"nothing has come from its daemon for {(pulse.Missed * _times.Heartbeat).TotalSeconds:0.#} s");

    private async Task BeatAsync()
    {
        using var timer = new PeriodicTimer(_times.Heartbeat);
        try
        {
            Task sent = SendAsync(new Heartbeat(), _ended.Token).AsTask();
            while (await timer.WaitForNextTickAsync(_ended.Token))
            {
                _pulse.Beat(_stream.ReadCount);
                if (_pulse.IsDead)
                {
                    break;
                }

                // The other may not read, and then what was said last is still on its way.
                sent = sent.IsCompleted ? SendAsync(new Heartbeat(), _ended.Token).AsTask() : sent;
            }

            await DisposeAsync();
        }
        catch (OperationCanceledException)
        {
            // The stream has ended.
        }
    }

    private string? ReadUntilEnd()
    {
        try
        {
            while (_stream.Read() is { } message)
            {
                _pulse.Hear();
                Dispatch(message);
            }

            return null;
        }
        catch (Exception failure) when (failure is IOException or ImageFormatException or ObjectDisposedException)
        {
            return _ended.IsCancellationRequested ? null : PeerFailure.Describe(failure);
        }
        finally
        {
            _ended.Cancel();
            foreach (Channel<Message> channel in _outgoing.Values)
            {
                channel.Writer.TryComplete();
            }

            foreach (Channel<Message> channel in _incoming.Values)
            {
                channel.Writer.TryComplete();
            }
        }
    }

    /// <summary>Moves a connection to the other node.</summary>
    /// <param name="fd">The connection; the caller's to close, after the move too.</param>
    /// <param name="listener">The listener at the other node whose worker is to have it.</param>
    /// <param name="worker">Index of that worker.</param>
    /// <param name="complete">Adds what the application sends along; null for nothing.</param>
    /// <param name="cancellation">Gives the move up as long as that can be.</param>
    public async Task<MoveOutcome> MoveAsync(
        int fd,
        TcpEnd listener,
        uint worker = 0,
        Func<ConnectionImage, ConnectionImage>? complete = null,
        CancellationToken cancellation = default)
    {
        Refusal refusal = ConnectionCapture.Examine(fd, out _, out TcpEnd local, out TcpEnd remote, out bool isIpv6);
        if (!refusal.IsNone)
        {
            return new MoveOutcome(refusal, default, default, IsLive: false);
        }

        TakenEntry taken = default;
        bool isTaken = _lifetimes is not null && _lifetimes.FindTaken(fd, out taken);
        refusal = isTaken ? Refusal.None : ExamineAnchor(local, remote);
        if (!refusal.IsNone)
        {
            return new MoveOutcome(refusal, default, default, IsLive: false);
        }

        Stay stay = isTaken ? taken.Stay.Next() : new Stay(NewNumber(), 1);
        IpAddress anchor = isTaken ? taken.Anchor : _node.Addresses.IsDefaultOrEmpty ? local.Address : _node.Addresses[0];
        var request = new Prepare(NewNumber(), stay, isIpv6, isTaken ? taken.Known : local, remote, listener, worker, anchor);
        Channel<Message> answers = Channel.CreateBounded<Message>(s_waiting);
        _outgoing[request.Move] = answers;
        try
        {
            if (_ended.IsCancellationRequested)
            {
                return new MoveOutcome(new Refusal(RefusalReason.Peer, "the other daemon has gone"), default, default, IsLive: false);
            }

            if (Silence is { } silence)
            {
                return new MoveOutcome(new Refusal(RefusalReason.Peer, silence), default, default, IsLive: false);
            }

            return await new OriginMove(this, answers.Reader, _times, _unsettled).RunAsync(
                request, new KernelOrigin(_node, fd, local, request, _lifetimes), complete ?? (static image => image), cancellation);
        }
        finally
        {
            _outgoing.TryRemove(request.Move, out _);
        }
    }

    /// <inheritdoc/>
    public async ValueTask SendAsync(Message message, CancellationToken cancellation)
    {
        try
        {
            await _stream.SendAsync(message, cancellation);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // The reader sees the same, and ends what waits.
        }
    }

    /// <summary>Moves under way, in either direction.</summary>
    public int ActiveMoves => _outgoing.Count + _incoming.Count;

    /// <summary>Takes no connections from now on.</summary>
    public void RefuseNew() => _refusesNew = true;

    /// <summary>Tells the other what this node gave to it, and hears later what is not so; and what went on from here.</summary>
    /// <param name="other">The other's addresses.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task AuditAsync(IReadOnlyCollection<IpAddress> other, CancellationToken cancellation)
    {
        if (_audits is null)
        {
            return;
        }

        foreach (Message message in _audits.About(other).Concat<Message>(_audits.LeftFrom(other)))
        {
            await SendAsync(message, cancellation);
        }
    }

    /// <summary>Ends the stream.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!Interlocked.Exchange(ref _isDisposed, true))
        {
            await _ended.CancelAsync();
            await _stream.DisposeAsync();
        }
    }

    /// <summary>Whether this node can be the one that the peer's packets come by, for a connection that came from no other.</summary>
    private Refusal ExamineAnchor(TcpEnd local, TcpEnd remote)
    {
        if (_node.Layer.Tables.FindTaken(local, remote, out _))
        {
            // Its anchor would not hear of it, and go on sending here.
            return new Refusal(RefusalReason.State, "it came from another node and is not known any more");
        }

        return _node.Addresses.IsDefaultOrEmpty || _node.Addresses.Contains(local.Address) || _node.SharedAddresses.Contains(local.Address)
            ? Refusal.None
            : new Refusal(RefusalReason.Address, $"the peer knows it as {local}, which is no local_ip or service_ip of the configuration");
    }

    private static ulong NewNumber()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        return BitConverter.ToUInt64(bytes);
    }

    private void Dispatch(Message message)
    {
        switch (message)
        {
            case Prepare request:
                Begin(request);
                break;
            case Ended ended:
                _audits?.Take(ended);
                break;
            case Moved moved:
                _lifetimes?.Repoint(moved, this);
                break;
            case Released released:
                _node.Layer.Tables.Release(released.Known, released.Remote, released.Stay);
                break;
            case Repointed repointed:
                _lifetimes?.Finish(repointed);
                break;
            case Audit audit:
                _audits?.Answer(audit, this);
                break;
            case Asked asked:
                _audits?.Answer(asked, this);
                break;
            case Decided decided:
                _unsettled?.Decide(decided.Stay, decided.IsGiven);
                break;
            case Owned owned:
                _unsettled?.Settle(owned.Stay, isOwned: true);
                break;
            case Sought or Found or NotFound:
                _seeker?.Hear(message, new AskedNode(_address, _link ?? this));
                break;
            case Prepared or Restored or Live:
                Pass(_outgoing, message);
                break;
            case Refused when _outgoing.ContainsKey(message.Move):
                Pass(_outgoing, message);
                break;
            case Heartbeat:
                break;
            default:
                Pass(_incoming, message);
                break;
        }
    }

    private static void Pass(ConcurrentDictionary<ulong, Channel<Message>> moves, Message message)
    {
        // One that is not known has ended here already.
        if (moves.TryGetValue(message.Move, out Channel<Message>? channel))
        {
            channel.Writer.TryWrite(message);
        }
    }

    private void Begin(Prepare request)
    {
        Channel<Message> messages = Channel.CreateBounded<Message>(s_waiting);
        if (_refusesNew)
        {
            _ = SendAsync(new Refused(request.Move, new Refusal(RefusalReason.Refused, "the daemon is being stopped")), default).AsTask();
            return;
        }

        if (_incoming.Count >= MostIncoming || !_incoming.TryAdd(request.Move, messages))
        {
            var full = new Refusal(RefusalReason.Limit, "too many connections come at once, or two moves have one number");
            _ = SendAsync(new Refused(request.Move, full), CancellationToken.None).AsTask();
            return;
        }

        _ = AnswerAsync(request, messages.Reader);
    }

    private async Task AnswerAsync(Prepare request, ChannelReader<Message> messages)
    {
        using var side = new KernelTarget(_node, _taker, _lifetimes, _anchors(request));
        try
        {
            await new TargetMove(this, messages, _times, _unsettled, _link).RunAsync(request, side, CancellationToken.None);
        }
        finally
        {
            _incoming.TryRemove(request.Move, out _);
        }
    }
}
