// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 6298: the retransmission timer; RFC 5681 and RFC 6582 without SACK.</summary>
public sealed class RetransmissionTests
{
    private const int Mss = 1460;

    private static TcpFixture Open(SocketSettings? settings = null)
    {
        SocketSettings chosen = settings ?? SocketSettings.Default;
        chosen.NoDelay = true;
        var net = new TcpFixture();
        net.StartConnect(chosen);
        net.Advance(10);
        net.Peer(TcpFlags.Syn | TcpFlags.Ack, -1, 0, options: TcpFixture.PlainOptions());
        net.PeerNext = 0;
        net.Expect();
        net.ClearEvents();
        return net;
    }

    [Fact]
    public void HandshakeOfTenMilliseconds_SetsTheTimer()
    {
        using TcpFixture net = Open();
        Assert.Equal(Duration.FromMilliseconds(10), net.Tcb.SmoothedRtt);
        Assert.Equal(Duration.FromMilliseconds(5), net.Tcb.RttVariation);
        Assert.Equal(Duration.FromMilliseconds(210), net.Tcb.RetransmissionTimeout);
    }

    [Fact]
    public void Silence_SegmentIsSentAgainWithDoubledWaits()
    {
        using TcpFixture net = Open();
        net.Send(100);
        Instant last = net.Expect().Time;
        for (int i = 0; i < 6; i++)
        {
            SentSegment again = net.ExpectWithin(Duration.FromSeconds(60));
            Assert.Equal(0, again.Seq);
            Assert.Equal(100, again.Length);
            Assert.InRange((again.Time - last).Milliseconds, 210 << i, (210 << i) + 2);
            last = again.Time;
        }

        Assert.Equal(Mss, net.Tcb.Cwnd);
    }

    [Fact]
    public void SynWithoutAnswer_IsSentAgainAfterOneTwoFourSeconds()
    {
        using var net = new TcpFixture();
        net.StartConnect();
        Instant start = net.Now;
        foreach (int second in new[] { 1, 3, 7, 15, 31, 63 })
        {
            SentSegment again = net.ExpectWithin(Duration.FromSeconds(70));
            Assert.Equal(TcpFlags.Syn, again.Flags);
            Assert.InRange((again.Time - start).Milliseconds, second * 1000, (second * 1000) + 10);
        }

        net.Advance(Duration.FromSeconds(70));
        net.ExpectNothing();
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.TimedOut, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void TrickleOfNewSegments_DoesNotPutTheTimerOff()
    {
        using TcpFixture net = Open();
        net.Send(100);
        Instant first = net.Expect().Time;
        for (int i = 0; i < 5; i++)
        {
            net.Advance(50);
            net.Send(10);
        }

        SentSegment again = net.ExpectAll().First(s => s.Seq == 0);
        Assert.InRange((again.Time - first).Milliseconds, 210, 212);
    }

    [Fact]
    public void RetransmittedSegment_Acknowledged_GivesNoSample()
    {
        using TcpFixture net = Open();
        net.Send(100);
        net.Expect();
        net.Advance(230);
        Assert.Single(net.ExpectAll());
        net.Peer(TcpFlags.Ack, ack: 100);
        Assert.Equal(Duration.FromMilliseconds(10), net.Tcb.SmoothedRtt);
        Assert.Equal(0, net.Tcb.Backoff);
    }

    [Fact]
    public void HoleFilledByRetransmission_LaterSegmentsGiveNoSampleEither()
    {
        using TcpFixture net = Open();
        net.Send(3 * Mss);
        Assert.Equal(3, net.ExpectAll().Count);
        net.Advance(230);
        Assert.Equal(0, net.Expect().Seq);

        // The other two were there all the time; how long they waited for the first says nothing about the path.
        net.Peer(TcpFlags.Ack, ack: 3 * Mss);
        Assert.Equal(Duration.FromMilliseconds(10), net.Tcb.SmoothedRtt);
    }

    [Fact]
    public void ThreeDuplicates_FirstSegmentIsSentAgainAtOnce()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        Assert.Equal(8, net.ExpectAll().Count);
        for (int i = 0; i < 2; i++)
        {
            net.Peer(TcpFlags.Ack, ack: 0);
            net.ExpectNothing();
        }

        net.Peer(TcpFlags.Ack, ack: 0);
        SentSegment again = net.Expect();
        Assert.Equal(0, again.Seq);
        Assert.Equal(RecoveryState.Recovery, net.Tcb.Recovery);
        Assert.Equal((int)(10 * Mss * 0.7), net.Tcb.SsThresh);
    }

