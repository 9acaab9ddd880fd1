// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What the programs of bpf/handoff.bpf.c make of segments.</summary>
public sealed class HandoffVerdictTests(VerdictNode node) : IClassFixture<VerdictNode>
{
    private const ulong NodeMac = 0x02aaaaaaaaaa;
    private static readonly Stay s_stay = new(1, 1);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NoEntry_SegmentsPass(bool isIpv6)
    {
        TestFrame frame = Given(isIpv6).Frame;
        node.AssertPassesUntouched(node.Ingress, frame.Build());
        node.AssertPassesUntouched(node.Ingress, (frame with { Flags = TestFrame.Syn }).Build());
        node.AssertPassesUntouched(node.Egress, frame.Turned.Build());
        node.AssertPassesUntouched(node.Egress, (frame.Turned with { Flags = TestFrame.Rst }).Build());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Held_SegmentsGoToTheTap_WithTheirInterfaceAsSource(bool isIpv6)
    {
        Connection given = Given(isIpv6);
        Assert.Equal(0, node.Tables.Hold(given.Local, given.Remote, s_stay));
        node.SetTap(node.Tap);
        ulong held = node.Count(SteeringCounter.Held);

        (uint verdict, TestFrame frame) = node.Run(node.Ingress, given.Frame, node.Peers);
        Assert.Equal(VerdictNode.Redirect, verdict);
        ulong mark = 0x0250_0000_0000ul | BinaryPrimitives.ReverseEndianness((uint)node.Peers);
        AssertSame(given.Frame with { SourceMac = mark }, frame);

        // Given back too early, it goes round with what it says.
        (verdict, TestFrame again) = node.Run(node.Ingress, frame, node.Tap);
        Assert.Equal(VerdictNode.Redirect, verdict);
        AssertSame(frame, again);
        Assert.Equal(held + 2, node.Count(SteeringCounter.Held));

        // The move is given up: it comes in as if now.
        Assert.Equal(0, node.Tables.Forget(given.Local, given.Remote));
        ulong returned = node.Count(SteeringCounter.Returned);
        Assert.Equal(VerdictNode.Redirect, node.Run(node.Ingress, frame, node.Tap).Verdict);
        Assert.Equal(returned + 1, node.Count(SteeringCounter.Returned));
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, given.Frame, node.Tap).Verdict);
    }

    [Fact]
    public void Held_NoTap_SegmentsAreDroppedAndCounted()
    {
        Connection given = Given(false);
        Assert.Equal(0, node.Tables.Hold(given.Local, given.Remote, s_stay));
        node.SetTap(0);
        ulong dropped = node.Count(SteeringCounter.DropNoHold);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, given.Frame, node.Peers).Verdict);
        Assert.Equal(dropped + 1, node.Count(SteeringCounter.DropNoHold));
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 12)]
    [InlineData(true, 0)]
    public void Redirected_SegmentsGoToTheTarget(bool isIpv6, int optionLength)
    {
        Connection given = Given(isIpv6);
        Assert.Equal(0, node.Tables.Redirect(given.Local, given.Remote, given.Target, node.Way, s_stay));
        ulong redirected = node.Count(SteeringCounter.Redirected);
        byte[] flags = [TestFrame.Ack, TestFrame.Rst, TestFrame.Syn, TestFrame.Syn | TestFrame.Ack];
        foreach (byte flag in flags)
        {
            TestFrame sent = given.Frame with { Flags = flag, OptionLength = optionLength };
            (uint verdict, TestFrame frame) = node.Run(node.Ingress, sent, node.Peers);
            Assert.Equal(VerdictNode.Redirect, verdict);
            AssertSame(sent with { Destination = given.Target, HopLimit = 63 }, frame);
        }

        Assert.Equal(redirected + 4, node.Count(SteeringCounter.Redirected));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Redirected_TheLastHop_IsDroppedAndCounted(bool isIpv6)
    {
        Connection given = Given(isIpv6);
        Assert.Equal(0, node.Tables.Redirect(given.Local, given.Remote, given.Target, node.Way, s_stay));
        ulong dropped = node.Count(SteeringCounter.DropHopLimit);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, given.Frame with { HopLimit = 1 }, node.Peers).Verdict);
        Assert.Equal(dropped + 1, node.Count(SteeringCounter.DropHopLimit));
        Assert.Equal(1, node.Run(node.Ingress, given.Frame with { HopLimit = 2 }, node.Peers).Frame.HopLimit);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Buried_AllButABareSynGoesToTheTarget_AndThatEndsTheEntry(bool isIpv6)
    {
        Connection given = Given(isIpv6);
        Assert.Equal(0, node.Tables.Redirect(given.Local, given.Remote, given.Target, node.Way, s_stay));
        Assert.Equal(0, node.Tables.Bury(given.Local, given.Remote, s_stay));
        byte[] flags = [TestFrame.Ack, TestFrame.Rst, TestFrame.Syn | TestFrame.Ack];
        foreach (byte flag in flags)
        {
            (uint verdict, TestFrame frame) = node.Run(node.Ingress, given.Frame with { Flags = flag }, node.Peers);
            Assert.Equal((VerdictNode.Redirect, given.Target), (verdict, frame.Destination));
        }

        node.AssertPassesUntouched(node.Ingress, (given.Frame with { Flags = TestFrame.Syn }).Build());
        Assert.False(node.Tables.FindGiven(given.Local, given.Remote, out _));
        node.AssertPassesUntouched(node.Ingress, given.Frame.Build());
    }

    [Theory]
    [InlineData(SteeringMode.Hold)]
    [InlineData(SteeringMode.Redirect)]
    [InlineData(SteeringMode.Tombstone)]
    public void GivenAway_WhatThisNodeSendsItself_IsDropped(SteeringMode mode)
    {
        Connection given = Given(mode == SteeringMode.Redirect);
        Assert.Equal(0, mode == SteeringMode.Hold ? node.Tables.Hold(given.Local, given.Remote, s_stay)
            : node.Tables.Redirect(given.Local, given.Remote, given.Target, node.Way, s_stay));
        Assert.True(mode != SteeringMode.Tombstone || node.Tables.Bury(given.Local, given.Remote, s_stay) == 0);
        ulong dropped = node.Count(SteeringCounter.DropOwn);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Egress, given.Frame.Turned, node.Peers).Verdict);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Egress, given.Frame.Turned with { Flags = TestFrame.Rst }, node.Peers).Verdict);
        Assert.Equal(dropped + 2, node.Count(SteeringCounter.DropOwn));

        // What another node sends by way of this one is not its own.
        node.AssertPassesUntouched(node.Egress, given.Frame.Turned.Build(), node.Way);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Taken_SegmentsLeaveUnderTheKnownEnd_OnceItLives(bool isIpv6)
    {
        (TcpEnd known, TcpEnd remote, TcpEnd local) = node.NewEnds(isIpv6);
        Assert.Equal(0, node.Tables.Translate(local, remote, known, s_stay));
        var sent = new TestFrame { Source = local, Destination = remote, Payload = [1, 2, 3] };
        TestFrame reset = sent with { Flags = TestFrame.Rst | TestFrame.Ack };
        ulong translated = node.Count(SteeringCounter.Translated);

        ulong dropped = node.Count(SteeringCounter.DropOwn);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Egress, sent, node.Peers).Verdict);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Egress, reset, node.Peers).Verdict);
        Assert.Equal(dropped + 2, node.Count(SteeringCounter.DropOwn));

        Assert.Equal(0, node.Tables.SetLive(local, remote));
        foreach (TestFrame own in (TestFrame[])[sent, reset])
        {
            (uint verdict, TestFrame frame) = node.Run(node.Egress, own, node.Peers);
            Assert.Equal(VerdictNode.Pass, verdict);
            AssertSame(own with { Source = known }, frame);
        }

        Assert.Equal(translated + 2, node.Count(SteeringCounter.Translated));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Taken_AndEnded_ASynThatTheFirstNodeSentOn_IsNotRefused(bool isIpv6)
    {
        (TcpEnd known, TcpEnd remote, TcpEnd local) = node.NewEnds(isIpv6);
        var refusal = new TestFrame
        {
            Source = local, Destination = remote, Flags = TestFrame.Rst | TestFrame.Ack, Sequence = 0,
        };
        node.AssertPassesUntouched(node.Egress, refusal.Build());
        Assert.Equal(0, node.Tables.Translate(local, remote, known, s_stay));
        Assert.Equal(0, node.Tables.SetLive(local, remote));
        ulong dropped = node.Count(SteeringCounter.DropOwn);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Egress, refusal, node.Peers).Verdict);
        Assert.Equal(dropped + 1, node.Count(SteeringCounter.DropOwn));

        // What answers a segment of a connection that has ended is passed on, and so is what is no reset.
        foreach (byte flags in (byte[])[TestFrame.Rst, TestFrame.Ack])
        {
            (uint verdict, TestFrame frame) = node.Run(node.Egress, refusal with { Flags = flags }, node.Peers);
            Assert.Equal(VerdictNode.Pass, verdict);
            AssertSame(refusal with { Flags = flags, Source = known }, frame);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Redirected_WhatIsNoWholeSegment_Passes(bool isIpv6)
    {
        Connection given = Given(isIpv6);
        Assert.Equal(0, node.Tables.Redirect(given.Local, given.Remote, given.Target, node.Way, s_stay));
        Assert.Equal(0, node.Tables.Translate(given.Remote, given.Local, given.Target, s_stay));
        TestFrame sent = given.Frame with { Payload = [] };
        byte[] transport = sent.BuildPacket()[(isIpv6 ? 40 : 20)..];
        byte[] frame = sent.Build();
        byte[] tagged = [.. frame[..12], 0x81, 0, 0, 10, .. frame[12..]];
        byte[] shortened = (byte[])frame.Clone();
        shortened[TestFrame.Ethernet + (isIpv6 ? 40 : 20) + 12] = 0x40;
        byte[][] others =
        [
            (sent with { Protocol = IpProtocol.Udp, Payload = transport }).Build(),
            frame[..^1],
            tagged,
            shortened,
            .. isIpv6
                ? (byte[][])[(sent with { Protocol = (IpProtocol)44, Payload = [6, 0, 0, 1, 0, 0, 0, 9, .. transport] }).Build()]
                : [(sent with { Fragment = 0x2000 }).Build(), (sent with { Fragment = 3 }).Build()],
        ];
        foreach (byte[] other in others)
        {
            node.AssertPassesUntouched(node.Ingress, other);
            node.AssertPassesUntouched(node.Egress, other);
        }
    }

    private Connection Given(bool isIpv6)
    {
        (TcpEnd local, TcpEnd remote, TcpEnd target) = node.NewEnds(isIpv6);
        var frame = new TestFrame { DestinationMac = NodeMac, Source = remote, Destination = local, Payload = [1, 2, 3, 4, 5] };
        return new Connection(local, remote, target, frame);
    }

    private static void AssertSame(TestFrame expected, TestFrame actual) => Assert.Equal(expected.Build(), actual.Build());

    private sealed record Connection(TcpEnd Local, TcpEnd Remote, TcpEnd Target, TestFrame Frame);
}
