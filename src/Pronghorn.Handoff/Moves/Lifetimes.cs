// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// Ends the entries of connections that have ended. The owner hears of it from the kernel, by the socket's cookie, and tells the node
/// that gave the connection away; both keep what they have for a while, because late segments and a TIME-WAIT still need it.
/// </summary>
public sealed class Lifetimes : IDisposable
{
    private const short PollIn = 1;
    private const int StopPollMilliseconds = 100;

    private readonly SteeredNode _node;
    private readonly TimeSpan _grace;
    private readonly TcpEndMonitor _monitor;
    private readonly ConcurrentDictionary<ulong, Taken> _taken = new();
    private readonly ConcurrentDictionary<ulong, Taken> _left = new();

    // Whose the entries of a pair of ends are: what was left behind must not take away what came later.
    private readonly ConcurrentDictionary<(TcpEnd Local, TcpEnd Remote), object> _owners = new();
    private readonly CancellationTokenSource _stopped = new();
    private readonly Thread _reader;

    private Lifetimes(SteeredNode node, TimeSpan grace, TcpEndMonitor monitor)
    {
        _node = node;
        _grace = grace;
        _monitor = monitor;
        _reader = new Thread(ReadUntilStopped) { IsBackground = true, Name = "handoff-ends" };
        _reader.Start();
    }

    /// <summary>TIME-WAIT of Linux (TCP_TIMEWAIT_LEN), and some.</summary>
    public static TimeSpan DefaultGrace { get; } = TimeSpan.FromSeconds(65);

    /// <summary>Connections that this node was given and that have not ended.</summary>
    public int TakenCount => _taken.Values.Count(static taken => !taken.IsHome);

    /// <summary>Begins to listen, in the calling thread's network namespace: the node's.</summary>
    /// <param name="node">The node.</param>
    /// <param name="grace">How long an entry outlives its connection.</param>
    /// <param name="lifetimes">What was made; null on failure.</param>
    /// <returns>0 or a negative error number.</returns>
    public static int Open(SteeredNode node, TimeSpan grace, out Lifetimes? lifetimes)
    {
        int result = TcpEndMonitor.Open(out TcpEndMonitor? monitor);
        lifetimes = monitor is null ? null : new Lifetimes(node, grace, monitor);
        return result;
    }

    /// <summary>A connection was taken. To be called before anybody else has its descriptor.</summary>
    /// <param name="fd">Its socket.</param>
    /// <param name="request">How it came.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="origin">Who is told of its end.</param>
    public void Watch(int fd, Prepare request, TcpEnd local, IMessageSender origin)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (TcpSocket.GetCookie(fd, out ulong cookie) == 0)
        {
            var taken = new Taken(request, local, origin);
            _owners[(local, request.Remote)] = taken;
            _taken[cookie] = taken;
        }
    }

    /// <summary>A connection comes to these ends: what is still there of an earlier one's is not taken away any more.</summary>
    public void Claim(TcpEnd local, TcpEnd remote) => _owners[(local, remote)] = new object();

    /// <summary>How a connection came here from another node, if it did.</summary>
    public Prepare? FindTaken(int fd) =>
        TcpSocket.GetCookie(fd, out ulong cookie) == 0 && _taken.TryGetValue(cookie, out Taken? taken) ? taken.Request : null;

    /// <summary>
    /// A connection leaves. If it came from another node, its anchor hears where it goes, unless it goes there; what this node has
    /// of it stays until nothing comes by way of this node any more.
    /// </summary>
    /// <param name="fd">Its socket, which is still there.</param>
    /// <param name="move">Number of the move.</param>
    /// <param name="target">The end that it has at its new owner.</param>
    /// <param name="epoch">The move's epoch.</param>
    public void Leave(int fd, ulong move, TcpEnd target, uint epoch)
    {
        if (TcpSocket.GetCookie(fd, out ulong cookie) < 0 || !_taken.TryRemove(cookie, out Taken? taken))
        {
            return;
        }

        Prepare request = taken.Request;
        if (taken.IsHome)
        {
            Disown(taken);
            return;
        }

        if (target.Address == request.Known.Address)
        {
            After(() => Forget(taken));
            return;
        }

        _left[move] = taken;
        _ = taken.Origin.SendAsync(
            new Moved(move, epoch, request.Known, request.Remote, target), CancellationToken.None).AsTask();
    }

    /// <summary>A connection that this node gave away has moved on.</summary>
    /// <param name="moved">What its owner says.</param>
    /// <param name="owner">Who said so, and hears that it is done.</param>
    public void Repoint(Moved moved, IMessageSender owner)
    {
        ArgumentNullException.ThrowIfNull(moved);
        ArgumentNullException.ThrowIfNull(owner);

        // What is not confirmed stays with the owner, which sends on what comes.
        if (_node.Layer.Repoint(moved.Known, moved.Remote, moved.Target, moved.Epoch) == 0)
        {
            _ = owner.SendAsync(new Repointed(moved.Move), CancellationToken.None).AsTask();
        }
    }

    /// <summary>The anchor of a connection that left sends nothing this way any more.</summary>
    public void Finish(Repointed repointed)
    {
        ArgumentNullException.ThrowIfNull(repointed);
        if (_left.TryRemove(repointed.Move, out Taken? taken))
        {
            After(() => Forget(taken));
        }
    }

    /// <summary>A connection that this node gave away has ended at its owner.</summary>
    public void Bury(Ended ended)
    {
        ArgumentNullException.ThrowIfNull(ended);
        if (_node.Layer.Bury(ended.Known, ended.Remote, ended.Epoch) == 0)
        {
            After(() => _node.Layer.ForgetBuried(ended.Known, ended.Remote, ended.Epoch));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_stopped.IsCancellationRequested)
        {
            _stopped.Cancel();
            _reader.Join();
            _monitor.Dispose();
        }
    }

    private void ReadUntilStopped()
    {
        Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = _monitor.FileDescriptor, Events = PollIn }];
        while (!_stopped.IsCancellationRequested)
        {
            if (Libc.Poll(wait, StopPollMilliseconds) <= 0)
            {
                continue;
            }

            while (_monitor.Receive(out DiagnosedSocket socket) is not TcpEndEvent.None)
            {
                if (_taken.TryRemove(socket.Cookie, out Taken? taken))
                {
                    End(taken);
                }
            }
        }
    }

    private void End(Taken taken)
    {
        Prepare request = taken.Request;
        if (taken.IsHome)
        {
            Disown(taken);
            return;
        }

        _ = taken.Origin.SendAsync(
            new Ended(request.Move, request.Epoch, request.Known, request.Remote), CancellationToken.None).AsTask();
        After(() => Forget(taken));
    }

    private void Forget(Taken taken)
    {
        if (Disown(taken))
        {
            _node.Layer.Forget(taken.Local, taken.Request.Remote);
            _node.Layer.ForgetTranslation(taken.Local, taken.Request.Remote);
        }
    }

    /// <summary>Whether the entries were still this connection's.</summary>
    private bool Disown(Taken taken) =>
        _owners.TryRemove(new KeyValuePair<(TcpEnd, TcpEnd), object>((taken.Local, taken.Request.Remote), taken));

    private void After(Action action) => _ = Task.Delay(_grace, _stopped.Token).ContinueWith(
        _ => action(), _stopped.Token, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);

    private sealed class Taken(Prepare request, TcpEnd local, IMessageSender origin)
    {
        public Prepare Request => request;

        public TcpEnd Local => local;

        public IMessageSender Origin => origin;

        /// <summary>Given away here once, and back: there are no entries, only the count of its moves.</summary>
        public bool IsHome => local == request.Known;
    }
}