    [Fact]
    public void OldAcknowledgments_AreNotDuplicates()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, ack: 3 * Mss);
        for (int i = 0; i < 4; i++)
        {
            net.Peer(TcpFlags.Ack, ack: 2 * Mss);
        }

        net.ExpectNothing();
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
    }

    [Fact]
    public void WindowUpdates_AreNotDuplicates()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        net.ExpectAll();
        for (int i = 1; i < 6; i++)
        {
            net.Peer(TcpFlags.Ack, ack: 0, window: 30000 + i);
        }

        net.ExpectNothing();
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
    }

    [Fact]
    public void PartialAcknowledgment_NextHoleIsSentAgainAtOnce()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        net.ExpectAll();
        for (int i = 0; i < 3; i++)
        {
            net.Peer(TcpFlags.Ack, ack: 0);
        }

        Assert.Equal(0, net.Expect().Seq);
        net.Peer(TcpFlags.Ack, ack: 4 * Mss);
        Assert.Contains(net.ExpectAll(), s => s.Seq == 4 * Mss);
        Assert.Equal(RecoveryState.Recovery, net.Tcb.Recovery);
        net.Peer(TcpFlags.Ack, ack: 8 * Mss);
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
        Assert.Equal(net.Tcb.SsThresh, net.Tcb.Cwnd);
    }

    [Fact]
    public void TwoDuplicates_EachLetsANewSegmentGo()
    {
        using TcpFixture net = Open();
        net.Send(12 * Mss);
        Assert.Equal(10, net.ExpectAll().Count);

        // RFC 3042: beyond the window of ten, one for each that left the network.
        net.Peer(TcpFlags.Ack, ack: 0);
        Assert.Equal(10 * Mss, net.Expect().Seq);
        net.Peer(TcpFlags.Ack, ack: 0);
        Assert.Equal(11 * Mss, net.Expect().Seq);
        Assert.Equal(10 * Mss, net.Tcb.Cwnd);
    }

    [Fact]
    public void TimeoutInRecovery_HalvesOnlyOnce()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        net.ExpectAll();
        for (int i = 0; i < 3; i++)
        {
            net.Peer(TcpFlags.Ack, ack: 0);
        }

        int threshold = net.Tcb.SsThresh;
        net.ExpectAll();
        net.Advance(300);
        Assert.Equal(RecoveryState.Loss, net.Tcb.Recovery);
        Assert.Equal(threshold, net.Tcb.SsThresh);
        Assert.Equal(Mss, net.Tcb.Cwnd);
    }

    [Fact]
    public void Timeout_SlowStartFromOneSegment()
    {
        using TcpFixture net = Open();
        net.Send(8 * Mss);
        net.ExpectAll();
        net.Advance(212);
        Assert.Equal(0, Assert.Single(net.ExpectAll()).Seq);
        net.Peer(TcpFlags.Ack, ack: Mss);
        Assert.Equal([Mss, 2 * Mss], net.ExpectAll().Select(s => s.Seq));
        net.Peer(TcpFlags.Ack, ack: 3 * Mss);
        Assert.Equal([3 * Mss, 4 * Mss, 5 * Mss], net.ExpectAll().Select(s => s.Seq));
        net.Peer(TcpFlags.Ack, ack: 8 * Mss);
        Assert.Equal(RecoveryState.Open, net.Tcb.Recovery);
    }

    [Fact]
    public void UserTimeout_GivesUpOnTime()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.UserTimeoutMilliseconds = 3000;
        using TcpFixture net = Open(settings);
        net.Send(100);
        Instant start = net.Expect().Time;
        while (net.State != TcpState.Closed)
        {
            net.Advance(1);
        }

        Assert.InRange((net.Now - start).Milliseconds, 3000, 3003);
        Assert.Equal(TcpError.TimedOut, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void SilenceWithoutUserTimeout_GivesUpAfterFifteenRetransmissions()
    {
        using TcpFixture net = Open();
        net.Send(100);
        net.Expect();
        net.Advance(Duration.FromSeconds(2000));
        IReadOnlyList<SentSegment> all = net.ExpectAll();
        Assert.Equal(15, all.Count);
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.TimedOut, net.ReadError());
    }

    [Fact]
    public void PauseLongerThanTheTimer_WindowDecaysToTheInitialOne()
    {
        using TcpFixture net = Open();
        for (int i = 0; i < 6; i++)
        {
            net.Send(40 * Mss);
            net.ExpectAll();
            net.Advance(5);
            net.Peer(TcpFlags.Ack);
            while (net.ExpectAll().Count > 0)
            {
                net.Peer(TcpFlags.Ack);
            }
        }

        Assert.True(net.Tcb.Cwnd > 20 * Mss);
        int before = net.Tcb.Cwnd;
        net.Advance(150);
        net.Send(100);
        Assert.Equal(before, net.Tcb.Cwnd);
        net.Expect();
        net.Peer(TcpFlags.Ack);
        net.Advance(Duration.FromSeconds(30));
        net.Send(100);
        Assert.Equal(10 * Mss, net.Tcb.Cwnd);
        Assert.True(net.Tcb.SsThresh >= before * 3 / 4);
    }

    [Fact]
    public void ClockThatStartsAtZero_TimersRun()
    {
        using var net = new TcpFixture(startNanoseconds: 0);
        net.StartConnect();
        net.Advance(Duration.FromMicroseconds(500));
        Assert.InRange(net.ExpectWithin(Duration.FromSeconds(2)).Time.Nanoseconds, 1_000_000_000, 1_002_000_000);
    }
}
