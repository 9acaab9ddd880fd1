// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>Another node that may have a connection.</summary>
/// <param name="Address">One of its addresses, always the same.</param>
/// <param name="Sender">What is told to it.</param>
public readonly record struct AskedNode(IpAddress Address, IMessageSender Sender);

/// <summary>
/// Finds the owner of a connection whose packets come by another node than before. Its address is one that several nodes have, and a
/// balancer has changed its mind, perhaps because the former node was lost. Only the owner knows of the connection, so all are asked.
/// </summary>
/// <remarks>
/// A connection may move while it is asked for: its new owner may say no before it comes, and its former after it has left. So one that
/// nobody has is asked for twice.
/// </remarks>
public sealed class Seeker : IDisposable
{
    private const int RoundsWithoutOwner = 2;

    private readonly SteeredNode _node;
    private readonly Lifetimes _lifetimes;
    private readonly Func<IReadOnlyCollection<AskedNode>> _nodes;
    private readonly SeekTimes _times;
    private readonly Channel<Action> _happened = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<(TcpEnd Known, TcpEnd Remote), Search> _searches = [];
    private readonly CancellationTokenSource _stopped = new();
    private readonly Task _working;
    private long _found;
    private long _unknown;
    private long _unanswered;
    private ulong _lastRound;

    /// <summary>Begins to work.</summary>
    /// <param name="node">This node.</param>
    /// <param name="lifetimes">Knows the connections that are here.</param>
    /// <param name="nodes">All other nodes that are not given up, whether or not they can be asked now.</param>
    /// <param name="times">How long answers may take.</param>
    public Seeker(SteeredNode node, Lifetimes lifetimes, Func<IReadOnlyCollection<AskedNode>> nodes, SeekTimes? times = null)
    {
        ArgumentNullException.ThrowIfNull(node);
        _node = node;
        _lifetimes = lifetimes;
        _nodes = nodes;
        _times = times ?? SeekTimes.Default;
        node.Held.WhenSought = (known, remote) => _happened.Writer.TryWrite(() => Begin(known, remote, Environment.TickCount64));
        _working = WorkAsync();
    }

    /// <summary>Connections whose owner was found.</summary>
    public long FoundCount => Interlocked.Read(ref _found);

    /// <summary>Connections that no node had.</summary>
    public long UnknownCount => Interlocked.Read(ref _unknown);

    /// <summary>Connections that some node could not be asked for.</summary>
    public long UnansweredCount => Interlocked.Read(ref _unanswered);

    /// <summary>Another node said something.</summary>
    /// <param name="message">A <see cref="Sought"/>, <see cref="Found"/> or <see cref="NotFound"/>; others are passed over.</param>
    /// <param name="other">That node.</param>
    public void Hear(Message message, AskedNode other)
    {
        switch (message)
        {
            case Sought sought:
                Answer(sought, other);
                break;
            case Found found:
                _happened.Writer.TryWrite(() => End(found, other.Address));
                break;
            case NotFound missing:
                _happened.Writer.TryWrite(() => Cross(missing, other.Address));
                break;
        }
    }

    /// <summary>Stops. What is asked for stays so: the next daemon ends it.</summary>
    public void Dispose()
    {
        _node.Held.WhenSought = null;
        _stopped.Cancel();
        _working.Wait();
        _stopped.Dispose();
    }

    private void Answer(Sought sought, AskedNode asker)
    {
        SoughtState state = _lifetimes.Reanchor(sought.Known, sought.Remote, asker, out SoughtConnection found);
        Message? answer = state switch
        {
            SoughtState.NotHere => new NotFound(sought.Round, sought.Known, sought.Remote),
            SoughtState.Moving => null,
            _ => new Found(found.Stay, sought.Known, sought.Remote, found.Local),
        };
        if (answer is not null)
        {
            _ = asker.Sender.SendAsync(answer, CancellationToken.None).AsTask();
        }

        if (state == SoughtState.Ended)
        {
            _ = asker.Sender.SendAsync(new Ended(found.Stay, sought.Known, sought.Remote), CancellationToken.None).AsTask();
        }
    }

