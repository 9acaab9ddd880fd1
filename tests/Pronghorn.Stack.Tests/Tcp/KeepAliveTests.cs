// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 9293 3.8.4.</summary>
public sealed class KeepAliveTests
{
    private static TcpFixture Open()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.KeepAlive = true;
        settings.KeepAliveIdleSeconds = 10;
        settings.KeepAliveIntervalSeconds = 2;
        settings.KeepAliveProbes = 3;
        return new TcpFixture().Accept(settings);
    }

    [Fact]
    public void NotAskedFor_NothingIsSent()
    {
        using TcpFixture net = new TcpFixture().Accept();
        net.Advance(Duration.FromSeconds(100_000));
        net.ExpectNothing();
    }

    [Fact]
    public void Idle_ProbeBelowTheWindow()
    {
        using TcpFixture net = Open();
        Instant start = net.Now;
        SentSegment probe = net.ExpectWithin(Duration.FromSeconds(20));
        Assert.InRange((probe.Time - start).Milliseconds, 10_000, 10_002);
        Assert.Equal(-1, probe.Seq);
        Assert.Equal(0, probe.Length);
        Assert.Equal(TcpFlags.Ack, probe.Flags);
    }

    [Fact]
    public void PeerAnswers_StartsAnew()
    {
        using TcpFixture net = Open();
        for (int i = 0; i < 5; i++)
        {
            Instant start = net.Now;
            SentSegment probe = net.ExpectWithin(Duration.FromSeconds(20));
            Assert.InRange((probe.Time - start).Milliseconds, 9_999, 10_003);
            net.Peer(TcpFlags.Ack);
        }

        Assert.Equal(TcpState.Established, net.State);
    }

    [Fact]
    public void PeerIsSilent_ThreeProbesThenReset()
    {
        using TcpFixture net = Open();
        net.Advance(Duration.FromSeconds(17));
        SentSegment[] sent = [.. net.ExpectAll()];
        Assert.Equal(4, sent.Length);
        Assert.True(sent[3].Is(TcpFlags.Rst));
        Assert.Equal(3, sent.Count(s => s.Flags == TcpFlags.Ack));
        Assert.Equal(TcpState.Closed, net.State);
        Assert.Equal(TcpError.TimedOut, net.ReadError());
    }

    [Fact]
    public void PeersProbe_IsAnswered()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < 3; i++)
        {
            net.Peer(TcpFlags.Ack, net.PeerNext - 1);
            Assert.Equal(0, net.Expect().Ack);
        }
    }

    [Fact]
    public void Traffic_PutsTheProbeOff()
    {
        using TcpFixture net = Open();
        net.Advance(9000);
        net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(1));
        net.ExpectAll();
        net.Advance(9000);
        net.ExpectNothing();
        net.Advance(1100);
        Assert.Equal(-1, net.Expect().Seq);
    }
}
