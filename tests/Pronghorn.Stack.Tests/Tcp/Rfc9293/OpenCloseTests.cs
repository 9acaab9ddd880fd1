// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp.Rfc9293;

/// <summary>RFC 9293 3.5 and 3.6: opening and closing in every order.</summary>
public sealed class OpenCloseTests
{
    [Fact]
    public void SynsCross_BothAnswer_ConnectionIsOpen()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        SentSegment answer = net.Expect();
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, answer.Flags);
        Assert.Equal(-1, answer.Seq);
        Assert.Equal(0, answer.Ack);
        Assert.Equal(TcpState.SynReceived, net.State);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: TcpFixture.PlainOptions());
        Assert.Equal(TcpState.Established, net.State);
        Assert.Contains(net.Events(), e => (e.Edge & Readiness.Out) != 0);
        net.PeerNext = 0;
        net.Send(5);
        Assert.Equal(5, net.ExpectAll()[^1].Length);
    }

    [Fact]
    public void SynsCross_AnswerIsLost_IsSentAgain()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        net.Expect();
        SentSegment again = net.ExpectWithin(Duration.FromSeconds(2));
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, again.Flags);
    }

    [Fact]
    public void LastAckOfHandshakeIsLost_SynAckAgain_IsAnswered()
    {
        using TcpFixture net = new TcpFixture().Connect();
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: TcpFixture.PlainOptions());
        SentSegment ack = net.Expect();
        Assert.Equal(TcpFlags.Ack, ack.Flags);
        Assert.Equal(0, ack.Ack);
        Assert.Equal(TcpState.Established, net.State);
    }

    [Fact]
    public void SynAckWithoutAnswer_IsSentAgainAndThenForgotten()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynReceived);
        net.Advance(Duration.FromSeconds(120));
        Assert.Equal(Limits.SynAckRetries, net.ExpectAll().Count(s => s.Is(TcpFlags.Syn | TcpFlags.Ack)));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void CloseOnBothSidesAtOnce_GoesThroughClosing()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Close();
        Assert.True(net.Expect().Is(TcpFlags.Fin));
        net.Peer(TcpFlags.Fin | TcpFlags.Ack, ack: 0);
        Assert.Equal(TcpState.Closing, net.State);
        Assert.Equal(1, net.Expect().Ack);
        net.Peer(TcpFlags.Ack);
        Assert.Equal(TcpState.TimeWait, net.State);
        net.Advance(Duration.FromSeconds(61));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void CloseBothWays_PeerFirst_LeavesAtOnce()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        net.Expect();
        net.Close();
        SentSegment fin = net.Expect();
        Assert.True(fin.Is(TcpFlags.Fin | TcpFlags.Ack));
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void HalfClose_PeerGoesOnSending_AllIsRead()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(10);
        net.Tcp.ShutdownSend(net.Id, net.Now);
        IReadOnlyList<SentSegment> sent = net.ExpectAll();
        Assert.True(sent[^1].Is(TcpFlags.Fin));
        net.Peer(TcpFlags.Ack);
        Assert.Equal(TcpState.FinWait2, net.State);
        Assert.Equal(0, net.Tcp.Send(net.Id, TcpFixture.Bytes(1), SendFlags.None, net.Now, out TcpError error));
        Assert.Equal(TcpError.BrokenPipe, error);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(3000 / 3));
        net.Peer(TcpFlags.Fin | TcpFlags.Ack, payload: TcpFixture.Bytes(500));
        Assert.Equal(1500, net.Read().Length);
        Assert.Empty(net.Read());
        Assert.Equal(TcpError.None, net.ReadError());
        Assert.Equal(TcpState.TimeWait, net.State);
        net.Close();
    }

    [Fact]
    public void FinIsLost_IsSentAgain()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Close();
        Assert.True(net.Expect().Is(TcpFlags.Fin));
        SentSegment again = net.ExpectWithin(Duration.FromSeconds(3));
        Assert.True(again.Is(TcpFlags.Fin));
        Assert.Equal(0, again.Seq);
    }

    [Fact]
    public void FinWait2_WithoutUser_EndsAfterSixtySeconds()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Close();
        net.Expect();
        net.Peer(TcpFlags.Ack);
        Assert.Equal(TcpState.FinWait2, net.State);
        net.Advance(Duration.FromSeconds(59));
        Assert.Equal(1, net.Tcp.ConnectionCount);
        net.Advance(Duration.FromSeconds(2));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        Assert.True(net.Expect().Is(TcpFlags.Rst));
    }

    [Fact]
    public void FinWait2_WithUser_Stays()
    {
        using TcpFixture net = TcpFixture.In(TcpState.FinWait2);
        net.Advance(Duration.FromSeconds(3600));
        Assert.Equal(TcpState.FinWait2, net.State);
    }

    [Fact]
    public void CloseWithUnreadData_IsAReset()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        net.ExpectAll();
        net.Close();
        Assert.True(net.Expect().Is(TcpFlags.Rst));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void DataAfterClose_IsAReset()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Close();
        net.Expect();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        SentSegment reset = net.ExpectAll()[^1];
        Assert.True(reset.Is(TcpFlags.Rst));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpAbortOnData]);
    }

    [Theory]
    [InlineData(TcpState.SynReceived, true)]
    [InlineData(TcpState.Established, true)]
    [InlineData(TcpState.FinWait1, true)]
    [InlineData(TcpState.FinWait2, true)]
    [InlineData(TcpState.CloseWait, true)]
    [InlineData(TcpState.SynSent, false)]
    [InlineData(TcpState.Closing, false)]
    [InlineData(TcpState.LastAck, false)]
    [InlineData(TcpState.TimeWait, false)]
    public void Abort_ByState_SendsAResetOrNothing(TcpState state, bool reset)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Tcp.Abort(net.Id, net.Now);
        Assert.Equal(reset, net.ExpectAll().Any(s => s.Is(TcpFlags.Rst)));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void TimeWait_FinAgain_IsAcknowledgedAndTheWaitBeginsAnew()
    {
        using TcpFixture net = TcpFixture.In(TcpState.TimeWait);
        net.Advance(Duration.FromSeconds(50));
        net.Peer(TcpFlags.Fin | TcpFlags.Ack, net.PeerNext - 1);
        Assert.Equal(net.PeerNext, net.Expect().Ack);
        net.Advance(Duration.FromSeconds(50));
        Assert.Equal(TcpState.TimeWait, net.State);
        net.Advance(Duration.FromSeconds(11));
        Assert.Equal(TcpState.Closed, net.State);
    }

    [Fact]
    public void TimeWait_Reset_DoesNotEndIt()
    {
        using TcpFixture net = TcpFixture.In(TcpState.TimeWait);
        net.Peer(TcpFlags.Rst);
        Assert.Equal(TcpState.TimeWait, net.State);
        net.ExpectNothing();
    }

    [Fact]
    public void TimeWait_SynAboveTheLastNumber_OpensAnew()
    {
        using TcpFixture net = TcpFixture.In(TcpState.TimeWait);
        net.Tcp.Close(net.Id, net.Now);
        SeqNumber before = net.OurOrigin + 1;
        net.PeerOrigin += 100_000;
        net.HandshakeWithListener(TcpFixture.PlainOptions());
        Assert.True(net.OurOrigin > before);
        Assert.Equal(1, net.Tcp.ConnectionCount);
        Assert.Equal(1, net.Stack.Counters[Counter.TcpTimeWaitRecycled]);
    }

    [Fact]
    public void TimeWait_SynWithNewerTimestamp_OpensAnewWhateverItsNumber()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        net.Close();
        net.ExpectAll();
        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        net.ExpectAll();
        Assert.Equal(TcpState.TimeWait, net.State);
        net.Advance(100);
        net.PeerOrigin -= 50_000;
        net.HandshakeWithListener(net.FullOptions());
        Assert.Equal(1, net.Stack.Counters[Counter.TcpTimeWaitRecycled]);
    }

    [Fact]
    public void TimeWait_OldSyn_IsAnsweredByAnAcknowledgment()
    {
        using TcpFixture net = TcpFixture.In(TcpState.TimeWait);
        net.Peer(TcpFlags.Syn, -1000, options: TcpFixture.PlainOptions());
        Assert.Equal(TcpFlags.Ack, net.Expect().Flags);
        Assert.Equal(TcpState.TimeWait, net.State);
    }

    [Fact]
    public void UnreadDataInTimeWait_Close_SendsNothing()
    {
        using TcpFixture net = TcpFixture.In(TcpState.FinWait2);
        net.Peer(TcpFlags.Fin | TcpFlags.Ack, payload: TcpFixture.Bytes(5));
        net.ExpectAll();
        Assert.Equal(TcpState.TimeWait, net.State);
        net.Close();
        net.ExpectNothing();
        net.Advance(Duration.FromSeconds(61));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void OrphanWithoutAnswer_GivesUpEarlierThanOthers()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Send(100);
        net.Close();
        net.ExpectAll();
        net.Advance(Duration.FromSeconds(400));
        Assert.Equal(0, net.Tcp.ConnectionCount);
        IReadOnlyList<SentSegment> tries = net.ExpectAll();
        Assert.Equal(Limits.OrphanRetries, tries.Count(s => s.Seq == 0 && !s.Is(TcpFlags.Rst)));
        Assert.True(tries[^1].Is(TcpFlags.Rst));
    }

    [Fact]
    public void NumbersThatPassTwoToThe32_TransferGoesOn()
    {
        using var net = new TcpFixture(peerIss: uint.MaxValue - 700, startNanoseconds: TcpFixture.StartNearWrap(700));
        net.StartConnect();
        Assert.InRange(net.OurOrigin.Value, uint.MaxValue - 800, uint.MaxValue);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: TcpFixture.SackOptions());
        net.PeerNext = 0;
        net.ExpectAll();
        byte[] data = TcpFixture.Bytes(1000);
        for (int i = 0; i < 20; i++)
        {
            net.Send(data);
            foreach (SentSegment segment in net.ExpectAll().Where(s => s.Length > 0))
            {
                Assert.Equal(i * 1000, segment.Seq);
                Assert.Equal(data, segment.Payload);
            }

            net.Peer(TcpFlags.Ack, payload: data);
            Assert.Equal(data, net.Read());
        }

        net.Peer(TcpFlags.Fin | TcpFlags.Ack);
        net.Close();
        net.ExpectAll();
        net.Peer(TcpFlags.Ack);
        Assert.Equal(0, net.Tcp.ConnectionCount);
    }
}
