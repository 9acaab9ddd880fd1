// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Image;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Client;

/// <summary>The worker's side in C#, against the daemon's side of the same sockets.</summary>
public sealed class HandoffClientTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-client-").FullName;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly TaskCompletionSource _mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly WorkerServer _server;
    private int _waiting;

    public HandoffClientTests()
    {
        _server = new WorkerServer(_folder, 1, HandOffAsync);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    private TcpEnd Listening => new(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)_listener.LocalEndPoint!).Port);

    [Fact]
    public async Task Listener_IsRegistered_AndUnregistered()
    {
        await using HandoffClient client = await ConnectAsync();
        Assert.True((await client.RegisterAsync(_listener.SafeHandle, Listening, 0)).IsDone);
        Assert.True(_server.Serves(Listening, 0));
        HandoffResult wrong = await client.RegisterAsync(_listener.SafeHandle, Listening with { Port = 1 }, 0);
        Assert.Equal(RefusalReason.NotAConnection, wrong.Reason);
        Assert.Contains("not at 127.0.0.1:1", wrong.Text, StringComparison.Ordinal);
        Assert.True((await client.UnregisterAsync(Listening, 0)).IsDone);
        Assert.False(_server.Serves(Listening, 0));
    }

    [Fact]
    public async Task ConnectionThatComes_IsTakenWithWhatWasRead()
    {
        await using HandoffClient client = await ConnectAsync();
        await client.RegisterAsync(_listener.SafeHandle, Listening, 0);
        using var peer = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await peer.ConnectAsync(_listener.LocalEndPoint!);
        using Socket accepted = await _listener.AcceptAsync();
        var remote = new TcpEnd(Listening.Address, (ushort)((IPEndPoint)peer.LocalEndPoint!).Port);
        ConnectionImage image = TestImage.Of(Listening, remote) with { Consumed = "GET /"u8.ToArray(), Tag = new byte[] { 7 } };
        Assert.True(_server.TryGive(Listening, 0, (int)accepted.Handle, image, out IGivenConnection? withdrawn).IsNone);
        Assert.True(_server.TryGive(Listening, 0, (int)accepted.Handle, image, out IGivenConnection? given).IsNone);
        Assert.False(client.Connections.TryRead(out _));
        withdrawn!.Release(isLive: false);
        given!.Release(isLive: true);

        ReceivedConnection received = await client.Connections.ReadAsync().AsTask().WaitAsync(s_patience);
        Assert.Equal((remote, "GET /", 7), (received.Peer, Encoding.ASCII.GetString(received.Consumed.Span), received.Tag.Span[0]));
        Assert.False(accepted.LingerState!.Enabled, "a connection that is closed here resets the one that others have");
        using Socket socket = received.ToSocket();
        accepted.Dispose();
        await socket.SendAsync("hello"u8.ToArray());
        byte[] buffer = new byte[16];
        Assert.Equal(5, await peer.ReceiveAsync(buffer));
    }

    [Fact]
    public async Task ManyHandoffs_AreUnderWayAtOnce_AndEachGetsItsAnswer()
    {
        const int Count = 200;
        await using HandoffClient client = await ConnectAsync();
        Task<HandoffResult>[] asked =
        [
            .. Enumerable.Range(0, Count).Select(number => client.HandOffAsync(
                _listener.SafeHandle, Listening, (uint)number, new byte[number * 300])),
        ];
        SpinWait.SpinUntil(() => Volatile.Read(ref _waiting) == Count, s_patience);
        Assert.Equal(Count, client.OutstandingCount);
        _mayAnswer.SetResult();
        HandoffResult[] answers = await Task.WhenAll(asked).WaitAsync(s_patience);
        for (int i = 0; i < Count; i++)
        {
            Assert.Equal(i % 2 == 0, answers[i].IsDone);
            Assert.Equal(i % 2 == 0 ? "" : FormattableString.Invariant($"number {i} (Peer)"), answers[i].Text);
        }

        Assert.Equal(0, client.OutstandingCount);
    }

    [Fact]
    public async Task Cancellation_EndsTheWaiting_AndOthersGoOn()
    {
        await using HandoffClient client = await ConnectAsync();
        using var cancelled = new CancellationTokenSource();
        Task<HandoffResult> first = client.HandOffAsync(_listener.SafeHandle, Listening, 0, default, default, cancelled.Token);
        Task<HandoffResult> second = client.HandOffAsync(_listener.SafeHandle, Listening, 2, default);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        _mayAnswer.SetResult();
        Assert.True((await second.WaitAsync(s_patience)).IsDone);
    }

    [Fact]
    public async Task DaemonGoes_CallsEnd_AndItIsTold()
    {
        await using HandoffClient client = await ConnectAsync();
        client.Patience = TimeSpan.FromMilliseconds(200);
        Task<HandoffResult> waiting = client.HandOffAsync(_listener.SafeHandle, Listening, 0, default);
        SpinWait.SpinUntil(() => Volatile.Read(ref _waiting) == 1, s_patience);
        _server.Dispose();
        await client.Ended.WaitAsync(s_patience);
        IOException gone = await Assert.ThrowsAsync<IOException>(() => waiting.WaitAsync(s_patience));
        Assert.Contains("has gone", gone.Message, StringComparison.Ordinal);
        await client.Connections.Completion.WaitAsync(s_patience);
        await Assert.ThrowsAsync<IOException>(() => client.UnregisterAsync(Listening, 0));
        IOException absent = await Assert.ThrowsAsync<IOException>(ConnectAsync);
        Assert.Contains("las-0.sock", absent.Message, StringComparison.Ordinal);
        _mayAnswer.SetResult();
    }

    [Fact]
    public async Task Batch_IsAskedForTogether_AndEachHasItsAnswer()
    {
        const int Count = 100;
        await using HandoffClient client = await ConnectAsync();
        HandoffRequest[] batch = [.. Enumerable.Range(0, Count).Select(i => new HandoffRequest(_listener.SafeHandle, Listening, (uint)i))];
        Task<IReadOnlyList<HandoffResult>> moving = client.HandOffAllAsync(batch);
        SpinWait.SpinUntil(() => Volatile.Read(ref _waiting) > 1, s_patience);
        Assert.InRange(Volatile.Read(ref _waiting), 2, Count - 1);
        _mayAnswer.SetResult();

        IReadOnlyList<HandoffResult> results = await moving.WaitAsync(s_patience);

        Assert.Equal(Enumerable.Range(0, Count).Select(static i => i % 2 == 0), results.Select(static one => one.IsDone));
        Assert.Contains("number 7", results[7].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Batch_Cancelled_WhatIsUnderWayIsFinished_AndTheRestIsNotBegun()
    {
        await using HandoffClient client = await ConnectAsync();
        HandoffRequest[] batch = [.. Enumerable.Range(0, 100).Select(i => new HandoffRequest(_listener.SafeHandle, Listening, 2))];
        using var cancelled = new CancellationTokenSource();
        Task<IReadOnlyList<HandoffResult>> moving = client.HandOffAllAsync(batch, cancelled.Token);
        SpinWait.SpinUntil(() => Volatile.Read(ref _waiting) > 1, s_patience);
        await cancelled.CancelAsync();
        _mayAnswer.SetResult();

        IReadOnlyList<HandoffResult> results = await moving.WaitAsync(s_patience);

        Assert.Equal(Volatile.Read(ref _waiting), results.Count(static one => one.IsDone));
        Assert.All(results.Where(static one => !one.IsDone), static one => Assert.Equal(RefusalReason.Refused, one.Reason));
        Assert.Contains(results, static one => !one.IsDone);
    }

    /// <summary>Its client would wait for ever for what is in repair, and nobody has it any more.</summary>
    [Fact]
    public async Task DaemonGoes_WhileSomethingComes_AndTheWorkerDoesNotWait_TheNextDaemonIsAskedNevertheless()
    {
        HandoffClient client = await ConnectAsync();
        Assert.True((await client.RegisterAsync(_listener.SafeHandle, Listening, 0)).IsDone);
        using var coming = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await coming.ConnectAsync(_listener.LocalEndPoint!);
        ConnectionImage image = TestImage.Of(Listening, Listening);
        Assert.True(_server.TryGive(Listening, 0, (int)coming.Handle, image, out _).IsNone);
        _server.Dispose();
        await client.Ended.WaitAsync(s_patience);
        await client.DisposeAsync();
        var asked = new TaskCompletionSource<WorkerMessageKind>();

        using var next = new WorkerServer(_folder, 1, HandOffAsync, (message, _) =>
        {
            asked.TrySetResult(message.Kind);
            return Task.FromResult(Refusal.None);
        });

        Assert.Equal(WorkerMessageKind.Finish, await asked.Task.WaitAsync(s_patience));
        using Socket server = await _listener.AcceptAsync();
        SocketException reset = await Assert.ThrowsAsync<SocketException>(
            async () => await server.ReceiveAsync(new byte[1]).WaitAsync(s_patience));
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
    }

    [Fact]
    public async Task TooMuchContent_IsRefusedHere()
    {
        await using HandoffClient client = await ConnectAsync();
        await Assert.ThrowsAsync<ArgumentException>(() => client.HandOffAsync(
            _listener.SafeHandle, Listening, 0, new byte[WorkerMessage.MaximumContent], new byte[1]));
        Assert.Equal(0, client.OutstandingCount);
    }

    [Fact]
    public async Task Disposed_ItTakesNoMoreCalls()
    {
        HandoffClient client = await ConnectAsync();
        await client.DisposeAsync();
        Assert.True(client.Ended.IsCompleted);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.UnregisterAsync(Listening, 0));
        await client.DisposeAsync();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _server.Dispose();
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private Task<HandoffClient> ConnectAsync() => HandoffClient.ConnectAsync(WorkerService.Las, 0, _folder);

    private async Task<Refusal> HandOffAsync(WorkerMessage request, int fd)
    {
        Interlocked.Increment(ref _waiting);
        await _mayAnswer.Task;
        return request.Worker % 2 == 0
            ? Refusal.None
            : new Refusal(RefusalReason.Peer, FormattableString.Invariant($"number {request.Worker}"));
    }
}
