// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Text;
using Pronghorn.Stack;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>recv(2), send(2) and what they answer when there is nothing, no room, no connection.</summary>
public sealed class DataTests : IDisposable
{
    private static readonly byte[] s_text = Encoding.ASCII.GetBytes("hello");

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Theory]
    [InlineData(false, 0, SocketResult.Wait)]
    [InlineData(false, MessageFlags.DontWait, -Error.Again)]
    [InlineData(true, 0, -Error.Again)]
    [InlineData(false, MessageFlags.ErrorQueue, -Error.Again)]
    [InlineData(false, MessageFlags.OutOfBand, -Error.Invalid)]
    [InlineData(true, MessageFlags.Peek, -Error.Again)]
    [InlineData(false, MessageFlags.Peek, SocketResult.Wait)]
    [InlineData(true, MessageFlags.Truncate, -Error.Again)]
    public void NothingThere_Receive_Answers(bool nonBlocking, int flags, int expected)
    {
        (int near, _) = _network.Connected(nonBlocking);
        Assert.Equal(expected, Near.Layer.Receive(near, new byte[10], flags));
    }

    [Fact]
    public void Data_Receive_GivesAsMuchAsThereIs()
    {
        (int near, int far) = _network.Connected();
        Assert.Equal(5, Near.Send(near, s_text));
        Assert.Equal(5, Far.Receive(far, 100));
    }

    [Fact]
    public void ReceiveTimeout_NothingComes_IsAgainAfterIt()
    {
        (int near, _) = _network.Connected();
        Near.SetTime(near, SocketOption.ReceiveTimeout, Duration.FromMilliseconds(1500));
        Instant start = _network.Now;
        Assert.Equal(-Error.Again, Near.Receive(near));
        Assert.Equal(1500, (_network.Now - start).Milliseconds);
    }

    [Fact]
    public void Peek_Data_Stays()
    {
        (int near, int far) = _network.Connected();
        Near.Send(near, s_text);
        byte[] room = new byte[5];
        Assert.Equal(3, Far.Receive(far, room.AsSpan(0, 3), MessageFlags.Peek));
        Assert.Equal(5, Far.Receive(far, room));
        Assert.Equal(s_text, room);
    }

    [Fact]
    public void Truncate_Data_IsThrownAway()
    {
        (int near, int far) = _network.Connected();
        Near.Send(near, s_text);
        byte[] room = new byte[5];
        Assert.Equal(3, Far.Receive(far, room.AsSpan(0, 3), MessageFlags.Truncate));
        Assert.Equal([0, 0, 0], room[..3]);
        Assert.Equal(2, Far.Receive(far, room));
        Assert.Equal("lo", Encoding.ASCII.GetString(room, 0, 2));
    }

    [Fact]
    public void NoRoom_Receive_WaitsForDataAndTakesNone()
    {
        (int near, int far) = _network.Connected(nonBlocking: true);
        Assert.Equal(-Error.Again, Far.Layer.Receive(far, default, 0));
        Near.Send(near, s_text);
        _network.Exchange();
        Assert.Equal(0, Far.Layer.Receive(far, default, 0));
        Assert.Equal(5, Far.Receive(far));
    }

    [Fact]
    public void PeerShutDown_Receive_GivesTheRestThenTheEndForEver()
    {
        (int near, int far) = _network.Connected();
        Near.Send(near, s_text);
        Near.Layer.Shutdown(near, 1);
        Assert.Equal(5, Far.Receive(far));
        Assert.Equal(0, Far.Receive(far));
        Assert.Equal(0, Far.Receive(far));
        Assert.Equal(5, Far.Send(far, s_text));
        Assert.Equal(5, Near.Receive(near));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Unconnected_Calls_AreRefused(bool listens)
    {
        int fd = listens ? Near.Listen(TwoSystems.Port) : Near.Socket();
        Near.Layer.Adopt(fd);
        Assert.Equal(-Error.NotConnected, Near.Receive(fd));
        Assert.Equal(-Error.Pipe, Near.Send(fd, s_text));
        Assert.Equal(-Error.Invalid, Near.Queue(fd, 0x541B));
        Assert.Equal(listens ? SocketResult.Kernel : -Error.NotConnected, Near.Layer.Shutdown(fd, 2));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(100)]
    [InlineData(KernelModel.Size)]
    [InlineData(int.MaxValue)]
    public void NumberOfNoSocket_AnyCall_IsABadDescriptor(int fd)
    {
        uint length = 0;
        int value = 0;
        long[] answers =
        [
            Near.Layer.Receive(fd, new byte[1], 0), Near.Layer.Send(fd, s_text, 0, true), Near.Layer.Shutdown(fd, 2),
            Near.Layer.Accept(fd, default, ref length, 0), Near.Layer.GetName(fd, default, ref length, false),
            Near.Layer.GetOption(fd, 1, 1, default, out _), Near.Layer.SetOption(fd, 1, 1, new byte[4]),
            Near.Layer.GetFlags(fd), Near.Layer.SetFlags(fd, 0), Near.Layer.Duplicate(fd, 5),
            Near.Layer.InputOutputControl(fd, 0x541B, ref value), Near.Layer.Listen(fd, 5),
        ];
        Assert.All(answers, answer => Assert.Equal(-Error.BadDescriptor, answer));
    }

    [Fact]
    public void Connecting_DataCalls_AreAgain()
    {
        Near.Driver.IsCut = true;
        int fd = Near.Socket(nonBlocking: true);
        Near.StartConnect(fd, Far.Address, TwoSystems.Port);
        Assert.Equal(-Error.Again, Near.Layer.Receive(fd, new byte[1], 0));
        Assert.Equal(-Error.Again, Near.Layer.Send(fd, s_text, 0, true));
    }

    [Fact]
    public void ShutDownForSending_Send_IsABrokenPipe()
    {
        (int near, int far) = _network.Connected();
        Near.Layer.Shutdown(near, 1);
        Assert.Equal(-Error.Pipe, Near.Send(near, s_text));
        Far.Send(far, s_text);
        Assert.Equal(5, Near.Receive(near));
    }

    [Fact]
    public void ShutDownForReceiving_Receive_IsTheEnd()
    {
        (int near, int far) = _network.Connected();
        Assert.Equal(0, Near.Layer.Shutdown(near, 0));
        Assert.Equal(0, Near.Receive(near));
        Assert.Equal(5, Near.Send(near, s_text));
        Assert.Equal(5, Far.Receive(far));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(3)]
    public void UnknownDirection_Shutdown_IsInvalid(int how)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(-Error.Invalid, Near.Layer.Shutdown(near, how));
    }

    [Fact]
    public void ResetByThePeer_Calls_TellItOnceThenEndAndBrokenPipe()
    {
        (int near, int far) = _network.Connected();
        Far.SetLinger(far, 0);
        Far.Close(far);
        _network.Exchange();
        Assert.Equal(-Error.ConnectionReset, Near.Receive(near));
        Assert.Equal(0, Near.Receive(near));
        Assert.Equal(-Error.Pipe, Near.Send(near, s_text));
        Assert.Equal(-Error.NotConnected, Near.Layer.Shutdown(near, 1));
    }

    [Fact]
    public void ResetByThePeer_Send_TellsItThenABrokenPipe()
    {
        (int near, int far) = _network.Connected();
        Far.SetLinger(far, 0);
        Far.Close(far);
        _network.Exchange();
        Assert.Equal(-Error.ConnectionReset, Near.Send(near, s_text));
        Assert.Equal(-Error.Pipe, Near.Send(near, s_text));
    }

    [Fact]
    public void ClosedByThePeer_SecondSend_IsABrokenPipe()
    {
        (int near, int far) = _network.Connected();
        Far.Close(far);
        _network.Exchange();
        Assert.Equal(5, Near.Send(near, s_text)); // answered by a reset
        _network.Exchange();
        Assert.Equal(-Error.Pipe, Near.Send(near, s_text));
        Assert.Equal(0, Near.Receive(near));
    }

    [Fact]
    public void NoAcknowledgement_Established_TimesOut()
    {
        (int near, _) = _network.Connected();
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.UserTimeout, 3000);
        Near.Driver.IsCut = true;
        Near.Send(near, s_text);
        _network.Run(Duration.FromSeconds(20));
        Assert.Equal(-Error.TimedOut, Near.Receive(near));
        Assert.Equal(0, Near.Receive(near));
    }

    [Fact]
    public void KeepAliveUnanswered_Idle_TimesOut()
    {
        (int near, _) = _network.Connected();
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.KeepIdle, 5);
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.KeepInterval, 1);
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.KeepCount, 3);
        Near.SetOption(near, OptionLevel.Socket, SocketOption.KeepAlive, 1);
        Near.Driver.IsCut = true;
        Instant start = _network.Now;
        Assert.Equal(-Error.TimedOut, Near.Receive(near));
        Assert.InRange((_network.Now - start).Milliseconds, 7000, 9000);
    }

    [Fact]
    public void WindowsFull_NonBlockingSend_TakesAPartThenIsAgainUntilThereIsRoom()
    {
        (int near, int far) = _network.Connected(nonBlocking: true);
        byte[] block = new byte[8 << 20];
        long sent = Near.Layer.Send(near, block, 0, flush: true);
        Assert.InRange(sent, 1, block.Length - 1);
        for (int i = 0; i < 1000 && Near.Layer.Send(near, block, 0, true) > 0; i++)
        {
            _network.Exchange();
        }

        Assert.Equal(-Error.Again, Near.Layer.Send(near, block, 0, true));
        Assert.Equal(0, Near.PollOne(near, Polling.Out));
        for (int i = 0; i < 1000 && Near.PollOne(near, Polling.Out) == 0; i++)
        {
            Far.Layer.Receive(far, new byte[65536], 0);
            _network.Exchange();
        }

        Assert.Equal((int)Polling.Out, Near.PollOne(near, Polling.Out));
    }

    [Fact]
    public void WindowsFull_SendTimeout_IsAgainAfterAPart()
    {
        (int near, _) = _network.Connected();
        Near.SetTime(near, SocketOption.SendTimeout, Duration.FromMilliseconds(500));
        long sent = Near.Send(near, new byte[16 << 20]);
        Assert.InRange(sent, 1, (16 << 20) - 1);
        Assert.Equal(-Error.Again, Near.Send(near, s_text));
    }

    [Fact]
    public void WindowsFull_BlockingSend_Waits()
    {
        (int near, _) = _network.Connected();
        Near.SetTime(near, SocketOption.SendTimeout, Duration.FromMilliseconds(500));
        Near.Send(near, new byte[16 << 20]);
        Assert.Equal(SocketResult.Wait, Near.Layer.Send(near, s_text, 0, true));
        Assert.Equal(-Error.Again, Near.Layer.Send(near, s_text, MessageFlags.DontWait, true));
    }

    [Fact]
    public void UrgentData_Send_IsNotSupported()
    {
        (int near, _) = _network.Connected();
        Assert.Equal(-Error.NotSupported, Near.Send(near, s_text, MessageFlags.OutOfBand));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(23)]
    public void Bulk_WithLoss_ArrivesExactly(int loseEvery)
    {
        (int near, int far) = _network.Connected(nonBlocking: true);
        Near.Driver.LoseEvery = loseEvery;
        byte[] data = [.. Enumerable.Range(0, 700_000).Select(i => (byte)((i * 31) + (i >> 8)))];
        byte[] received = new byte[data.Length];
        int sent = 0;
        int got = 0;
        for (int round = 0; got < data.Length && round < 100_000; round++)
        {
            sent += (int)Math.Max(0, Near.Layer.Send(near, data.AsSpan(sent), 0, flush: true));
            got += (int)Math.Max(0, Far.Layer.Receive(far, received.AsSpan(got), 0));
            _network.Step(_network.Now + Duration.FromMilliseconds(50));
        }

        Assert.Equal(data.Length, got);
        Assert.True(data.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public void Queues_Controls_TellTheirLengths()
    {
        const ulong Readable = 0x541B;
        const ulong OutputQueue = 0x5411;
        const ulong NotSent = 0x894B;
        const ulong AtMark = 0x8905;
        (int near, int far) = _network.Connected();
        Near.Send(near, s_text);
        Assert.Equal(5, Near.Queue(near, OutputQueue));
        _network.Exchange();
        Assert.Equal((0, 0), (Near.Queue(near, OutputQueue), Near.Queue(near, NotSent)));
        Assert.Equal((5, 0), (Far.Queue(far, Readable), Far.Queue(far, AtMark)));
        Assert.Equal(SocketResult.Kernel, Far.Queue(far, 0x8912)); // SIOCGIFCONF
    }

    [Fact]
    public void Corked_NotSent_IsTold()
    {
        (int near, _) = _network.Connected();
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.Cork, 1);
        Near.Send(near, s_text);
        Assert.Equal(5, Near.Queue(near, 0x894B));
        Near.SetOption(near, OptionLevel.Tcp, TcpOption.Cork, 0);
        Assert.Equal(0, Near.Queue(near, 0x894B));
    }

    [Fact]
    public void DeviceDown_SentData_FollowsWhenItIsUp()
    {
        (int near, int far) = _network.Connected();
        Near.Driver.IsDown = true;
        Assert.Equal(5, Near.Send(near, s_text));
        _network.Exchange();
        Assert.Equal(0, Far.Queue(far, 0x541B));
        Near.Driver.IsDown = false;
        _network.Exchange();
        Assert.Equal(5, Far.Queue(far, 0x541B));
    }

    [Fact]
    public void ProgramThatDoesNotWait_ManySmallSends_GoOutInBatches()
    {
        (int near, int far) = _network.Connected(nonBlocking: true);
        int before = Near.Driver.Flushes;
        for (int i = 0; i < 64; i++)
        {
            Assert.Equal(1, Near.Layer.Send(near, "x"u8, 0, flush: false));
        }

        Assert.Equal(2, Near.Driver.Flushes - before);
        _network.Exchange();
        Assert.Equal(64, Far.Queue(far, 0x541B));
    }
}
