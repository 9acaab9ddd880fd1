// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

/// <summary>Messages over a real connection: whole, in order, and together where they are said together.</summary>
public sealed class MessageStreamTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _one = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Socket _other;

    public MessageStreamTests()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _one.Connect(_listener.LocalEndPoint!);
        _other = _listener.Accept();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(65_000)]
    [InlineData(65_536)]
    [InlineData(70_000)]
    [InlineData(5_000_000)]
    public async Task Messages_OfAnyLength_ArriveInOrder(int length)
    {
        await using var to = new MessageStream(new PeerSocketStream(_one));
        await using var from = new MessageStream(new PeerSocketStream(_other));
        byte[] image = new byte[length];
        new Random(length).NextBytes(image);
        Message[] sent =
        [
            new Prepared(1), new Transfer(2, image), new Commit(3), new Transfer(4, image), new Live(5),
        ];
        Task<List<Message>> reading = Task.Run(() => Enumerable.Range(0, sent.Length).Select(_ => from.Read()!).ToList());
        foreach (Message message in sent)
        {
            await to.SendAsync(message, default);
        }

        List<Message> read = await reading.WaitAsync(s_patience);

        Assert.Equal([1ul, 2, 3, 4, 5], read.Select(static message => message.Move));
        Assert.True(((Transfer)read[1]).Image.Span.SequenceEqual(image) && ((Transfer)read[3]).Image.Span.SequenceEqual(image));
    }

    [Fact]
    public async Task ManyThreadsSend_EachMessageIsWhole_AndEachThreadsInOrder()
    {
        const int Threads = 8;
        const int Each = 2000;
        await using var to = new MessageStream(new PeerSocketStream(_one));
        await using var from = new MessageStream(new PeerSocketStream(_other));
        Task sending = Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(async () =>
        {
            for (int i = 0; i < Each; i++)
            {
                await to.SendAsync(new Transfer((ulong)((thread * Each) + i), new byte[i % 300]), default);
            }
        })));
        int[] next = new int[Threads];
        for (int i = 0; i < Threads * Each; i++)
        {
            var message = (Transfer)from.Read()!;
            int thread = (int)message.Move / Each;
            Assert.Equal(next[thread]++, (int)message.Move % Each);
            Assert.Equal((int)message.Move % Each % 300, message.Image.Length);
        }

        await sending.WaitAsync(s_patience);
    }

    /// <summary>What is answered to messages that came together leaves together, and at the latest when there is no more to read.</summary>
    [Fact]
    public async Task Answers_ToWhatCameTogether_LeaveTogether()
    {
        await using var to = new MessageStream(new PeerSocketStream(_one));
        using var counting = new CountingStream(new PeerSocketStream(_other));
        await using var from = new MessageStream(counting);
        SendTogether(5);
        for (ulong i = 0; i < 5; i++)
        {
            Assert.Equal(i, from.Read()!.Move);
            await from.SendAsync(new Prepared(i), default);
        }

        for (ulong i = 0; i < 5; i++)
        {
            Assert.Equal(i, to.Read()!.Move);
        }

        Assert.Equal(1, counting.Writes);
    }

    [Fact]
    public async Task NothingIsSaidToTheLastOfWhatCame_WhatWasSaidBeforeLeaves()
    {
        await using var to = new MessageStream(new PeerSocketStream(_one));
        await using var from = new MessageStream(new PeerSocketStream(_other));
        SendTogether(2);
        Assert.Equal(0ul, from.Read()!.Move);
        await from.SendAsync(new Prepared(7), default);
        Assert.Equal(1ul, from.Read()!.Move);

        // The next read finds nothing, and what waits is written before it waits itself.
        Task<Message?> answer = Task.Run(to.Read);
        await to.SendAsync(new Commit(9), default);
        Assert.Equal(9ul, from.Read()!.Move);
        Assert.Equal(7ul, (await answer.WaitAsync(s_patience))!.Move);
    }

    [Fact]
    public async Task OtherEnd_HasGone_ReadingEnds_AndSendingFails()
    {
        var to = new MessageStream(new PeerSocketStream(_one));
        await using var from = new MessageStream(new PeerSocketStream(_other));
        await to.DisposeAsync();
        Assert.Null(from.Read());
        for (long end = Environment.TickCount64 + 30_000; ;)
        {
            Exception? failure = await Record.ExceptionAsync(async () => await from.SendAsync(new Commit(1), default));
            if (failure is not null)
            {
                Assert.IsType<IOException>(failure);
                break;
            }

            Assert.True(Environment.TickCount64 < end, "it can still be written");
        }

        await Assert.ThrowsAsync<IOException>(async () => await from.SendAsync(new Commit(2), default));
    }

    [Theory]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff })]
    [InlineData(new byte[] { 0, 0, 0, 1, 0xee })]
    public async Task Garbage_IsAnError(byte[] bytes)
    {
        await using var from = new MessageStream(new PeerSocketStream(_other));
        _one.Send(bytes);
        Assert.Throws<ImageFormatException>(from.Read);
    }

    [Fact]
    public async Task EndWithinAMessage_IsAnError()
    {
        await using var from = new MessageStream(new PeerSocketStream(_other));
        _one.Send([0, 0, 0, 9, 1]);
        _one.Shutdown(SocketShutdown.Send);
        Assert.Throws<EndOfStreamException>(from.Read);
    }

    public void Dispose()
    {
        _one.Dispose();
        _other.Dispose();
        _listener.Dispose();
    }

    /// <summary>Commits of 0 and on, in one write.</summary>
    private void SendTogether(int count)
    {
        var bytes = new ArrayBufferWriter<byte>();
        for (int i = 0; i < count; i++)
        {
            MessageCodec.Write(new Commit((ulong)i), bytes);
        }

        Assert.Equal(bytes.WrittenCount, _one.Send(bytes.WrittenSpan));
    }

    /// <summary>Counts writes.</summary>
    private sealed class CountingStream(Stream inner) : Stream
    {
        public int Writes { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Writes++;
            return inner.WriteAsync(buffer, cancellationToken);
        }

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
