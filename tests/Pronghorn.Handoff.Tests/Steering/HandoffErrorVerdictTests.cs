// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>ICMP errors: about what the owner of a connection sends, and those that the program makes of what is too large.</summary>
public sealed class HandoffErrorVerdictTests(VerdictNode node) : IClassFixture<VerdictNode>
{
    private const byte Unreachable = 3;
    private const byte FragmentationNeeded = 4;
    private const byte PacketTooBig = 2;
    private static readonly Stay s_stay = new(1, 1);

    [Theory]
    [InlineData(false, 3, 4, 100)]
    [InlineData(false, 3, 4, 28)]
    [InlineData(false, 3, 1, 28)]
    [InlineData(false, 11, 0, 100)]
    [InlineData(false, 12, 0, 100)]
    [InlineData(true, 1, 0, 48)]
    [InlineData(true, 2, 0, 100)]
    [InlineData(true, 3, 0, 100)]
    [InlineData(true, 4, 1, 100)]
    public void Redirected_AnErrorAboutTheOwnersSegment_GoesToTheOwner(bool isIpv6, byte type, byte code, int quoted)
    {
        (TestFrame sent, TcpEnd target) = Redirected(isIpv6, node.Way);
        ulong count = node.Count(SteeringCounter.ErrorsRedirected);
        AssertRedirected(TestFrame.Error(sent, type, code, 1280, quoted), sent, target);
        Assert.Equal(0, node.Tables.Bury(sent.Source, sent.Destination, s_stay));
        AssertRedirected(TestFrame.Error(sent, type, code, 1280, quoted), sent, target);
        Assert.Equal(count + 2, node.Count(SteeringCounter.ErrorsRedirected));
    }