    private async Task WorkAsync()
    {
        Task waiting = _happened.Reader.WaitToReadAsync(_stopped.Token).AsTask();
        try
        {
            while (true)
            {
                // With nothing to ask again for it sleeps.
                await (_searches.Count > 0 ? Task.WhenAny(waiting, Task.Delay(_times.Round, _stopped.Token)) : waiting);
                _stopped.Token.ThrowIfCancellationRequested();
                bool isSettled = false;
                while (_happened.Reader.TryRead(out Action? one))
                {
                    one();
                    isSettled = true;
                }

                isSettled |= GoOnSeeking();
                if (isSettled)
                {
                    // Once for many: each time everything that waits goes round.
                    _node.Held.Replay();
                }

                waiting = waiting.IsCompleted ? _happened.Reader.WaitToReadAsync(_stopped.Token).AsTask() : waiting;
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }

    private void Begin(TcpEnd known, TcpEnd remote, long began)
    {
        SoughtState state = _lifetimes.Reanchor(known, remote, other: null, out SoughtConnection found);
        if (state is SoughtState.Here or SoughtState.Ended)
        {
            Interlocked.Increment(ref _found);
            _node.Layer.Tables.RedirectSought(known, remote, found.Local, interfaceIndex: 0, found.Stay);
            return;
        }

        var search = new Search(began) { IsMovingHere = state == SoughtState.Moving };
        _searches[(known, remote)] = search;
        Ask(known, remote, search);
    }

    private void Ask(TcpEnd known, TcpEnd remote, Search search)
    {
        search.Round = ++_lastRound;
        search.RoundBegan = Environment.TickCount64;
        search.Missing.Clear();
        foreach (AskedNode node in _nodes())
        {
            search.Missing.Add(node.Address);
            _ = node.Sender.SendAsync(new Sought(search.Round, known, remote), CancellationToken.None).AsTask();
        }

        if (search.Missing.Count == 0)
        {
            search.EmptyRounds++;
        }
    }

    private void End(Found found, IpAddress owner)
    {
        if (!_searches.ContainsKey((found.Known, found.Remote)))
        {
            return;
        }

        // One that has not moved has the end that this node's socket would have.
        bool needsVia = found.Target == found.Known;
        IpAddress? via = needsVia ? _node.AddressOfNode(owner, !found.Known.Address.IsIpv4) : null;
        if (needsVia && via is null)
        {
            GiveUp(found.Known, found.Remote, isAnswered: false);
            return;
        }

        _searches.Remove((found.Known, found.Remote));
        Interlocked.Increment(ref _found);
        _node.Layer.Tables.RedirectSought(found.Known, found.Remote, found.Target, _node.InterfaceIndex, found.Stay, via);
    }

    private void Cross(NotFound missing, IpAddress node)
    {
        if (_searches.TryGetValue((missing.Known, missing.Remote), out Search? search) && search.Round == missing.Round
            && search.Missing.Remove(node) && search.Missing.Count == 0)
        {
            search.EmptyRounds++;
        }
    }

    /// <summary>Asks again, or gives up.</summary>
    private bool GoOnSeeking()
    {
        long now = Environment.TickCount64;
        bool isSettled = false;
        foreach (((TcpEnd known, TcpEnd remote), Search search) in _searches.ToArray())
        {
            bool isAnswered = search.EmptyRounds >= RoundsWithoutOwner;
            if (isAnswered || now - search.Began >= _times.Limit.TotalMilliseconds)
            {
                GiveUp(known, remote, isAnswered);
                isSettled = true;
            }
            else if (now - search.RoundBegan >= _times.Round.TotalMilliseconds)
            {
                AskAgain(known, remote, search);
            }
        }

        return isSettled;
    }

    private void AskAgain(TcpEnd known, TcpEnd remote, Search search)
    {
        if (search.IsMovingHere)
        {
            // It was about to leave this node, or to come.
            _searches.Remove((known, remote));
            Begin(known, remote, search.Began);
            return;
        }

        Ask(known, remote, search);
    }

    private void GiveUp(TcpEnd known, TcpEnd remote, bool isAnswered)
    {
        _searches.Remove((known, remote));
        Interlocked.Increment(ref isAnswered ? ref _unknown : ref _unanswered);
        _node.Layer.Tables.GiveUpSought(known, remote, isAnswered);
        _ = Task.Delay(_times.Rest, _stopped.Token).ContinueWith(
            _ => _node.Layer.Tables.ForgetSought(known, remote), _stopped.Token, TaskContinuationOptions.OnlyOnRanToCompletion,
            TaskScheduler.Default);
    }

    private sealed class Search(long began)
    {
        public long Began => began;

        public long RoundBegan { get; set; }

        public ulong Round { get; set; }

        public int EmptyRounds { get; set; }

        public bool IsMovingHere { get; init; }

        public HashSet<IpAddress> Missing { get; } = [];
    }
}

/// <summary>How long a search takes.</summary>
/// <param name="Round">Between two times that the other nodes are asked.</param>
/// <param name="Limit">After which a connection is given up that some node has not been asked for.</param>
/// <param name="Rest">For which nobody is asked then for the same connection.</param>
public sealed record SeekTimes(TimeSpan Round, TimeSpan Limit, TimeSpan Rest)
{
    /// <summary>The least retransmission timeout of Linux, 200 ms, is more than two rounds.</summary>
    public static SeekTimes Default { get; } =
        new(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1));
}

/// <summary>What an owner knows of a connection that somebody seeks.</summary>
public enum SoughtState
{
    /// <summary>It is not here.</summary>
    NotHere,

    /// <summary>It is being moved: whose it is will be known in a moment.</summary>
    Moving,

    /// <summary>It is here.</summary>
    Here,

    /// <summary>It was here and has ended; what is late still belongs here.</summary>
    Ended,
}

/// <summary>A connection that is here and was sought.</summary>
/// <param name="Stay">Its stay here.</param>
/// <param name="Local">The end that it has here.</param>
public readonly record struct SoughtConnection(Stay Stay, TcpEnd Local);
