// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Packets that are refused or dropped, at each hook.</summary>
public sealed class PacketRefusalTests(PacketNode node) : IClassFixture<PacketNode>
{
    public static TheoryData<bool, string> Hooks => new()
    {
        { false, "xdp" }, { false, "edge" }, { false, "pod" }, { false, "leaving" },
        { true, "xdp" }, { true, "edge" }, { true, "pod" }, { true, "leaving" },
    };

    [Theory]
    [MemberData(nameof(Hooks))]
    public void NoEndpoint_Syn_IsAnsweredByAReset(bool isIpv6, string hook)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp, action: ServiceViewAction.Reject);
        ulong before = node.Count(PacketCounter.Rejected);

        TestPacket answer = Refused(flow, flow.Request, hook);
        Assert.Equal(
            (flow.Frontend, (int)flow.Key.Port, flow.Request.Source, flow.Request.SourcePort),
            (answer.Source, answer.SourcePort, answer.Destination, answer.DestinationPort));

        // RFC 9293 3.10.7.1: SYN and five octets are acknowledged.
        Assert.Equal(TestPacket.Rst | TestPacket.Ack, answer.Flags);
        Assert.Equal((0u, flow.Request.Sequence + 6), (answer.Sequence, answer.Acknowledgment));
        Assert.Empty(answer.Payload);
        Assert.Equal(before + 1, node.Count(PacketCounter.Rejected));
        Assert.Equal(1UL, node.ServiceCountOf(flow.Id).Rejected);
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void NoEndpoint_SegmentWithAck_IsAnsweredByAResetInItsPlace(bool isIpv6, string hook)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp, action: ServiceViewAction.Reject);
        TestPacket segment = flow.Request with { Flags = TestPacket.Ack, Acknowledgment = 77, OptionLength = isIpv6 ? 8 : 12 };
        TestPacket answer = Refused(flow, segment, hook);
        Assert.Equal((TestPacket.Rst, 77u, 0u), (answer.Flags, answer.Sequence, answer.Acknowledgment));
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void NoEndpoint_Reset_IsDropped(bool isIpv6, string hook)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp, action: ServiceViewAction.Reject);
        (uint verdict, _) = Put(flow, flow.Request with { Flags = TestPacket.Rst }, hook);
        Assert.Equal(hook == "xdp" ? PacketNode.XdpDrop : PacketNode.TcShot, verdict);
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void NoEndpoint_Datagram_IsAnsweredByPortUnreachable(bool isIpv6, string hook)
    {
        foreach (int length in new[] { 0, 1, 5, 64, 1400 })
        {
            var flow = new PacketFlow(node, isIpv6, action: ServiceViewAction.Reject);
            TestPacket request = flow.Request with { Payload = new byte[length] };
            TestPacket answer = Refused(flow, request, hook);
            Assert.Equal(isIpv6 ? (IpProtocol.IcmpV6, 1, 4) : (IpProtocol.Icmp, 3, 3), (answer.Protocol, answer.IcmpType, answer.IcmpCode));
            Assert.Equal((flow.Frontend, request.Source), (answer.Source, answer.Destination));
            TestPacket quoted = TestPacketReader.ReadPacket(answer.Payload, complete: false);
            Assert.Equal(
                (request.Source, request.SourcePort, flow.Frontend, request.DestinationPort),
                (quoted.Source, quoted.SourcePort, quoted.Destination, quoted.DestinationPort));
        }
    }

    [Fact]
    public void NoEndpoint_TaggedDatagram_IsAnsweredWithItsTag()
    {
        var flow = new PacketFlow(node, action: ServiceViewAction.Reject);
        TestPacket answer = Refused(flow, flow.Request with { Vlan = 10 }, "xdp");
        Assert.Equal((10, (byte)3), (answer.Vlan, answer.IcmpType));
    }

    [Fact]
    public void ErrorsAheadOfTheirSchedule_AreLeftOutAndCounted()
    {
        var flow = new PacketFlow(node, action: ServiceViewAction.Reject);
        ulong limited = node.Count(PacketCounter.RejectLimited);
        ulong now = (ulong)Stopwatch.GetElapsedTime(0).TotalNanoseconds;
        PacketNode.Ok(node["reject_schedule"].UpdatePerProcessor(0u, now + 100_000_000_000));
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request).Verdict);
        Assert.Equal(limited + 1, node.Count(PacketCounter.RejectLimited));

        PacketNode.Ok(node["reject_schedule"].UpdatePerProcessor(0u, 0UL));
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(flow.Request).Verdict);
        Assert.Equal(limited + 1, node.Count(PacketCounter.RejectLimited));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DropPolicy_IsSilent(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp, action: ServiceViewAction.Drop);
        ulong before = node.Count(PacketCounter.DroppedPolicy);
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request).Verdict);
        Assert.Equal(PacketNode.TcShot, flow.FromPod(flow.Request).Verdict);
        Assert.Equal(before + 2, node.Count(PacketCounter.DroppedPolicy));
        Assert.Equal(2UL, node.ServiceCountOf(flow.Id).Dropped);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SourceRanges_AdmitThoseInside(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6, flags: ViewFlags.CheckSource);
        ulong before = node.Count(PacketCounter.DroppedSourceRange);
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request).Verdict);
        Assert.Equal(before + 1, node.Count(PacketCounter.DroppedSourceRange));

        var range = new AddressRange(PacketNode.Ip(isIpv6 ? "2001:db8:ffff::" : "198.51.100.0"), isIpv6 ? 48 : 24);
        PacketNode.Ok(node["source_ranges"].Update(SourceRangeKey.From(flow.Id, range), 1u));
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(flow.Request).Verdict);
        TestPacket outside = flow.Request with { Source = PacketNode.Ip(isIpv6 ? "2001:db8:fffe::7" : "198.51.101.7") };
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(outside).Verdict);

        // The ranges of another service do not count.
        var other = new PacketFlow(node, isIpv6, flags: ViewFlags.CheckSource);
        Assert.Equal(PacketNode.XdpDrop, other.AtEdge(other.Request).Verdict);
    }

    [Fact]
    public void Views_AreByClassOfTheClient()
    {
        var flow = new PacketFlow(node, change: value => value with
        {
            Pod = value.Pod with { Action = ServiceViewAction.Reject },
            Node = value.Node with { Flags = ViewFlags.CheckSource | ViewFlags.NodeAllowed },
            External = value.External with { Action = ServiceViewAction.Drop },
        });
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request).Verdict);
        (uint verdict, TestPacket answer) = flow.FromPod(flow.Request with { Source = PacketNode.Ip("10.244.0.7") });
        Assert.Equal((PacketNode.TcRedirect, IpProtocol.Icmp), (verdict, answer.Protocol));
        (verdict, TestPacket sent) = flow.Leaving(flow.Request with { Source = PacketNode.Node });
        Assert.Equal((PacketNode.TcRedirect, flow.Backend), (verdict, sent.Destination));
    }

    private TestPacket Refused(PacketFlow flow, TestPacket packet, string hook)
    {
        (uint verdict, TestPacket answer) = Put(flow, packet, hook);
        Assert.Equal(hook == "xdp" ? PacketNode.XdpTransmit : PacketNode.TcRedirect, verdict);
        Assert.Equal(packet.SourceMac, answer.DestinationMac);
        Assert.Equal(hook == "pod" ? PacketNode.PodGatewayMac : PacketNode.EdgeMac, answer.SourceMac);
        return answer;
    }

    private static (uint Verdict, TestPacket Packet) Put(PacketFlow flow, TestPacket packet, string hook) => hook switch
    {
        "xdp" => flow.AtEdge(packet),
        "edge" => flow.AtEdgeTc(packet),
        "pod" => flow.FromPod(packet),
        "leaving" => flow.Leaving(packet),
        _ => throw new ArgumentException(hook, nameof(hook)),
    };
}
