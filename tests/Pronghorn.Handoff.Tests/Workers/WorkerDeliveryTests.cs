// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Tests.Image;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

/// <summary>Connections come for a worker that does not read.</summary>
public sealed class WorkerDeliveryTests : IDisposable
{
    private const int Count = 20;
    private const int ContentLength = 60_000;
    private const int LimitMilliseconds = 30_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-delivery-").FullName;
    private readonly WorkerServer _server;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _control;
    private readonly Socket _delivery;
    private readonly List<Socket> _clients = [];
    private readonly List<Socket> _accepted = [];

    public WorkerDeliveryTests()
    {
        _server = new WorkerServer(_folder, 1, static (_, _) => Task.FromResult(Refusal.None));
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(Count);
        _control = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified) { ReceiveTimeout = LimitMilliseconds };
        _control.Connect(new UnixDomainSocketEndPoint(WorkerServer.PathOf(_folder, "las", 0)));
        (_delivery, Socket daemons) = Pair();
        using (daemons)
        {
            Ask(new WorkerMessage(WorkerMessageKind.Hello), (int)daemons.Handle);
        }

        Ask(new WorkerMessage(WorkerMessageKind.Register) { End = Listening }, (int)_listener.Handle);
    }

    private TcpEnd Listening => new(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)_listener.LocalEndPoint!).Port);

    [Fact]
    public void WorkerDoesNotRead_NoMoreAreGiven_AndThoseThatWereComeInOrderWhenItDoes()
    {
        Assert.True(_server.Serves(Listening, 0));
        List<IGivenConnection> given = Deliver(Count, out Refusal refusal);

        // What does not fit stays where it was: it can, before it is live.
        Assert.Equal(RefusalReason.Limit, refusal.Reason);
        Assert.InRange(given.Count, 1, Count - 1);
        Assert.False(_server.Serves(Listening, 0), "it takes more, and does not read");
        Assert.Equal(1, _server.UndeliveredCount);
        Assert.DoesNotContain(_clients, HasHeard);
        given.ForEach(static one => one.Release(isLive: true));

        byte[] buffer = new byte[WorkerMessage.MaximumLength];
        Dictionary<uint, int> numbers = [];
        for (int i = 0; i < given.Count; i++)
        {
            using Socket came = ReceiveConnection(buffer, out WorkerMessage message);
            Assert.Equal(ContentLength, message.Consumed.Length);
            Assert.Equal(i, BinaryPrimitives.ReadInt32BigEndian(message.Consumed.Span));
            Assert.Equal(((IPEndPoint)_clients[i].LocalEndPoint!).Port, message.End.Port);
            came.Send("it is here"u8);
            Assert.Equal(10, _clients[i].Receive(new byte[20]));
            numbers[message.Sequence] = i;
        }

        // Word of each that it is live has waited for room, and comes in order too.
        for (int i = 0; i < given.Count; i++)
        {
            int length = _delivery.Receive(buffer);
            var message = WorkerMessage.Read(buffer.AsSpan(0, length));
            Assert.Equal((WorkerMessageKind.Release, i, 0), (message.Kind, numbers[message.Sequence], message.Result));
        }

        AssertSoon(() => _server.Serves(Listening, 0), "it has read everything, and is given nothing");
    }

    [Fact]
    public void NoWorkerIsThere_ConnectionIsRefused_AndCounted()
    {
        _control.Dispose();
        AssertSoon(() => _server.RegisteredCount == 0, "the worker's registration stays");

        Assert.Empty(Deliver(1, out Refusal refusal));

        Assert.Equal(RefusalReason.NoWorker, refusal.Reason);
        Assert.Equal(1, _server.UndeliveredCount);
        Assert.False(HasHeard(_clients[0]));
    }

    public void Dispose()
    {
        _server.Dispose();
        _clients.ForEach(static client => client.Dispose());
        _accepted.ForEach(static accepted => accepted.Dispose());
        _control.Dispose();
        _delivery.Dispose();
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static bool HasHeard(Socket client) => client.Poll(0, SelectMode.SelectRead);

    private static void AssertSoon(Func<bool> holds, string otherwise)
    {
        for (long end = Environment.TickCount64 + LimitMilliseconds; !holds(); Thread.Yield())
        {
            Assert.True(Environment.TickCount64 < end, otherwise);
        }
    }

    /// <summary>Gives the worker connections, until one is refused; each has its number at the beginning of what goes along.</summary>
    private List<IGivenConnection> Deliver(int count, out Refusal refusal)
    {
        List<IGivenConnection> all = [];
        refusal = Refusal.None;
        for (int i = 0; i < count && refusal.IsNone; i++)
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = LimitMilliseconds };
            _clients.Add(client);
            client.Connect(_listener.LocalEndPoint!);
            Socket accepted = _listener.Accept();
            _accepted.Add(accepted);
            Assert.Equal(0, TcpSocket.GetRemote((int)accepted.Handle, out TcpEnd remote));
            byte[] consumed = new byte[ContentLength];
            BinaryPrimitives.WriteInt32BigEndian(consumed, i);
            ConnectionImage image = TestImage.Of(Listening, remote) with { Consumed = consumed };
            refusal = _server.TryGive(Listening, 0, (int)accepted.Handle, image, out IGivenConnection? given);
            if (given is not null)
            {
                all.Add(given);
            }
        }

        return all;
    }

    private Socket ReceiveConnection(byte[] buffer, out WorkerMessage message)
    {
        Assert.True(_delivery.Poll(TimeSpan.FromMilliseconds(LimitMilliseconds), SelectMode.SelectRead), "no connection comes");
        long length = DescriptorPassing.Receive((int)_delivery.Handle, buffer, out int fd);
        Assert.True(length > 0 && fd >= 0, $"{length} bytes came with descriptor {fd}");
        message = WorkerMessage.Read(buffer.AsSpan(0, (int)length));
        Assert.Equal(WorkerMessageKind.Connection, message.Kind);
        return new Socket(new SafeSocketHandle(fd, ownsHandle: true));
    }

    private void Ask(WorkerMessage question, int fd)
    {
        byte[] bytes = question.ToBytes();
        Assert.Equal(bytes.Length, DescriptorPassing.Send((int)_control.Handle, bytes, fd));
        byte[] answer = new byte[WorkerMessage.MaximumLength];
        Assert.Equal(0, WorkerMessage.Read(answer.AsSpan(0, _control.Receive(answer))).Result);
    }

    /// <summary>Two sockets that are connected, as socketpair(2) makes them.</summary>
    private (Socket Own, Socket Other) Pair()
    {
        string path = Path.Combine(_folder, "pair");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var own = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        own.Connect(new UnixDomainSocketEndPoint(path));
        return (own, listener.Accept());
    }
}
