// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>When data goes out: Nagle with Minshall's change, cork, MSG_MORE, windows, probes (RFC 9293 3.7.4, 3.8.6).</summary>
public sealed class SendingTests
{
    private const int Mss = 1460;

    private static TcpFixture Open(Action<TcpFixture>? prepare = null, bool noDelay = false, bool cork = false)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = noDelay;
        settings.Cork = cork;
        var net = new TcpFixture();
        prepare?.Invoke(net);
        return net.Accept(settings);
    }

    private static int[] Lengths(IEnumerable<SentSegment> segments) => [.. segments.Select(s => s.Length)];

    [Fact]
    public void Nagle_SecondSmallWrite_WaitsForTheAcknowledgment()
    {
        using TcpFixture net = Open();
        net.Send(10);
        Assert.Equal(10, net.Expect().Length);
        net.Send(20);
        net.Send(30);
        net.ExpectNothing();
        net.Peer(TcpFlags.Ack);
        Assert.Equal(50, net.Expect().Length);
    }

    [Fact]
    public void Minshall_SmallTailAfterFullSegments_GoesAtOnce()
    {
        using TcpFixture net = Open();
        net.Send(Mss + 10);
        Assert.Equal([Mss, 10], Lengths(net.ExpectAll()));
        net.Send(10);
        net.ExpectNothing();
    }

    [Fact]
    public void Nagle_FullSegment_GoesAtOnce()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Send(Mss + 100);
        Assert.Equal([Mss], Lengths(net.ExpectAll()));
    }

    [Fact]
    public void NoDelay_EverySmallWriteGoes()
    {
        using TcpFixture net = Open(noDelay: true);
        for (int i = 0; i < 5; i++)
        {
            net.Send(10);
            Assert.Equal(10, net.Expect().Length);
        }
    }

    [Fact]
    public void NagleIsSwitchedOff_WhatWaitsGoes()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Send(20);
        net.ExpectAll();
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        net.Tcp.ApplySettings(net.Id, settings, net.Now);
        Assert.Equal(20, net.Expect().Length);
    }

    [Fact]
    public void Cork_PartialSegment_WaitsTwoHundredMilliseconds()
    {
        using TcpFixture net = Open(cork: true);
        Instant start = net.Now;
        net.Send(10);
        net.ExpectNothing();
        net.Send(20);
        SentSegment late = net.ExpectWithin(Duration.FromSeconds(1));
        Assert.Equal(30, late.Length);
        Assert.InRange((late.Time - start).Milliseconds, 200, 202);
        net.Peer(TcpFlags.Ack);
        net.Send(Mss + 5);
        Assert.Equal([Mss], Lengths(net.ExpectAll()));
    }

    [Fact]
    public void CorkIsPulled_WhatWaitsGoes()
    {
        using TcpFixture net = Open(cork: true);
        net.Send(10);
        net.ExpectNothing();
        net.Tcp.ApplySettings(net.Id, SocketSettings.Default, net.Now);
        Assert.Equal(10, net.Expect().Length);
    }

    [Fact]
    public void More_JoinsWithTheNextWrite()
    {
        using TcpFixture net = Open(noDelay: true);
        net.Send(10, SendFlags.More);
        net.ExpectNothing();
        net.Send(20);
        Assert.Equal(30, net.Expect().Length);
    }

    [Fact]
    public void More_AloneGoesAfterTwoHundredMilliseconds()
    {
        using TcpFixture net = Open(noDelay: true);
        net.Send(10, SendFlags.More);
        Assert.Equal(10, net.ExpectWithin(Duration.FromMilliseconds(210)).Length);
    }

    [Fact]
    public void Close_WhileNagleHolds_SendsRestWithFin()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Send(20);
        net.ExpectAll();
        net.Close();
        SentSegment last = net.Expect();
        Assert.Equal(20, last.Length);
        Assert.True(last.Is(TcpFlags.Fin));
    }

    [Fact]
    public void LastSegmentOfAWrite_CarriesPush()
    {
        using TcpFixture net = Open();
        net.Send(3 * Mss);
        Assert.Equal([false, false, true], net.ExpectAll().Select(s => s.Is(TcpFlags.Psh)));
    }

    [Fact]
    public void InitialWindow_IsTenSegments()
    {
        using TcpFixture net = Open();
        net.Send(40 * Mss);
        Assert.Equal(10, net.ExpectAll().Count);
        net.Peer(TcpFlags.Ack, ack: 2 * Mss);
        Assert.Equal(4, net.ExpectAll().Count);
    }

    [Fact]
    public void PeersWindow_BoundsWhatIsInFlight()
    {
        using TcpFixture net = Open(n => n.PeerWindow = 5000);
        net.Send(20_000);
        Assert.Equal(5000 / Mss * Mss, net.ExpectAll().Sum(s => s.Length) / Mss * Mss);
        Assert.True(net.Tcb.FlightSize <= 5000);
    }

    [Fact]
    public void ZeroWindow_IsProbedWithDoubledWaitsForEver()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Peer(TcpFlags.Ack, window: 0);
        net.Send(1000);
        Instant last = net.Now;
        long wait = net.Tcb.RetransmissionTimeout.Milliseconds;
        for (int i = 0; i < 30; i++)
        {
            SentSegment probe = net.ExpectWithin(Duration.FromSeconds(130));
            Assert.Equal(9, probe.Seq);
            Assert.Equal(0, probe.Length);
            long expected = Math.Min(wait << Math.Min(i, 20), 120_000);
            Assert.InRange((probe.Time - last).Milliseconds, expected - 2, expected + 4);
            last = probe.Time;
            net.Peer(TcpFlags.Ack, window: 0);
        }

        Assert.Equal(TcpState.Established, net.State);
        net.Peer(TcpFlags.Ack, window: 65535);
        Assert.Equal(1000, net.Expect().Length);
    }

    [Fact]
    public void ZeroWindowAndSilence_GivesUp()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Peer(TcpFlags.Ack, window: 0);
        net.Send(1000);
        net.Advance(Duration.FromSeconds(3000));
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.TimedOut, net.Tcp.TakeError(net.Id));
    }

    [Fact]
    public void ZeroWindowOfAnOrphan_WhosePeerAnswers_IsProbedUntilProbesAreTwoMinutesApart()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Peer(TcpFlags.Ack, window: 0);
        net.Send(1000);
        net.Close();
        Instant last = net.Now;
        Duration pause = Duration.Zero;
        SentSegment probe = net.ExpectWithin(Duration.FromSeconds(130));
        while (!probe.Is(TcpFlags.Rst))
        {
            (last, pause) = (probe.Time, probe.Time - last);
            net.Peer(TcpFlags.Ack, window: 0);
            probe = net.ExpectWithin(Duration.FromSeconds(130));
        }

        Assert.InRange(pause.Milliseconds, 60_000, 120_000);
        Assert.InRange((probe.Time - last).Milliseconds, 119_000, 121_000);
        net.AssertNothingHeld();
    }

    [Fact]
    public void ZeroWindowOfAnOrphan_GivesUp()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Peer(TcpFlags.Ack, window: 0);
        net.Send(1000);
        net.Close();
        for (int i = 0; i < 40; i++)
        {
            net.Advance(Duration.FromSeconds(30));
            if (net.Tcp.ConnectionCount == 0)
            {
                break;
            }

            net.Peer(TcpFlags.Ack, window: 0);
        }

        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void SmallWindow_IsNotFilledBySillySegments()
    {
        using TcpFixture net = Open();
        net.Send(10);
        net.Expect();
        net.Peer(TcpFlags.Ack, window: 100);
        net.Send(1000);
        net.ExpectNothing();

        // The override of 3.8.6.2.1, after a while.
        Assert.Equal(100, net.ExpectWithin(Duration.FromSeconds(2)).Length);
    }

    [Fact]
    public void WindowOfHalfTheLargest_IsUsed()
    {
        using TcpFixture net = Open(n => n.PeerWindow = 1000);
        net.Send(3000);
        Assert.Equal([1000], Lengths(net.ExpectAll()));
        net.Peer(TcpFlags.Ack, window: 500);
        Assert.InRange(net.ExpectAll().Sum(s => s.Length), 250, 500);
    }

    [Fact]
    public void WindowIsShrunk_NothingIsSentBeyondIt()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, ack: Mss, window: Mss);
        net.Send(5 * Mss);
        net.ExpectNothing();
        net.Peer(TcpFlags.Ack, ack: 5 * Mss, window: 10 * Mss);
        Assert.Equal(5, net.ExpectAll().Count);
    }

    /// <summary>A segment that begins beyond its window is none that the peer takes, nor what it acknowledges.</summary>
    [Fact]
    public void WindowIsShrunkUnderAFlight_WhatIsAcknowledgedBeginsWithinIt()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, ack: Mss, window: Mss);

        net.Peer(TcpFlags.Ack, ack: Mss, window: Mss, payload: TcpFixture.Bytes(10));

        SentSegment acknowledgment = net.ExpectWithin(Duration.FromMilliseconds(100));
        Assert.Equal((2 * Mss, 0), (acknowledgment.Seq, acknowledgment.Length));
    }

    [Fact]
    public void WindowIsShrunkToNothingUnderAFlight_PeerGoesOnAnswering_ConnectionLives()
    {
        using TcpFixture net = Open();
        net.Send(5 * Mss);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack, ack: Mss, window: 0);
        for (int i = 0; i < 40; i++)
        {
            SentSegment again = net.ExpectWithin(Duration.FromSeconds(130));
            Assert.Equal(Mss, again.Seq);
            net.Peer(TcpFlags.Ack, ack: Mss, window: 0);
        }

        Assert.Equal(TcpState.Established, net.State);
        net.Peer(TcpFlags.Ack, ack: Mss, window: 65535);
        SentSegment first = net.ExpectWithin(Duration.FromSeconds(130));
        Assert.Equal(Mss, first.Seq);
        net.Peer(TcpFlags.Ack, ack: 5 * Mss);
        Assert.Equal(0, net.Tcb.FlightSize);
    }

    [Fact]
    public void OldAcknowledgmentWithAnotherWindow_DoesNotChangeIt()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(100));
        net.Peer(TcpFlags.Ack, 0, window: 10);
        Assert.Equal(65535u, net.Tcb.SndWnd);
    }

    [Fact]
    public void FullSendBuffer_TakesNoMoreAndTellsWhenThereIsRoom()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.SendBuffer = 20_000;
        using TcpFixture net = new TcpFixture().Accept(settings);
        Assert.Equal(20_000, net.Send(30_000));
        Assert.Equal(0, net.Tcp.Send(net.Id, TcpFixture.Bytes(1), SendFlags.None, net.Now, out TcpError error));
        Assert.Equal(TcpError.WouldBlock, error);
        Assert.Equal(20_000, net.Tcp.SendQueueBytes(net.Id));
        Assert.Equal(0, net.Tcp.SendSpace(net.Id));
        net.ExpectAll();
        net.ClearEvents();
        net.Peer(TcpFlags.Ack, ack: 2 * Mss);
        Assert.DoesNotContain(net.Events(), e => (e.Edge & Readiness.Out) != 0);
        net.ExpectAll();
        net.Peer(TcpFlags.Ack);
        Assert.Contains(net.Events(), e => (e.Edge & Readiness.Out) != 0);
        net.ExpectAll();
    }
}
