// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Workers;

/// <summary>Moves a worker's connection to another node.</summary>
/// <param name="request">What the worker asked for.</param>
/// <param name="fd">The connection; the caller's to close.</param>
public delegate Task<Refusal> WorkerHandoff(WorkerMessage request, int fd);

/// <summary>
/// The Unix sockets by which workers speak to the daemon: one for each worker and kind of service, in one folder. A worker gives away
/// connections here, and says for which of its listeners it takes them.
/// </summary>
public sealed class WorkerServer : IConnectionTaker, IDisposable
{
    private const short PollIn = 1;
    private const int StopPollMilliseconds = 100;

    // Of one worker at once: what it may have the daemon hold and read into memory is bounded by it.
    private const int MostHandoffs = 256;

    private static readonly string[] s_services = ["vlb", "las"];

    private readonly WorkerHandoff _handoff;
    private readonly WorkerHandoff? _recover;
    private readonly List<WorkerSocket> _listeners = [];
    private readonly List<WorkerSession> _sessions = [];
    private readonly ConcurrentDictionary<(TcpEnd Listener, uint Worker), WorkerSession> _registered = new();
    private readonly byte[] _buffer = new byte[WorkerMessage.MaximumLength + 1];
    private readonly Thread _thread;
    private uint _lastGiven;
    private long _undelivered;
    private long _rejected;
    private volatile bool _stopped;

    /// <summary>Makes the sockets and begins to listen.</summary>
    /// <param name="folder">Where; made if it is missing.</param>
    /// <param name="workers">How many workers there are, of each kind of service.</param>
    /// <param name="handoff">Moves connections.</param>
    /// <param name="recover">Ends a move in which a former daemon was ended, by what a worker says of it; null: there is none.</param>
    /// <param name="movesPerSecond">Most moves that each worker may ask for in a second; 0: any number.</param>
    /// <exception cref="IOException">The folder or a socket cannot be made.</exception>
    public WorkerServer(string folder, int workers, WorkerHandoff handoff, WorkerHandoff? recover = null, int movesPerSecond = 0)
    {
        ArgumentNullException.ThrowIfNull(handoff);
        _handoff = handoff;
        _recover = recover;
        WorkerFolder.Create(folder);
        foreach (string service in s_services)
        {
            for (int worker = 0; worker < workers; worker++)
            {
                _listeners.Add(new WorkerSocket(PathOf(folder, service, worker), movesPerSecond));
            }
        }

        _thread = new Thread(ServeUntilStopped) { IsBackground = true, Name = "handoff-workers" };
        _thread.Start();
    }

    /// <summary>Listeners that workers take connections for.</summary>
    public int RegisteredCount => _registered.Count;

    /// <summary>Connections that came and that no worker could be given in the end: they stay with the node that had them.</summary>
    public long UndeliveredCount => Interlocked.Read(ref _undelivered);

    /// <summary>Processes that were sent away because a worker's socket had as many sessions as it may.</summary>
    public long RejectedCount => Interlocked.Read(ref _rejected);

    /// <summary>The socket of a worker.</summary>
    /// <param name="folder">The folder of all.</param>
    /// <param name="service">vlb or las.</param>
    /// <param name="worker">Index of the worker.</param>
    public static string PathOf(string folder, string service, int worker) =>
        Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{service}-{worker}.sock"));

    /// <inheritdoc/>
    public int LargestContent => WorkerMessage.MaximumContent;

    /// <inheritdoc/>
    public bool Serves(TcpEnd listener, uint worker) => Find(listener, worker) is { } session && session.CanTake;

