// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Linux's tcp_poll, and the edges that epoll needs.</summary>
public sealed class ReadinessTests
{
    private const Readiness Dead = Readiness.In | Readiness.Out | Readiness.HangUp | Readiness.ReadHangUp;

    [Theory]
    [InlineData(TcpState.SynSent, Readiness.None)]
    [InlineData(TcpState.Established, Readiness.Out)]
    [InlineData(TcpState.CloseWait, Readiness.Out | Readiness.In | Readiness.ReadHangUp)]
    [InlineData(TcpState.FinWait1, Readiness.Out)]
    [InlineData(TcpState.FinWait2, Readiness.Out)]
    [InlineData(TcpState.Closing, Dead)]
    [InlineData(TcpState.LastAck, Dead)]
    [InlineData(TcpState.TimeWait, Dead)]
    public void EachState_IsReadyForWhatLinuxSays(TcpState state, Readiness expected)
    {
        using TcpFixture net = TcpFixture.In(state);
        Assert.Equal(expected, net.Tcp.GetReadiness(net.Id));
    }

    [Fact]
    public void Data_IsReadableUntilRead()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(Readiness.In | Readiness.Out, net.Tcp.GetReadiness(net.Id));
        net.Read();
        Assert.Equal(Readiness.Out, net.Tcp.GetReadiness(net.Id));
    }

    [Fact]
    public void Reset_IsAnErrorUntilTaken()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Rst);
        Assert.Equal(Dead | Readiness.Error, net.Tcp.GetReadiness(net.Id));
        Assert.Equal(TcpError.ConnectionReset, net.Tcp.TakeError(net.Id));
        Assert.Equal(Dead, net.Tcp.GetReadiness(net.Id));
        Assert.Empty(net.Read());
        Assert.Equal(TcpError.None, net.ReadError());
    }

    [Fact]
    public void ConnectRefused_IsAnErrorEvent()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Rst | TcpFlags.Ack, -1, 0);
        TcpEvent happened = Assert.Single(net.Events());
        Assert.Equal(5, happened.Tag);
        Assert.True((happened.Edge & (Readiness.Error | Readiness.HangUp)) == (Readiness.Error | Readiness.HangUp));
        Assert.Equal(Dead | Readiness.Error, net.Tcp.GetReadiness(net.Id));
    }

    [Fact]
    public void MoreData_WhileUnreadDataIsThere_IsAnEdgeAgain()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < 3; i++)
        {
            net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
            TcpEvent happened = Assert.Single(net.Events());
            Assert.Equal(Readiness.In, happened.Edge);
            Assert.Empty(net.Events());
        }
    }

    [Fact]
    public void SeveralThings_AreOneEvent()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        TcpEvent happened = Assert.Single(net.Events());
        Assert.Equal(Readiness.In | Readiness.ReadHangUp, happened.Edge);
    }

    [Fact]
    public void OutOfOrderData_IsNoEvent()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Ack, 100, payload: TcpFixture.Bytes(10));
        Assert.Empty(net.Events());
        Assert.Equal(0, net.Tcp.ReceivableBytes(net.Id));
    }

    [Fact]
    public void ClosedByTheUser_NoEventComes()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        net.Close();
        net.Peer(TcpFlags.Ack);
        Assert.Empty(net.Events());
    }

    [Fact]
    public void ShutdownReceive_IsTheEndForTheReader_DataIsAcknowledgedAndThrownAway()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Tcp.ShutdownReceive(net.Id, net.Now);
        Assert.Equal(Readiness.In | Readiness.Out | Readiness.ReadHangUp, net.Tcp.GetReadiness(net.Id));
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        Assert.Equal(10, net.Expect().Ack);
        Assert.Empty(net.Read());
    }

    [Fact]
    public void Peek_LeavesTheBytes()
    {
        using TcpFixture net = new TcpFixture().Accept();
        byte[] data = TcpFixture.Bytes(3000);
        net.Peer(TcpFlags.Ack, payload: data.AsSpan(0, 1400));
        net.Peer(TcpFlags.Ack, payload: data.AsSpan(1400, 1400));
        byte[] seen = new byte[2800];
        Assert.Equal(2800, net.Tcp.Receive(net.Id, seen, ReceiveFlags.Peek, net.Now, out _));
        Assert.Equal(data[..2800], seen);
        Assert.Equal(500, net.Tcp.ReceivePeek(net.Id, 1300, seen.AsSpan(0, 500)));
        Assert.Equal(data[1300..1800], seen[..500]);
        Assert.Equal(2800, net.Tcp.ReceivableBytes(net.Id));
        Assert.Equal(data[..2800], net.Read());
    }

    [Fact]
    public void UnsentAboveTheLowWater_IsNotWritable()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NotSentLowWater = 1000;
        using TcpFixture net = new TcpFixture().Accept(settings);
        net.Send(20 * 1460);
        net.ExpectAll();
        Assert.Equal(10 * 1460, net.Tcp.UnsentBytes(net.Id));
        Assert.Equal(Readiness.None, net.Tcp.GetReadiness(net.Id) & Readiness.Out);
        net.ClearEvents();
        net.Peer(TcpFlags.Ack);
        net.ExpectAll();
        Assert.Contains(net.Events(), e => (e.Edge & Readiness.Out) != 0);
        Assert.Equal(Readiness.Out, net.Tcp.GetReadiness(net.Id) & Readiness.Out);
    }
}
