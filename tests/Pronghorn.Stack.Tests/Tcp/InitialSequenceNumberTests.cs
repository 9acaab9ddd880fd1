// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 6528 and RFC 9293 3.4.1: where numbers begin.</summary>
public sealed class InitialSequenceNumberTests
{
    private static uint IssAt(long nanoseconds, ulong secret = 1, ushort port = 50000)
    {
        using var net = new TcpFixture(new StackOptions { MaximumConnections = 8, Secret0 = secret }, startNanoseconds: nanoseconds);
        net.Tcp.Connect(TcpFixture.OurAddress, port, TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
        return net.Expect().RawSequence.Value;
    }

    [Fact]
    public void SameConnectionLater_NumberHasMovedByOneInFourMicroseconds()
    {
        uint first = IssAt(1_000_000_000);
        Assert.Equal(first + 1, IssAt(1_000_004_000));
        Assert.Equal(first + 250_000, IssAt(2_000_000_000));
    }

    [Fact]
    public void OtherSecretOrOtherPort_NumberIsUnrelated()
    {
        uint first = IssAt(1_000_000_000);
        Assert.InRange(Distance(first, IssAt(1_000_000_000, secret: 2)), 100_000u, uint.MaxValue);
        Assert.InRange(Distance(first, IssAt(1_000_000_000, port: 50001)), 100_000u, uint.MaxValue);
    }

    private static uint Distance(uint a, uint b) => unchecked(a - b) < unchecked(b - a) ? unchecked(a - b) : unchecked(b - a);
}