    /// <inheritdoc/>
    public Refusal TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given)
    {
        ArgumentNullException.ThrowIfNull(image);
        var message = new WorkerMessage(WorkerMessageKind.Connection)
        {
            Sequence = Interlocked.Increment(ref _lastGiven),
            Result = image.IsWhole ? 0 : 1,
            Worker = worker,
            End = image.Remote,
            Consumed = image.Consumed,
            Tag = image.Tag,
        };
        given = null;
        WorkerSession? session = Find(listener, worker);
        Refusal refusal = session?.TryGive(message, fd) ?? new Refusal(RefusalReason.NoWorker, $"worker {worker} at {listener} has gone");
        if (refusal.IsNone)
        {
            given = new Given(session!, message.Sequence);
        }
        else
        {
            Interlocked.Increment(ref _undelivered);
        }

        return refusal;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        _thread.Join();
        foreach (WorkerSocket listener in _listeners)
        {
            listener.Dispose();
        }

        foreach (WorkerSession session in _sessions)
        {
            session.Dispose();
        }
    }

    // A listener of a wildcard address takes what comes for any.
    private WorkerSession? Find(TcpEnd listener, uint worker)
    {
        if (_registered.TryGetValue((listener, worker), out WorkerSession? session))
        {
            return session;
        }

        TcpEnd any = listener with { Address = listener.Address.IsIpv4 ? IpAddress.AnyIpv4 : IpAddress.AnyIpv6 };
        return _registered.TryGetValue((any, worker), out session) ? session : null;
    }

    private void ServeUntilStopped()
    {
        while (!_stopped)
        {
            PollDescriptor[] wait = new PollDescriptor[_listeners.Count + _sessions.Count];
            for (int i = 0; i < wait.Length; i++)
            {
                int fd = i < _listeners.Count ? _listeners[i].Descriptor : _sessions[i - _listeners.Count].Control;
                wait[i] = new PollDescriptor { Descriptor = fd, Events = PollIn };
            }

            int ready = Libc.Poll(wait, StopPollMilliseconds);
            foreach (WorkerSession session in _sessions)
            {
                session.SendWaiting();
            }

            if (ready <= 0)
            {
                continue;
            }

            // From behind, as sessions that have ended go.
            for (int i = wait.Length - 1; i >= 0; i--)
            {
                if (wait[i].Returned == 0)
                {
                    continue;
                }

                if (i < _listeners.Count)
                {
                    Accept(_listeners[i]);
                }
                else if (!TryServe(_sessions[i - _listeners.Count]))
                {
                    End(i - _listeners.Count);
                }
            }
        }
    }

    private void Accept(WorkerSocket listener)
    {
        if (!listener.TryAccept(out WorkerSession? session))
        {
            Interlocked.Increment(ref _rejected);
        }
        else if (session is not null)
        {
            _sessions.Add(session);
        }
    }

    private void End(int at)
    {
        WorkerSession session = _sessions[at];
        _sessions.RemoveAt(at);
        foreach ((TcpEnd, uint) key in session.Registered)
        {
            _registered.TryRemove(new KeyValuePair<(TcpEnd, uint), WorkerSession>(key, session));
        }

        session.Dispose();
    }

    /// <summary>Takes one message. False when the session is over.</summary>
    private bool TryServe(WorkerSession session)
    {
        if (!session.TryReceive(_buffer, out WorkerMessage? message, out int fd))
        {
            return false;
        }

        Refusal refusal;
        switch (message!.Kind)
        {
            case WorkerMessageKind.Hello:
                return session.TryOpenDelivery(fd) && session.TryAnswer(message, Refusal.None);
            case WorkerMessageKind.Register:
                refusal = Register(session, message, fd);
                Close(fd);
                return session.TryAnswer(message, refusal);
            case WorkerMessageKind.Unregister:
                Close(fd);
                return session.TryAnswer(message, Unregister(session, message));
            case WorkerMessageKind.Handoff when fd >= 0:
                refusal = session.BeginHandoff(MostHandoffs);
                if (refusal.IsNone)
                {
                    _ = HandOffAsync(session, message, fd);
                    return true;
                }

                Close(fd);
                return session.TryAnswer(message, refusal);
            case WorkerMessageKind.Recover or WorkerMessageKind.Finish when fd >= 0:
                if (session.TryBeginRecovery(MostHandoffs))
                {
                    _ = RecoverAsync(session, message, fd);
                    return true;
                }

                // That word alone has the worker ask again.
                Close(fd);
                return session.TryAnswer(message, new Refusal(RefusalReason.Busy, "many moves are being ended; ask again"));
            default:
                Close(fd);
                return false;
        }
    }

    /// <summary>The descriptor shows that the listener is the worker's own. The daemon keeps none: it would outlive the worker.</summary>
    private Refusal Register(WorkerSession session, WorkerMessage message, int fd)
    {
        if (fd < 0 || !TcpSocket.IsListening(fd) || TcpSocket.GetLocal(fd, out TcpEnd end, out _) < 0)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no listening TCP socket");
        }

        if (end.Port != message.End.Port || (end.Address != message.End.Address && !end.Address.IsAny))
        {
            return new Refusal(RefusalReason.NotAConnection, $"the descriptor listens at {end}, not at {message.End}");
        }

        if (!session.HasDelivery)
        {
            return new Refusal(RefusalReason.NoWorker, "the worker has not said where it takes connections");
        }

        WorkerSession owner = _registered.GetOrAdd((message.End, message.Worker), session);
        if (owner != session)
        {
            return new Refusal(RefusalReason.Busy, $"worker {message.Worker} at {message.End} is registered by another process");
        }

        session.Registered.Add((message.End, message.Worker));
        return Refusal.None;
    }

    private Refusal Unregister(WorkerSession session, WorkerMessage message)
    {
        (TcpEnd, uint) key = (message.End, message.Worker);
        return session.Registered.Remove(key)
            && _registered.TryRemove(new KeyValuePair<(TcpEnd, uint), WorkerSession>(key, session))
            ? Refusal.None
            : new Refusal(RefusalReason.NoWorker, $"worker {message.Worker} at {message.End} is not registered by this process");
    }

    private async Task HandOffAsync(WorkerSession session, WorkerMessage message, int fd)
    {
        try
        {
            // Up to the first message to the other node in this thread: waking another costs more than that.
            session.TryAnswer(message, await _handoff(message, fd));
        }
        finally
        {
            session.EndHandoff();
            Close(fd);
        }
    }

    private async Task RecoverAsync(WorkerSession session, WorkerMessage message, int fd)
    {
        try
        {
            await Task.Yield();
            Refusal refusal = _recover is null ? new Refusal(RefusalReason.Refused, "no move is known") : await _recover(message, fd);
            session.TryAnswer(message, refusal);
        }
        finally
        {
            session.EndHandoff();
            Close(fd);
        }
    }

    private static void Close(int fd)
    {
        if (fd >= 0)
        {
            _ = Libc.Close(fd);
        }
    }

    private sealed class Given(WorkerSession session, uint sequence) : IGivenConnection
    {
        public void Release(bool isLive) => session.Release(sequence, isLive);
    }
}
