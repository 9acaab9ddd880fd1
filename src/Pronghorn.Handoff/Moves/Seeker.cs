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
    private const int LooksInRound = 5;

    private readonly SteeredNode _node;
    private readonly Lifetimes _lifetimes;
    private readonly Func<IReadOnlyCollection<AskedNode>> _nodes;
    private readonly SeekTimes _times;
    private readonly Channel<Func<bool>> _happened =
        Channel.CreateUnbounded<Func<bool>>(new UnboundedChannelOptions { SingleReader = true });
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
                _happened.Writer.TryWrite(() => Take(found, other.Address));
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
            _ => new Found(found.Stay, sought.Known, sought.Remote, found.Local, HasEnded: state == SoughtState.Ended),
        };
        if (answer is not null)
        {
            _ = asker.Sender.SendAsync(answer, CancellationToken.None).AsTask();
        }
    }

    private async Task WorkAsync()
    {
        Task waiting = _happened.Reader.WaitToReadAsync(_stopped.Token).AsTask();
        TimeSpan step = _times.Round / LooksInRound;
        long lastLook = 0;
        try
        {
            while (true)
            {
                // With nothing to ask again for it sleeps.
                await (_searches.Count > 0 ? Task.WhenAny(waiting, Task.Delay(step, _stopped.Token)) : waiting);
                _stopped.Token.ThrowIfCancellationRequested();
                bool isSettled = false;
                while (_happened.Reader.TryRead(out Func<bool>? one))
                {
                    isSettled |= one();
                }

                // Over all searches, of which there may be thousands: not with each answer.
                if (Environment.TickCount64 - lastLook >= step.TotalMilliseconds)
                {
                    isSettled |= GoOnSeeking();
                    lastLook = Environment.TickCount64;
                }

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

    /// <returns>Whether what waits is to go round: as of the others, too.</returns>
    private bool Begin(TcpEnd known, TcpEnd remote, long began)
    {
        var search = new Search(began);
        _searches[(known, remote)] = search;
        return Ask(known, remote, search);
    }

    /// <summary>A round: looks here first, for a connection may have come meanwhile, and asks all others then.</summary>
    private bool Ask(TcpEnd known, TcpEnd remote, Search search)
    {
        search.Round = ++_lastRound;
        search.RoundBegan = Environment.TickCount64;
        search.Missing.Clear();
        if (LookHere(known, remote, search))
        {
            return true;
        }

        foreach (AskedNode node in _nodes())
        {
            search.Missing.Add(node.Address);
            _ = node.Sender.SendAsync(new Sought(search.Round, known, remote), CancellationToken.None).AsTask();
        }

        search.EmptyRounds += search.Missing.Count == 0 && !search.IsMovingHere ? 1 : 0;
        return false;
    }

    private bool LookHere(TcpEnd known, TcpEnd remote, Search search)
    {
        SoughtState state = _lifetimes.Reanchor(known, remote, other: null, out SoughtConnection here);
        search.IsMovingHere = state == SoughtState.Moving;
        if (state == SoughtState.Ended)
        {
            search.Ended ??= (here.Stay, here.Local, InterfaceIndex: 0, Via: null);
        }

        if (state != SoughtState.Here)
        {
            return false;
        }

        End(known, remote, (here.Stay, here.Local, InterfaceIndex: 0, Via: null));
        return true;
    }

    private bool Take(Found found, IpAddress owner)
    {
        if (!_searches.TryGetValue((found.Known, found.Remote), out Search? search))
        {
            return false;
        }

        // One that has not moved has the end that this node's socket would have.
        bool needsVia = found.Target == found.Known;
        IpAddress? via = needsVia ? _node.AddressOfNode(owner, !found.Known.Address.IsIpv4) : null;
        if (needsVia && via is null)
        {
            GiveUp(found.Known, found.Remote, isAnswered: false);
            return true;
        }

        if (found.HasEnded)
        {
            search.Ended ??= (found.Stay, found.Target, _node.InterfaceIndex, via);
            CountAnswer(search, owner);
            return false;
        }

        End(found.Known, found.Remote, (found.Stay, found.Target, _node.InterfaceIndex, via));
        return true;
    }

    private bool Cross(NotFound missing, IpAddress node)
    {
        if (_searches.TryGetValue((missing.Known, missing.Remote), out Search? search) && search.Round == missing.Round)
        {
            CountAnswer(search, node);
        }

        return false;
    }

    private static void CountAnswer(Search search, IpAddress node)
    {
        if (search.Missing.Remove(node) && search.Missing.Count == 0 && !search.IsMovingHere)
        {
            search.EmptyRounds++;
        }
    }

    private void End(TcpEnd known, TcpEnd remote, (Stay Stay, TcpEnd Target, int InterfaceIndex, IpAddress? Via) owner)
    {
        _searches.Remove((known, remote));
        int result = _node.Layer.Tables.RedirectSought(known, remote, owner.Target, owner.InterfaceIndex, owner.Stay, owner.Via);
        if (result == 0)
        {
            Interlocked.Increment(ref _found);
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
                isSettled |= Settle(known, remote, search, isAnswered);
            }
            else if (now - search.RoundBegan >= search.Pause(_times.Round).TotalMilliseconds)
            {
                search.Rounds++;
                isSettled |= Ask(known, remote, search);
            }
        }

        return isSettled;
    }

    /// <summary>What all said, and what is here by now: one that has come says so before its former owner says no.</summary>
    private bool Settle(TcpEnd known, TcpEnd remote, Search search, bool isAnswered)
    {
        if (LookHere(known, remote, search))
        {
            return true;
        }

        if (isAnswered && search.IsMovingHere)
        {
            search.EmptyRounds = 0;
            return false;
        }

        if (isAnswered && search.Ended is { } ended)
        {
            End(known, remote, ended);
            _lifetimes.Bury(new Ended(ended.Stay, known, remote));
        }
        else
        {
            GiveUp(known, remote, isAnswered);
        }

        return true;
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

        public int Rounds { get; set; }

        public bool IsMovingHere { get; set; }

        /// <summary>Where it was until it ended.</summary>
        public (Stay Stay, TcpEnd Target, int InterfaceIndex, IpAddress? Via)? Ended { get; set; }

        public HashSet<IpAddress> Missing { get; } = [];

        /// <summary>The second round comes soon, and each later one after twice the time.</summary>
        public TimeSpan Pause(TimeSpan first) => first * (1 << Math.Min(Rounds, 5));
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
