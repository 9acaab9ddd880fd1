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
using Pronghorn.Handoff.Sockets;
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
    public void WorkerDoesNotRead_ConnectionsWait_AndComeInOrderWhenItDoes()
    {
        Assert.True(_server.Serves(Listening, 0));
        Deliver(Count);

        // They were asked for before it was known that it does not read; no more are.
        Assert.False(_server.Serves(Listening, 0), "it takes more, and does not read");
        Assert.Equal(0, _server.UndeliveredCount);
        Assert.DoesNotContain(_clients, HasHeard);

        byte[] buffer = new byte[WorkerMessage.MaximumLength];
        for (int i = 0; i < Count; i++)
        {
            using Socket came = ReceiveConnection(buffer, out WorkerMessage message);
            Assert.Equal(ContentLength, message.Consumed.Length);
            Assert.Equal(i, BinaryPrimitives.ReadInt32BigEndian(message.Consumed.Span));
            Assert.Equal(((IPEndPoint)_clients[i].LocalEndPoint!).Port, message.End.Port);
            came.Send("it is here"u8);
            Assert.Equal(10, _clients[i].Receive(new byte[20]));
        }

        AssertSoon(() => _server.Serves(Listening, 0), "it has read everything, and is given nothing");
        Assert.Equal(0, _server.UndeliveredCount);
    }

    [Fact]
    public void WorkerGoesWhileConnectionsWait_TheyAreCounted_AndTheirPeersSeeAReset()
    {
        Deliver(Count);
        Assert.Equal(0, _server.UndeliveredCount);

        // What is in its socket already is the worker's, whose end is another matter.
        _control.Dispose();

        AssertSoon(() => _server.UndeliveredCount > 0, "nothing is counted");
        int reset = (int)_server.UndeliveredCount;
        Assert.InRange(reset, 1, Count - 1);
        AssertSoon(() => _clients.Count(HasHeard) == reset, $"{_clients.Count(HasHeard)} peers have heard of {reset}");
        foreach (Socket client in _clients.TakeLast(reset))
        {
            var heard = Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
            Assert.Equal(SocketError.ConnectionReset, heard.SocketErrorCode);
        }

        Assert.DoesNotContain(_clients.SkipLast(reset), HasHeard);
        Assert.False(_server.Serves(Listening, 0));
    }

    [Fact]
    public void NoWorkerIsThere_ConnectionIsCounted_AndItsPeerSeesAReset()
    {
        _control.Dispose();
        AssertSoon(() => _server.RegisteredCount == 0, "the worker's registration stays");

        Deliver(1);

        Assert.Equal(1, _server.UndeliveredCount);
        var heard = Assert.Throws<SocketException>(() => _clients[0].Receive(new byte[1]));
        Assert.Equal(SocketError.ConnectionReset, heard.SocketErrorCode);
    }

    public void Dispose()
    {
        _server.Dispose();
        _clients.ForEach(static client => client.Dispose());
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

    /// <summary>Gives the worker connections; each has its number at the beginning of what goes along.</summary>
    private void Deliver(int count)
    {
        for (int i = 0; i < count; i++)
        {
            var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = LimitMilliseconds };
            _clients.Add(client);
            client.Connect(_listener.LocalEndPoint!);
            Socket accepted = _listener.Accept();
            Assert.Equal(0, TcpSocket.GetRemote((int)accepted.Handle, out TcpEnd remote));
            byte[] consumed = new byte[ContentLength];
            BinaryPrimitives.WriteInt32BigEndian(consumed, i);
            int fd = (int)accepted.Handle;

            // The server's from now on.
            accepted.SafeHandle.SetHandleAsInvalid();
            _server.Take(Listening, 0, fd, ImageOf(remote) with { Consumed = consumed });
        }
    }

    private ConnectionImage ImageOf(TcpEnd remote) => new()
    {
        IsIpv6 = false,
        Local = Listening,
        Remote = remote,
        State = KernelTcpState.Established,
        WriteSequence = 0,
        RcvNxt = 0,
        SendQueue = default,
        Unsent = 0,
        ReceiveQueue = default,
        Negotiated = default,
        MaximumSegment = 1000,
        SendScale = 0,
        ReceiveScale = 0,
        Timestamp = 0,
        Window = default,
    };

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
