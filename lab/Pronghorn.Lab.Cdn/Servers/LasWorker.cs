// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Events;
using Pronghorn.Lab.Cdn.Topology;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>One thread of a server: its listener, its connection to the handoff daemon, and the sessions that came by either.</summary>
internal sealed class LasWorker : IDisposable
{
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(200);

    // A daemon waits 2 s for another one.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(3);

    private readonly EventLoop _loop = new();
    private readonly Socket _listener;
    private readonly LdsClient? _lds;
    private readonly HashSet<LasSession> _sessions = [];
    private readonly Action<string> _say;
    private HandoffClient? _handoff;
    private DaemonState _daemon;
    private int _underWay;
    private long _heard;
    private uint _nextWorker;

    internal LasWorker(LasOptions options, int index, Socket listener, ContentCache cache, LasCounts counts, Action<string> say)
    {
        _say = say;
        Options = options;
        Index = index;
        _listener = listener;
        Cache = cache;
        Counts = counts;
        Relay = new Relay(_loop);
        _lds = options.Lds is { } lds ? new LdsClient(_loop, lds) : null;
    }

    internal LasOptions Options { get; }

    internal int Index { get; }

    internal ContentCache Cache { get; }

    internal LasCounts Counts { get; }

    internal Relay Relay { get; }

