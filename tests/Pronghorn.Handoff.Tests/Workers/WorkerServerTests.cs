// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

/// <summary>The daemon's side of the workers' sockets, and workers that do not behave.</summary>
public sealed class WorkerServerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-workers-").FullName;
    private readonly ConcurrentQueue<WorkerMessage> _asked = new();
    private readonly ConcurrentQueue<TcpEnd> _recovered = new();
    private readonly WorkerServer _server;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    // What the moves wait for.
    private Task _end = Task.CompletedTask;

    public WorkerServerTests()
    {
        _server = new WorkerServer(_folder, 2, HandOffAsync, RecoverAsync);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
    }

    private TcpEnd Listening => new(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)_listener.LocalEndPoint!).Port);

    [Fact]
    public void Listener_OfTheWorkersOwn_IsRegistered_AndGoesWithIt()
    {
        using (Worker worker = Connect())
        {
            Assert.Equal(0, worker.Ask(Register(Listening), (int)_listener.Handle).Result);
            Assert.True(_server.Serves(Listening, 0));
            Assert.False(_server.Serves(Listening, 1));
            Assert.Equal((int)RefusalReason.Busy, Ask(Register(Listening)));
            Assert.Equal((int)RefusalReason.NoWorker, Ask(new WorkerMessage(WorkerMessageKind.Unregister) { End = Listening }));
        }

        AssertSoon(() => _server.RegisteredCount == 0);
    }

    [Fact]
    public void Unregistered_IsServedNoMore()
    {
        using Worker worker = Connect();
        worker.Ask(Register(Listening), (int)_listener.Handle);
        Assert.Equal(0, worker.Ask(new WorkerMessage(WorkerMessageKind.Unregister) { End = Listening }, (int)_listener.Handle).Result);
        Assert.False(_server.Serves(Listening, 0));
    }

    [Fact]
    public void Registration_OfWhatTheDescriptorIsNot_IsRefused()
    {
        Assert.Equal((int)RefusalReason.NotAConnection, Ask(Register(Listening with { Port = 1 })));
        Assert.Equal((int)RefusalReason.NotAConnection, Ask(Register(Listening with { Address = IpAddress.Parse("127.0.0.2") })));
        using var unbound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using Worker worker = Connect();
        Assert.Equal((int)RefusalReason.NotAConnection, worker.Ask(Register(Listening), (int)unbound.Handle).Result);
        Assert.Equal((int)RefusalReason.NotAConnection, worker.Ask(Register(Listening), -1).Result);
        using FileStream file = File.OpenRead("/dev/null");
        int other = (int)file.SafeFileHandle.DangerousGetHandle();
        Assert.Equal((int)RefusalReason.NotAConnection, worker.Ask(Register(Listening), other).Result);
        Assert.Equal(0, _server.RegisteredCount);
    }

    [Fact]
    public void Registration_BeforeHello_IsRefused()
    {
        using Worker worker = Connect(saysHello: false);
        Assert.Equal((int)RefusalReason.NoWorker, worker.Ask(Register(Listening), (int)_listener.Handle).Result);
    }

    [Fact]
    public void Handoff_IsPassedOn_AndItsRefusalComesBackInWords()
    {
        using Worker worker = Connect();
        var question = new WorkerMessage(WorkerMessageKind.Handoff)
        {
            Sequence = 9,
            End = new TcpEnd(IpAddress.Parse("10.0.0.9"), 80),
            Worker = 3,
            Consumed = "GET "u8.ToArray(),
            Tag = new byte[] { 1 },
        };
        WorkerMessage answer = worker.Ask(question, (int)_listener.Handle);
        Assert.Equal((9u, (int)RefusalReason.Peer), (answer.Sequence, answer.Result));
        Assert.Equal("nobody is there (Peer)", Encoding.UTF8.GetString(answer.Tag.Span));
        Assert.True(_asked.TryDequeue(out WorkerMessage? asked));
        Assert.Equal((question.End, 3u, "GET "), (asked.End, asked.Worker, Encoding.UTF8.GetString(asked.Consumed.Span)));
    }

    [Fact]
    public void MoreHandoffsThanTheQuota_AreRefusedInWords_AndGoThroughLater()
    {
        string folder = Path.Combine(_folder, "quota");
        using var server = new WorkerServer(folder, 1, HandOffAsync, movesPerSecond: 1);
        using var worker = new Worker(WorkerServer.PathOf(folder, "las", 0), saysHello: true);
        var question = new WorkerMessage(WorkerMessageKind.Handoff);
        AssertSoon(() => worker.Ask(question, (int)_listener.Handle).Result == (int)RefusalReason.Limit);
        AssertSoon(() => worker.Ask(question, (int)_listener.Handle).Result == (int)RefusalReason.Peer);
        AssertSoon(() => Encoding.UTF8.GetString(worker.Ask(question, (int)_listener.Handle).Tag.Span)
            == "this worker has had 1 connections moved in a second (worker_moves_per_second) (Limit)");
    }

    [Fact]
    public void TooManyHandoffsAtOnce_TheNextIsRefused_UntilOneHasEnded()
    {
        const int Most = 256;
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _end = told.Task;
        using Worker worker = Connect();
        for (uint i = 0; i < Most; i++)
        {
            worker.Send(new WorkerMessage(WorkerMessageKind.Handoff) { Sequence = i }, (int)_listener.Handle);
        }

        // The only answer so far: the others are under way.
        WorkerMessage answer = worker.Ask(new WorkerMessage(WorkerMessageKind.Handoff) { Sequence = Most }, (int)_listener.Handle);
        Assert.Equal(((uint)Most, (int)RefusalReason.Limit), (answer.Sequence, answer.Result));
        Assert.Contains("256 connections", Encoding.UTF8.GetString(answer.Tag.Span), StringComparison.Ordinal);
        AssertSoon(() => _asked.Count == Most);

        // It is this worker's limit.
        using (Worker other = Connect())
        {
            other.Send(new WorkerMessage(WorkerMessageKind.Handoff), (int)_listener.Handle);
            AssertSoon(() => _asked.Count == Most + 1);
        }

        told.SetResult();
        HashSet<uint> answered = [];
        for (int i = 0; i < Most; i++)
        {
            answer = worker.Receive();
            Assert.Equal((int)RefusalReason.Peer, answer.Result);
            answered.Add(answer.Sequence);
        }

        Assert.Equal(Most, answered.Count);

        // The last is counted until a moment after its answer.
        AssertSoon(() => worker.Ask(new WorkerMessage(WorkerMessageKind.Handoff), (int)_listener.Handle).Result == (int)RefusalReason.Peer);
    }

    [Fact]
    public void Recover_PassesTheConnectionOn_AndAnswersWhatBecameOfIt()
    {
        // It asks as a worker that the daemon does not know yet.
        using Worker worker = Connect(saysHello: false);
        WorkerMessage answer = worker.Ask(new WorkerMessage(WorkerMessageKind.Recover) { Sequence = 4 }, (int)_listener.Handle);
        Assert.Equal((4u, (int)RefusalReason.Busy), (answer.Sequence, answer.Result));
        Assert.Equal("it stays (Busy)", Encoding.UTF8.GetString(answer.Tag.Span));
        Assert.Equal([Listening], _recovered);

        // And goes on.
        Assert.Equal((int)RefusalReason.Busy, worker.Ask(new WorkerMessage(WorkerMessageKind.Recover), (int)_listener.Handle).Result);
    }

    [Fact]
    public void Recover_WithoutADescriptor_EndsTheSocket()
    {
        using Worker worker = Connect(saysHello: false);
        worker.Send(new WorkerMessage(WorkerMessageKind.Recover), -1);
        Assert.True(worker.HasEnded());
        Assert.Empty(_recovered);
    }

    [Theory]
    [InlineData("")]
    [InlineData("GET / HTTP/1.1")]
    public void Garbage_EndsThatWorkersSocket_AndNoOther(string text)
    {
        using Worker good = Connect();
        using Worker bad = Connect();
        bad.Send(text.Length > 0 ? Encoding.ASCII.GetBytes(text) : new byte[WorkerMessage.MaximumLength + 1]);
        Assert.True(bad.HasEnded());
        Assert.Equal(0, good.Ask(Register(Listening), (int)_listener.Handle).Result);
    }

    [Fact]
    public void ManySessions_AreBounded_ForEachSocketAndProcess()
    {
        // Of one process, which this is; another worker's socket has its own.
        const int Most = 4;
        using Worker worker = Connect();
        Socket[] more = new Socket[Most + 1];
        for (int i = 0; i < more.Length; i++)
        {
            more[i] = Worker.Open(WorkerServer.PathOf(_folder, "vlb", 1));
        }

        Assert.Equal(0, more[^1].Receive(new byte[1]));
        AssertSoon(() => _server.RejectedCount == 1);
        Assert.Equal(0, worker.Ask(Register(Listening), (int)_listener.Handle).Result);
        Array.ForEach(more, static socket => socket.Dispose());

        // Who has gone leaves its place.
        AssertSoon(() =>
        {
            using Socket again = Worker.Open(WorkerServer.PathOf(_folder, "vlb", 1));
            Assert.Equal(8, DescriptorPassing.Send((int)again.Handle, "nonsense"u8, -1));
            long before = _server.RejectedCount;
            return again.Receive(new byte[1]) == 0 && _server.RejectedCount == before;
        });
    }

    [Fact]
    public void Ended_LeavesNoSocketBehind()
    {
        Assert.NotEmpty(Directory.GetFiles(_folder));
        _server.Dispose();
        Assert.Empty(Directory.GetFiles(_folder));
    }

    public void Dispose()
    {
        _server.Dispose();
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static WorkerMessage Register(TcpEnd end) => new(WorkerMessageKind.Register) { End = end };

    private static void AssertSoon(Func<bool> holds)
    {
        for (long end = Environment.TickCount64 + 30_000; !holds();)
        {
            Assert.True(Environment.TickCount64 < end, "not within half a minute");
        }
    }

    private async Task<Refusal> HandOffAsync(WorkerMessage request, int fd)
    {
        Assert.True(TcpSocket.IsListening(fd));
        _asked.Enqueue(request);
        await _end;
        return new Refusal(RefusalReason.Peer, "nobody is there");
    }

    private Task<Refusal> RecoverAsync(WorkerMessage message, int fd)
    {
        Assert.Equal(0, TcpSocket.GetLocal(fd, out TcpEnd local, out _));
        _recovered.Enqueue(local);
        return Task.FromResult(new Refusal(RefusalReason.Busy, "it stays"));
    }

    /// <summary>Asks as a worker of its own.</summary>
    private int Ask(WorkerMessage question)
    {
        using Worker other = Connect();
        return other.Ask(question, (int)_listener.Handle).Result;
    }

    private Worker Connect(bool saysHello = true) => new(WorkerServer.PathOf(_folder, "las", 0), saysHello);

    private sealed class Worker : IDisposable
    {
        private readonly Socket _control;
        private readonly Socket? _delivery;

        public Worker(string path, bool saysHello)
        {
            _control = Open(path);
            if (saysHello)
            {
                // Any connected socket serves: nothing comes by it here.
                _delivery = Open(path);
                Assert.Equal(0, Ask(new WorkerMessage(WorkerMessageKind.Hello), (int)_delivery.Handle).Result);
            }
        }

        public static Socket Open(string path)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return socket;
        }

        public void Send(byte[] bytes) => Assert.Equal(bytes.Length, DescriptorPassing.Send((int)_control.Handle, bytes, -1));

        public WorkerMessage Ask(WorkerMessage question, int fd)
        {
            Send(question, fd);
            return Receive();
        }

        public void Send(WorkerMessage question, int fd)
        {
            byte[] bytes = question.ToBytes();

            // It does not wait for room.
            AssertSoon(() => DescriptorPassing.Send((int)_control.Handle, bytes, fd) == bytes.Length);
        }

        public WorkerMessage Receive()
        {
            byte[] answer = new byte[WorkerMessage.MaximumLength];
            int length = _control.Receive(answer);
            return WorkerMessage.Read(answer.AsSpan(0, length));
        }

        public bool HasEnded()
        {
            try
            {
                return _control.Receive(new byte[1]) == 0;
            }
            catch (SocketException reset)
            {
                return reset.SocketErrorCode == SocketError.ConnectionReset;
            }
        }

        public void Dispose()
        {
            _control.Dispose();
            _delivery?.Dispose();
        }
    }
}