    [Theory]
    [InlineData(8, 0)]
    [InlineData(0, 40)]
    [InlineData(12, 8)]
    public void Redirected_Ipv4OptionsOfEitherHeader_AreSteppedOver(int outer, int quoted)
    {
        (TestFrame sent, TcpEnd target) = Redirected(false, node.Way);
        sent = sent with { OptionLength = quoted };
        TestFrame error = TestFrame.Error(sent, Unreachable, FragmentationNeeded, 1280) with { OptionLength = outer };
        AssertRedirected(error, sent, target);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Redirected_AnErrorOnItsLastHop_IsDroppedAndCounted(bool isIpv6)
    {
        TestFrame error = TooBig(Redirected(isIpv6, node.Way).Sent) with { HopLimit = 1 };
        ulong dropped = node.Count(SteeringCounter.DropHopLimit);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, error, node.Peers).Verdict);
        Assert.Equal(dropped + 1, node.Count(SteeringCounter.DropHopLimit));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void HeldOrUnknown_Errors_AreTheKernels(bool isIpv6)
    {
        (TcpEnd local, TcpEnd remote, _) = node.NewEnds(isIpv6);
        byte[] error = TooBig(new TestFrame { Source = local, Destination = remote, Payload = new byte[1200] }).Build();
        node.AssertPassesUntouched(node.Ingress, error);
        Assert.Equal(0, node.Tables.Hold(local, remote, s_stay));
        node.AssertPassesUntouched(node.Ingress, error);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Redirected_MalformedOrOtherMessages_AreTheKernels(bool isIpv6)
    {
        TestFrame sent = Redirected(isIpv6, node.Way).Sent;
        TestFrame error = TooBig(sent);
        int certain = isIpv6 ? 48 : 28;
        byte[] whole = (error with { Payload = error.Payload[..certain] }).Build();
        TestFrame[] others =
        [
            error with { IcmpType = isIpv6 ? (byte)128 : (byte)8 },
            error with { IcmpType = 5 },
            error with { Destination = sent.Destination with { Port = 0 } },
            error with { Payload = error.Payload[..(certain - 1)] },
            error with { Payload = error.Payload[..10] },
            error with { Payload = [] },
            error with { Payload = sent.Turned.BuildPacket() },
            error with { Payload = (sent with { Protocol = IpProtocol.Udp, Payload = new byte[40] }).BuildPacket() },
        ];
        foreach (TestFrame other in others)
        {
            node.AssertPassesUntouched(node.Ingress, other.Build());
        }

        // Cut off after it was sent; padded, but with a length that ends before the ports.
        node.AssertPassesUntouched(node.Ingress, whole[..^1]);
        node.AssertPassesUntouched(node.Ingress, [.. (error with { Payload = error.Payload[..(certain - 4)] }).Build(), 0, 0, 0, 0]);
        node.AssertPassesUntouched(node.Ingress, [.. whole[..12], 0x81, 0, 0, 10, .. whole[12..]]);
        if (!isIpv6)
        {
            // Fragments of an error; an error about a later fragment, which has no ports.
            node.AssertPassesUntouched(node.Ingress, (error with { Fragment = 0x2000 }).Build());
            node.AssertPassesUntouched(node.Ingress, (error with { Fragment = 5 }).Build());
            node.AssertPassesUntouched(node.Ingress, (error with { Payload = (sent with { Fragment = 5 }).BuildPacket() }).Build());
        }

        Assert.Equal(VerdictNode.Redirect, node.Run(node.Ingress, whole, node.Peers).Verdict);
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 0)]
    [InlineData(false, 1400)]
    [InlineData(true, 1400)]
    public void Redirected_LargerThanTheWayTakes_ThePeerIsTold(bool isIpv6, int segmentSize)
    {
        (TestFrame own, _) = Redirected(isIpv6, node.NarrowWay);
        TestFrame sent = own.Turned with { Payload = new byte[segmentSize > 0 ? 3000 : 1400] };
        new Random(1).NextBytes(sent.Payload);
        (ulong dropped, ulong answered) = (node.Count(SteeringCounter.DropTooBig), node.Count(SteeringCounter.TooBigAnswered));

        (uint verdict, byte[] bytes) = node.Run(node.Ingress, sent.Build(), node.Peers, segmentSize: segmentSize);
        Assert.Equal(VerdictNode.Redirect, verdict);
        TestFrame answer = TestFrame.Read(bytes);
        Assert.Equal((sent.SourceMac, sent.DestinationMac), (answer.DestinationMac, answer.SourceMac));
        Assert.Equal((sent.Destination.Address, sent.Source.Address), (answer.Source.Address, answer.Destination.Address));
        TestFrame model = TooBig(sent);
        Assert.Equal((model.IcmpType, model.IcmpCode, model.IcmpRest), (answer.IcmpType, answer.IcmpCode, answer.IcmpRest));
        Assert.Equal(sent.BuildPacket()[..(isIpv6 ? 60 : 40)], answer.Payload);
        Assert.Equal((dropped + 1, answered + 1), (node.Count(SteeringCounter.DropTooBig), node.Count(SteeringCounter.TooBigAnswered)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Redirected_AsLargeAsTheWayTakes_GoesOn(bool isIpv6)
    {
        (TestFrame own, _) = Redirected(isIpv6, node.NarrowWay);
        int data = VerdictNode.NarrowMtu - (isIpv6 ? 60 : 40);
        ulong redirected = node.Count(SteeringCounter.Redirected);
        byte[] one = (own.Turned with { Payload = new byte[data] }).Build();
        byte[] many = (own.Turned with { Payload = new byte[2 * data] }).Build();
        Assert.Equal(VerdictNode.Redirect, node.Run(node.Ingress, one, node.Peers).Verdict);
        Assert.Equal(VerdictNode.Redirect, node.Run(node.Ingress, many, node.Peers, segmentSize: data).Verdict);
        Assert.Equal(redirected + 2, node.Count(SteeringCounter.Redirected));
    }

    [Fact]
    public void Redirected_TooLargeAndNobodyToTell_IsDroppedAndCounted()
    {
        (TestFrame own, _) = Redirected(false, node.NarrowWay);
        TestFrame sent = own.Turned with { Payload = new byte[1400] };
        (ulong dropped, ulong answered) = (node.Count(SteeringCounter.DropTooBig), node.Count(SteeringCounter.TooBigAnswered));
        node.SetTap(node.Tap);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, sent, node.Tap).Verdict);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, sent with { Fragment = 0 }, node.Peers).Verdict);
        Assert.Equal(VerdictNode.Drop, node.Run(node.Ingress, sent with { OptionLength = 4 }, node.Peers).Verdict);
        Assert.Equal((dropped + 3, answered), (node.Count(SteeringCounter.DropTooBig), node.Count(SteeringCounter.TooBigAnswered)));
    }

    /// <summary>A segment under this node's address, as a router sees it, of a connection that went to the target.</summary>
    private (TestFrame Sent, TcpEnd Target) Redirected(bool isIpv6, int way)
    {
        (TcpEnd local, TcpEnd remote, TcpEnd target) = node.NewEnds(isIpv6);
        Assert.Equal(0, node.Tables.Redirect(local, remote, target, way, s_stay));
        byte[] data = new byte[1200];
        new Random(remote.Port).NextBytes(data);
        return (new TestFrame { Source = local, Destination = remote, Payload = data }, target);
    }

    private static TestFrame TooBig(TestFrame about) => about.IsIpv6
        ? TestFrame.Error(about, PacketTooBig, 0, VerdictNode.NarrowMtu)
        : TestFrame.Error(about, Unreachable, FragmentationNeeded, VerdictNode.NarrowMtu);

    private void AssertRedirected(TestFrame error, TestFrame sent, TcpEnd target)
    {
        (uint verdict, TestFrame left) = node.Run(node.Ingress, error, node.Peers);
        Assert.Equal(VerdictNode.Redirect, verdict);
        Assert.Equal(
            (error.Source, target.Address, error.HopLimit - 1, error.OptionLength),
            (left.Source, left.Destination.Address, left.HopLimit, left.OptionLength));
        Assert.Equal((error.IcmpType, error.IcmpCode, error.IcmpRest), (left.IcmpType, left.IcmpCode, left.IcmpRest));
        TestFrame quoted = left.ReadQuoted();
        Assert.Equal((target, sent.Destination, sent.HopLimit), (quoted.Source, quoted.Destination, quoted.HopLimit));
        Assert.Equal(error.Payload.Length, left.Payload.Length);
    }
}
