// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
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
    public int TakenCount => _taken.Count;

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
        if (TcpSocket.GetCookie(fd, out ulong cookie) == 0)
        {
            _taken[cookie] = new Taken(request, local, origin);
        }
    }

    /// <summary>Whether a connection came from another node.</summary>
    public bool HasTaken(int fd) => TcpSocket.GetCookie(fd, out ulong cookie) == 0 && _taken.ContainsKey(cookie);

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
        _ = taken.Origin.SendAsync(
            new Ended(request.Move, request.Epoch, request.Known, request.Remote), CancellationToken.None).AsTask();
        After(() => _node.Layer.ForgetTranslation(taken.Local, request.Remote));
    }

    private void After(Action action) => _ = Task.Delay(_grace, _stopped.Token).ContinueWith(
        _ => action(), _stopped.Token, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);

    private sealed record Taken(Prepare Request, TcpEnd Local, IMessageSender Origin);
}