    /// <summary>Serves until cancelled; on a thread of its own.</summary>
    internal void Run(CancellationToken cancellation) => _loop.Run(async () =>
    {
        var stopped = new TaskCompletionSource();
        await using CancellationTokenRegistration registration = cancellation.Register(stopped.SetResult);
        Task accepting = AcceptAsync();
        Task following = Options.Way == LasWay.Handoff ? FollowDaemonAsync(cancellation) : Task.CompletedTask;
        await await Task.WhenAny(stopped.Task, accepting);
        await following;
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (LasSession session in (LasSession[])[.. _sessions])
        {
            session.Close();
        }

        _lds?.Dispose();
        Relay.Dispose();
        _listener.Dispose();
        _loop.Dispose();
    }

    /// <summary>Where a content is: null when it is here.</summary>
    /// <exception cref="UpstreamException">The LDS does not answer.</exception>
    internal ValueTask<TcpEnd?> FindOwnerAsync(string name) => FindAsync(static (lds, asked) => lds.FindAsync(asked), name);

    /// <summary>The node after this one, which a stream goes on to; null when there is no other.</summary>
    /// <exception cref="UpstreamException">The LDS does not answer.</exception>
    internal ValueTask<TcpEnd?> FindNextAsync() => FindAsync(static (lds, node) => lds.FindAfterAsync(node), Options.Node);

    private async ValueTask<TcpEnd?> FindAsync(Func<LdsClient, string, ValueTask<PopNode>> question, string name)
    {
        if (_lds is null)
        {
            return null;
        }

        PopNode node;
        try
        {
            node = await question(_lds, name);
        }
        catch (IOException failure)
        {
            throw new UpstreamException(failure.Message, failure);
        }

        return node.Name == Options.Node ? null
            : node.End.Port != 0 ? node.End : node.End with { Port = Options.Listen.Port };
    }

    /// <summary>Gives a connection to another node, with what was read of it and a tag. Whether it is there.</summary>
    internal async ValueTask<bool> TryHandOffAsync(
        LoopDescriptor connection, TcpEnd owner, ReadOnlyMemory<byte> consumed, ReadOnlyMemory<byte> tag = default)
    {
        if (await HandOffAsync(connection, owner, consumed, tag) is { } reason)
        {
            Counts.AddStayed(reason);
            return false;
        }

        Counts.AddGiven();
        return true;
    }

    private async ValueTask<string?> HandOffAsync(
        LoopDescriptor connection, TcpEnd owner, ReadOnlyMemory<byte> consumed, ReadOnlyMemory<byte> tag)
    {
        if (_handoff is not { } handoff)
        {
            return "no handoff daemon";
        }

        if (consumed.Length + tag.Length > WorkerMessage.MaximumContent)
        {
            return "too much was read that is not answered";
        }

        // What a daemon that hangs was given cannot be taken back, it may be moving it; no more is given to it.
        if (_underWay > 0 && Stopwatch.GetElapsedTime(_heard) > s_silence)
        {
            return "the handoff daemon does not answer";
        }

        _heard = _underWay++ == 0 ? Stopwatch.GetTimestamp() : _heard;
        try
        {
            uint worker = _nextWorker++ % (uint)Options.Workers;
            HandoffResult result = await handoff.HandOffAsync(connection.Handle, owner, worker, consumed, tag);
            return result.IsDone ? null : result.Text;
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            return failure.Message;
        }
        finally
        {
            _underWay--;
            _heard = Stopwatch.GetTimestamp();
        }
    }

    private async Task AcceptAsync()
    {
        // The loop closes what it watches: a descriptor of its own.
        int own = Libc.Duplicate((int)_listener.Handle);
        using var listener = new LoopDescriptor(_loop, own);
        while (true)
        {
            Begin(new LasSession(this, await listener.AcceptAsync()));
        }
    }

    private async Task FollowDaemonAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await using HandoffClient client =
                    await HandoffClient.ConnectAsync(WorkerService.Las, Index, Options.SocketDirectory, cancellation);
                HandoffResult result = await RegisterAsync(client, cancellation);
                if (!result.IsDone)
                {
                    Counts.AddStayed(result.Text);
                    Tell(DaemonState.Refuses, $"the handoff daemon does not take its connections: {result.Text}");
                }
                else
                {
                    Tell(DaemonState.Serves, "the handoff daemon is there");
                }

                if (result.IsDone || client.Ended.IsCompleted)
                {
                    await ServeDaemonAsync(client, cancellation);
                    Tell(DaemonState.Absent, "the handoff daemon has gone; requests for others' contents are relayed meanwhile");
                }
            }
            catch (IOException failure)
            {
                Counts.AddStayed(failure.Message);
                Tell(DaemonState.Absent, $"{failure.Message}; requests for others' contents are relayed meanwhile");
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                await Task.Delay(s_retry, cancellation);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Says what is news. By worker: each has a session of its own, and may lack the daemon where others do not.</summary>
    private void Tell(DaemonState state, string text)
    {
        DaemonState former = _daemon;
        _daemon = state;
        if (former != state && (former, state) != (DaemonState.Unknown, DaemonState.Serves))
        {
            _say(FormattableString.Invariant($"worker {Index}: {text}"));
        }
    }

    private async Task<HandoffResult> RegisterAsync(HandoffClient client, CancellationToken cancellation)
    {
        try
        {
            return await client.RegisterAsync(_listener.SafeHandle, Options.Listen, (uint)Index, cancellation);
        }
        catch (IOException failure)
        {
            // It has gone before it answered, and may have given something already.
            return new HandoffResult(RefusalReason.Peer, failure.Message);
        }
    }

    private async Task ServeDaemonAsync(HandoffClient client, CancellationToken cancellation)
    {
        _handoff = client;
        Counts.AddWorkers(1);
        try
        {
            await foreach (ReceivedConnection connection in client.Connections.ReadAllAsync(cancellation))
            {
                Counts.AddTaken();

                // The session closes its own copy.
                int own = Libc.Duplicate((int)connection.Socket.DangerousGetHandle());
                connection.Dispose();
                if (own >= 0)
                {
                    Begin(new LasSession(this, new LoopDescriptor(_loop, own), connection.Consumed, connection.Tag));
                }
            }
        }
        finally
        {
            _handoff = null;
            Counts.AddWorkers(-1);
        }
    }

    private void Begin(LasSession session)
    {
        _sessions.Add(session);
        _ = RunAsync(session);
    }

    private async Task RunAsync(LasSession session)
    {
        try
        {
            await session.RunAsync();
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The client has gone.
        }

        session.Close();
        _sessions.Remove(session);
    }

    private enum DaemonState
    {
        Unknown,
        Absent,
        Refuses,
        Serves,
    }
}
