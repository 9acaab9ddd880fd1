// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp.Rfc9293;

/// <summary>RFC 9293 3.10.7: every state's reaction to what arrives, with the changes of RFC 5961.</summary>
public sealed class StateTests
{
    public static TheoryData<TcpState> Synchronized =>
    [
        TcpState.Established, TcpState.FinWait1, TcpState.FinWait2, TcpState.CloseWait, TcpState.Closing, TcpState.LastAck,
    ];

    [Theory]
    [InlineData(TcpState.SynReceived, TcpError.ConnectionRefused)]
    [InlineData(TcpState.Established, TcpError.ConnectionReset)]
    [InlineData(TcpState.FinWait1, TcpError.ConnectionReset)]
    [InlineData(TcpState.FinWait2, TcpError.ConnectionReset)]
    [InlineData(TcpState.CloseWait, TcpError.BrokenPipe)]
    [InlineData(TcpState.Closing, TcpError.None)]
    [InlineData(TcpState.LastAck, TcpError.None)]
    public void AnyState_ResetThatFitsExactly_EndsTheConnection(TcpState state, TcpError error)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Rst);
        net.ExpectNothing();
        if (state == TcpState.SynReceived)
        {
            // Nobody knew of it: it is gone, and the listener goes on.
            Assert.False(net.Tcp.IsActive(net.Id));
            return;
        }

        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(error, net.Tcp.TakeError(net.Id));
        net.AssertNothingHeld();
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_ResetElsewhereInTheWindow_IsChallenged(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Rst, net.PeerNext + 10);
        SentSegment challenge = net.Expect();
        Assert.Equal(TcpFlags.Ack, challenge.Flags);
        Assert.Equal(net.PeerNext, challenge.Ack);
        Assert.Equal(state, net.State);
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_ResetOutsideTheWindow_IsIgnored(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Rst, net.PeerNext - 5);
        net.Peer(TcpFlags.Rst, (net.Tcb.ReceiveRight - net.PeerOrigin) + 100);
        net.ExpectNothing();
        Assert.Equal(state, net.State);
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_Syn_IsChallenged(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        foreach (int seq in new[] { net.PeerNext, net.PeerNext + 100, net.PeerNext - 1000, net.PeerNext + 10_000_000 })
        {
            net.Peer(TcpFlags.Syn, seq, options: TcpFixture.PlainOptions());
            Assert.Equal(TcpFlags.Ack, net.Expect().Flags);
            Assert.Equal(state, net.State);
        }
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_DataLeftAndRightOfTheWindow_IsAnsweredAndNotTaken(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        int right = net.Tcb.ReceiveRight - net.PeerOrigin;
        foreach (int seq in new[] { net.PeerNext - 20, right + 1 })
        {
            net.Peer(TcpFlags.Ack, seq, payload: TcpFixture.Bytes(10));
            SentSegment answer = net.Expect();
            Assert.Equal(TcpFlags.Ack, answer.Flags);
            Assert.Equal(net.PeerNext, answer.Ack);
            Assert.Equal(0, net.Tcb.ReceiveQueueBytes);
            Assert.Equal(state, net.State);
        }
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_AcknowledgmentOfWhatWasNotSent_IsChallenged(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Ack, ack: 1000);
        Assert.Equal(TcpFlags.Ack, net.Expect().Flags);
        Assert.Equal(state, net.State);
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_AcknowledgmentOlderThanAnyWindow_IsChallenged(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Ack, ack: -70_000);
        Assert.Equal(TcpFlags.Ack, net.Expect().Flags);
        Assert.Equal(state, net.State);
    }

    [Theory]
    [MemberData(nameof(Synchronized))]
    public void AnyState_SegmentWithoutAck_IsDropped(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.None, net.PeerNext, payload: TcpFixture.Bytes(5));
        net.ExpectNothing();
        Assert.Equal(state, net.State);
        Assert.Equal(0, net.Tcb.ReceiveQueueBytes);
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpNoAck]);
    }

    [Theory]
    [InlineData(TcpState.Established, TcpState.CloseWait)]
    [InlineData(TcpState.FinWait1, TcpState.Closing)]
    [InlineData(TcpState.FinWait2, TcpState.TimeWait)]
    public void OpenReceiver_Fin_IsAcknowledgedAtOnce(TcpState before, TcpState after)
    {
        using TcpFixture net = TcpFixture.In(before);
        net.Peer(TcpFlags.Fin | TcpFlags.Ack, ack: 0);
        Assert.Equal(1, net.Expect().Ack);
        Assert.Equal(after, net.State);
    }

    [Theory]
    [InlineData(TcpState.FinWait1, TcpState.FinWait2)]
    [InlineData(TcpState.Closing, TcpState.TimeWait)]
    [InlineData(TcpState.LastAck, TcpState.Closed)]
    public void OurFin_IsAcknowledged_StateAdvances(TcpState before, TcpState after)
    {
        using TcpFixture net = TcpFixture.In(before);
        net.Peer(TcpFlags.Ack, ack: 1);
        Assert.Equal(after, net.State);
        Assert.Equal(TcpError.None, net.Tcp.TakeError(net.Id));
    }

    [Theory]
    [InlineData(TcpState.Established)]
    [InlineData(TcpState.FinWait1)]
    [InlineData(TcpState.FinWait2)]
    public void OpenReceiver_Data_IsTaken(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Ack, ack: 0, payload: TcpFixture.Bytes(100));
        Assert.Equal(100, net.Expect().Ack);
        Assert.Equal(TcpFixture.Bytes(100), net.Read());
    }

    [Theory]
    [InlineData(TcpState.CloseWait)]
    [InlineData(TcpState.Closing)]
    [InlineData(TcpState.LastAck)]
    public void AfterThePeersFin_MoreDataOrAnotherFin_IsNotTaken(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, net.PeerNext, ack: 0, payload: TcpFixture.Bytes(100));
        Assert.Equal(0, net.Tcb.ReceiveQueueBytes);
        Assert.Equal(state, net.State);
    }

    [Theory]
    [InlineData(TcpState.CloseWait)]
    [InlineData(TcpState.Closing)]
    [InlineData(TcpState.LastAck)]
    public void AfterThePeersFin_TheSameFinAgain_IsAcknowledgedAgain(TcpState state)
    {
        using TcpFixture net = TcpFixture.In(state);
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, net.PeerNext - 1, ack: 0);
        Assert.Equal(net.PeerNext, net.Expect().Ack);
        Assert.Equal(state, net.State);
    }

    [Fact]
    public void SynSent_AcknowledgmentOfSomethingElse_IsReset()
    {
        foreach (int ack in new[] { -1, 1, 5000 })
        {
            using TcpFixture net = TcpFixture.In(TcpState.SynSent);
            net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, ack);
            SentSegment reset = net.Expect();
            Assert.Equal(TcpFlags.Rst, reset.Flags);
            Assert.Equal(ack, reset.Seq);
            Assert.Equal(TcpState.SynSent, net.State);
        }
    }

    [Fact]
    public void SynSent_Resets_OnlyTheAcknowledgingOneRefuses()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Rst, -1);
        Assert.Equal(TcpState.SynSent, net.State);
        net.Peer(TcpFlags.Rst | TcpFlags.Ack, -1, 7);
        Assert.Equal(TcpState.SynSent, net.State);
        net.ExpectNothing();
        net.Peer(TcpFlags.Rst | TcpFlags.Ack, -1, 0);
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.ConnectionRefused, net.Tcp.TakeError(net.Id));
        net.AssertNothingHeld();
    }

    [Fact]
    public void SynSent_AcknowledgmentWithoutSyn_IsDropped()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Ack, 0, 0);
        net.ExpectNothing();
        Assert.Equal(TcpState.SynSent, net.State);
    }

    [Fact]
    public void SynSent_SynAckWithDataAndFin_AllIsTaken()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynSent);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Fin, -1, 0, TcpFixture.Bytes(10), options: TcpFixture.PlainOptions());
        Assert.Equal(11, net.ExpectAll()[^1].Ack);
        Assert.Equal(TcpState.CloseWait, net.State);
        Assert.Equal(TcpFixture.Bytes(10), net.Read());
    }

    [Fact]
    public void SynReceived_WrongAcknowledgment_IsReset()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynReceived);
        net.Peer(TcpFlags.Ack, 0, 5);
        SentSegment reset = net.Expect();
        Assert.Equal(TcpFlags.Rst, reset.Flags);
        Assert.Equal(5, reset.Seq);
        Assert.Equal(TcpState.SynReceived, net.State);
    }

    [Fact]
    public void SynReceived_SynAgain_IsAnsweredAgain()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynReceived);
        net.Peer(TcpFlags.Syn, -1, options: TcpFixture.PlainOptions());
        SentSegment again = net.Expect();
        Assert.Equal(TcpFlags.Syn | TcpFlags.Ack, again.Flags);
        Assert.Equal(-1, again.Seq);
    }

    [Fact]
    public void SynReceived_AcknowledgmentWithDataAndFin_AllIsTaken()
    {
        using TcpFixture net = TcpFixture.In(TcpState.SynReceived);
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, 0, 0, TcpFixture.Bytes(10));
        Assert.Equal(11, net.ExpectAll()[^1].Ack);
        Assert.Equal(TcpState.CloseWait, net.State);
    }

    [Fact]
    public void Closed_AnythingButReset_IsAnsweredByTheResetOfTheStandard()
    {
        using var net = new TcpFixture();
        net.Peer(TcpFlags.Ack, 10, 20);
        SentSegment reset = net.Expect();
        Assert.Equal(TcpFlags.Rst, reset.Flags);
        Assert.Equal(20, reset.Seq);

        net.Peer(TcpFlags.Syn, 10, payload: TcpFixture.Bytes(3));
        reset = net.Expect();
        Assert.Equal(TcpFlags.Rst | TcpFlags.Ack, reset.Flags);
        Assert.Equal(0u, reset.RawSequence.Value);
        Assert.Equal(14, reset.Ack);

        net.Peer(TcpFlags.Rst, 10);
        net.Peer(TcpFlags.Rst | TcpFlags.Ack, 10, 20);
        net.ExpectNothing();
        net.AssertNothingHeld();
    }

    [Fact]
    public void Listen_WhatIsNoSyn_IsResetOrDropped()
    {
        using var net = new TcpFixture();
        net.Tcp.Listen(TcpFixture.OurAddress, TcpFixture.OurPort, 16, 0, SocketSettings.Default, out _);
        net.Peer(TcpFlags.Rst, 10);
        net.Peer(TcpFlags.None, 10);
        net.Peer(TcpFlags.Fin, 10);
        net.Peer(TcpFlags.Syn | TcpFlags.Fin, 10, options: TcpFixture.PlainOptions());
        net.ExpectNothing();
        net.Peer(TcpFlags.Ack, 10, 20);
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, 10, 20);
        Assert.Equal(TcpFlags.Rst, net.Expect().Flags);
        Assert.Equal(0, net.Tcp.ConnectionCount);
    }

    [Fact]
    public void BadChecksum_Segment_IsDroppedAndCounted()
    {
        using TcpFixture net = TcpFixture.In(TcpState.Established);
        TcpHeader header = default;
        header.SourcePort = net.RemotePort;
        header.DestinationPort = net.LocalPort;
        header.Sequence = net.PeerOrigin;
        header.Acknowledgment = net.OurOrigin;
        header.Flags = TcpFlags.Ack;
        net.Inject(header, TcpFixture.Bytes(10), badChecksum: true);
        net.ExpectNothing();
        Assert.Equal(1, net.Stack.Counters[DropReason.TcpChecksum]);
        Assert.Equal(0, net.Tcb.ReceiveQueueBytes);
    }

    [Fact]
    public void UrgentData_IsOrdinaryData()
    {
        using TcpFixture net = TcpFixture.In(TcpState.Established);
        net.Peer(TcpFlags.Ack | TcpFlags.Urg, payload: TcpFixture.Bytes(10));
        Assert.Equal(TcpFixture.Bytes(10), net.Read());
    }

    [Theory]
    [InlineData(0, 50)]
    [InlineData(-30, 80)]
    [InlineData(0, 200)]
    public void OverlappingSegments_AreTrimmed(int seq, int length)
    {
        using TcpFixture net = TcpFixture.In(TcpState.Established);
        byte[] all = TcpFixture.Bytes(400);
        net.Peer(TcpFlags.Ack, 0, payload: all.AsSpan(0, 100));
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, 100 + seq, payload: all.AsSpan(100 + seq, length));
        Assert.Equal(100 + seq + length, net.ExpectAll()[^1].Ack);
        Assert.Equal(all[..(100 + seq + length)], net.Read());
    }

    [Fact]
    public void DataBeyondTheWindow_IsCutAtItsEdge()
    {
        using var net = new TcpFixture();
        SocketSettings settings = SocketSettings.Default;
        settings.ReceiveBuffer = 4096;
        net.Accept(settings);
        net.Peer(TcpFlags.Ack, 0, payload: TcpFixture.Bytes(1460));
        net.Peer(TcpFlags.Ack, 1460, payload: TcpFixture.Bytes(1460));
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, 2920, payload: TcpFixture.Bytes(1400));
        IReadOnlyList<SentSegment> answers = net.ExpectAll();
        Assert.Equal(4096, answers[^1].Ack);
        Assert.Equal(4096, net.Tcb.ReceiveQueueBytes);
        Assert.Equal(TcpState.Established, net.State);
    }
}
