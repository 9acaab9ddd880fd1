// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 5961: blind attacks; what each state does is in <see cref="Rfc9293.StateTests"/>.</summary>
public sealed class ChallengeAckTests
{
    [Fact]
    public void ManySynsInASecond_ChallengesAreLimited()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < Limits.ChallengeAcksPerSecond + 500; i++)
        {
            net.Peer(TcpFlags.Syn, 100);
        }

        Assert.Equal(Limits.ChallengeAcksPerSecond, net.ExpectAll().Count);
        Assert.Equal(500, net.Stack.Counters[Counter.TcpChallengeAcksSuppressed]);
        net.Advance(1000);
        net.Peer(TcpFlags.Syn, 100);
        Assert.Equal(TcpFlags.Ack, net.Expect().Flags);
    }

    [Fact]
    public void EmptySegmentsOutsideTheWindow_AreAnsweredTwiceASecond()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < 100; i++)
        {
            net.Peer(TcpFlags.Ack, -1000);
            net.Advance(10);
        }

        Assert.InRange(net.ExpectAll().Count, 2, 3);
    }

    [Fact]
    public void PeerWithoutMemory_IsReset_ByTheChallenge()
    {
        // The peer lost its state and opens anew: our challenge draws its reset, and that fits.
        using TcpFixture net = new TcpFixture().Accept();
        net.Peer(TcpFlags.Syn, 5000, options: TcpFixture.PlainOptions());
        SentSegment challenge = net.Expect();
        net.Peer(TcpFlags.Rst, challenge.Ack);
        Assert.Equal(TcpState.Closed, net.State);
    }

    [Fact]
    public void ResetsForNobody_AreLimited()
    {
        using var net = new TcpFixture();
        for (int i = 0; i < Limits.ResetsPerSecond + 10; i++)
        {
            net.Peer(TcpFlags.Ack, 0, 0);
        }

        Assert.Equal(Limits.ResetsPerSecond, net.ExpectAll().Count);
    }
}
