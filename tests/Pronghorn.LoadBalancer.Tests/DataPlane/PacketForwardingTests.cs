// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Requests and answers through the packet programs: ends, checksums, neighbours, verdicts.</summary>
public sealed class PacketForwardingTests(PacketNode node) : IClassFixture<PacketNode>
{
    public static TheoryData<bool, IpProtocol> Kinds => new()
    {
        { false, IpProtocol.Udp }, { false, IpProtocol.Tcp }, { false, IpProtocol.Sctp },
        { true, IpProtocol.Udp }, { true, IpProtocol.Tcp }, { true, IpProtocol.Sctp },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void RemoteBackend_RequestAndAnswer_AreTranslatedAtXdp(bool isIpv6, IpProtocol protocol)
    {
        var flow = new PacketFlow(node, isIpv6, protocol);

        (uint verdict, TestPacket sent) = flow.AtEdge(flow.Request);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        AssertEnds(sent, flow.Request.Source, flow.Request.SourcePort, flow.Backend, flow.BackendPort);
        Assert.Equal((PacketNode.OtherNodeMac, PacketNode.EdgeMac, 63), (sent.DestinationMac, sent.SourceMac, sent.HopLimit));
        Assert.Equal(flow.Request.Payload, sent.Payload);

        (verdict, TestPacket answer) = flow.AtEdge(sent.Answer());
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        AssertEnds(answer, flow.Frontend, flow.Key.Port, flow.Request.Source, flow.Request.SourcePort);
        Assert.Equal((PacketNode.RouterMac, 63), (answer.DestinationMac, answer.HopLimit));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void MasqueradedView_RequestAndAnswer_GoThroughANodeAddress(bool isIpv6, IpProtocol protocol)
    {
        var flow = new PacketFlow(node, isIpv6, protocol, flags: ViewFlags.Masquerade);

        (uint verdict, TestPacket sent) = flow.AtEdge(flow.Request);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        Assert.Equal(isIpv6 ? PacketNode.Node6 : PacketNode.Node, sent.Source);
        Assert.InRange(sent.SourcePort, 61000, 65535);
        Assert.Equal((flow.Backend, flow.BackendPort), (sent.Destination, sent.DestinationPort));

        (verdict, TestPacket answer) = flow.AtEdge(sent.Answer());
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        AssertEnds(answer, flow.Frontend, flow.Key.Port, flow.Request.Source, flow.Request.SourcePort);

        (_, TestPacket again) = flow.AtEdge(flow.Request with { Flags = TestPacket.Ack, Payload = [9] });
        Assert.Equal(sent.SourcePort, again.SourcePort);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void LocalBackend_RequestAndAnswer_AreLeftToTcUntouched(bool isIpv6, IpProtocol protocol)
    {
        var flow = new PacketFlow(node, isIpv6, protocol, isLocal: true);
        ulong left = node.Count(PacketCounter.LeftToTc);
        byte[] frame = node.Address(flow.Request, node.Edge).Build();

        (uint verdict, byte[] after, _) = node.RunRaw(node.Xdp, frame, node.Edge);
        Assert.Equal(PacketNode.XdpPass, verdict);
        Assert.Equal(frame, after);
        Assert.Equal(left + 1, node.Count(PacketCounter.LeftToTc));

        (verdict, TestPacket sent) = flow.AtEdgeTc(flow.Request);
        Assert.Equal(PacketNode.TcRedirect, verdict);
        AssertEnds(sent, flow.Request.Source, flow.Request.SourcePort, flow.Backend, flow.BackendPort);
        Assert.Equal((PacketNode.PodMac, PacketNode.PodGatewayMac, 63), (sent.DestinationMac, sent.SourceMac, sent.HopLimit));

        (verdict, TestPacket answer) = flow.FromPod(sent.Answer());
        Assert.Equal(PacketNode.TcRedirect, verdict);
        AssertEnds(answer, flow.Frontend, flow.Key.Port, flow.Request.Source, flow.Request.SourcePort);
        Assert.Equal(PacketNode.RouterMac, answer.DestinationMac);
        Assert.Equal(1UL, node.ServiceCountOf(flow.Id).Connections);
        Assert.Equal(2UL, node.ServiceCountOf(flow.Id).Packets);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void NodePort_OnAnyNodeAddress_IsServed(bool isIpv6)
    {
        var key = new FrontendKey(isIpv6 ? IpAddress.AnyIpv6 : IpAddress.AnyIpv4, (ushort)(isIpv6 ? 30001 : 30000), IpProtocol.Tcp);
        node.AddService(key.Port, key, [(key.Port, PacketNode.Ip(isIpv6 ? "fd00:245::9" : "10.244.1.9"), 80)]);
        var request = new TestPacket
        {
            Source = PacketNode.Ip(isIpv6 ? "2001:db8:ffff::7" : "198.51.100.7"),
            Destination = isIpv6 ? PacketNode.Node6 : PacketNode.Node,
            Protocol = IpProtocol.Tcp,
            SourcePort = 41000,
            DestinationPort = key.Port,
            Flags = TestPacket.Syn,
        };

        (uint verdict, TestPacket sent) = node.Run(node.Xdp, request, node.Edge);
        Assert.Equal((PacketNode.XdpTransmit, 80), (verdict, sent.DestinationPort));

        // The other node's address has no node ports here.
        TestPacket elsewhere = request with { Destination = PacketNode.Ip(isIpv6 ? "2001:db8::b" : "192.0.2.11") };
        (verdict, TestPacket same) = node.Run(node.Xdp, elsewhere, node.Edge);
        Assert.Equal((PacketNode.XdpPass, (int)key.Port), (verdict, same.DestinationPort));
    }

    [Fact]
    public void OtherTraffic_PassesUntouched()
    {
        var flow = new PacketFlow(node);
        TestPacket[] packets =
        [
            flow.Request with { DestinationPort = 1 },
            flow.Request with { Protocol = IpProtocol.Tcp },
            flow.Request with { Protocol = IpProtocol.Icmp, IcmpType = 8 },
            flow.Request with { Vlan = 11 },
            flow.Request.Answer(),
        ];
        foreach (TestPacket packet in packets)
        {
            byte[] frame = node.Address(packet, node.Edge).Build();
            foreach ((Linux.Bpf.BpfProgram program, uint expected) in
                new[] { (node.Xdp, PacketNode.XdpPass), (node.TcIngress, PacketNode.TcNext), (node.TcEgress, PacketNode.TcNext) })
            {
                (uint verdict, byte[] after, _) = node.RunRaw(program, frame, node.Edge);
                Assert.Equal(expected, verdict);
                Assert.Equal(frame, after);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OptionsAndExtensionHeaders_AreSteppedOver(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp);
        (uint verdict, TestPacket sent) = flow.AtEdge(flow.Request with { OptionLength = 8 });
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        AssertEnds(sent, flow.Request.Source, flow.Request.SourcePort, flow.Backend, flow.BackendPort);
        Assert.Equal(8, sent.OptionLength);
    }

    [Fact]
    public void UdpWithoutChecksum_StaysWithout()
    {
        var flow = new PacketFlow(node);
        (_, TestPacket sent) = flow.AtEdge(flow.Request with { WithoutUdpChecksum = true });
        Assert.True(sent.WithoutUdpChecksum);
        (_, sent) = flow.AtEdgeTc(flow.Request with { WithoutUdpChecksum = true });
        Assert.True(sent.WithoutUdpChecksum);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LastHop_IsLeftToTheKernelToAnswer(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6);
        byte[] frame = node.Address(flow.Request with { HopLimit = 1 }, node.Edge).Build();
        (uint verdict, byte[] after, _) = node.RunRaw(node.Xdp, frame, node.Edge);
        Assert.Equal(PacketNode.XdpPass, verdict);
        Assert.Equal(frame, after);
        (verdict, TestPacket sent) = flow.AtEdgeTc(flow.Request with { HopLimit = 1 });
        Assert.Equal(PacketNode.TcNext, verdict);
        Assert.Equal((1, flow.Backend), (sent.HopLimit, sent.Destination));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TaggedFrame_KeepsItsTagOrGetsThatOfItsWayOn(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6);
        TestPacket request = flow.Request with { Source = PacketNode.Ip(isIpv6 ? "2001:db8:10::7" : "172.16.10.7"), Vlan = 10 };

        // The backend is behind the untagged interface: a tag is not taken off here.
        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(request).Verdict);

        string backend = isIpv6 ? "2001:db8:10::7" : "172.16.10.7";
        var key = new FrontendKey(flow.Frontend, (ushort)(flow.Key.Port + 20000), IpProtocol.Udp);
        node.AddService(flow.Id + 20000, key, [(flow.Id + 20000, PacketNode.Ip(backend), 99)]);
        request = request with { Source = PacketNode.Ip(isIpv6 ? "2001:db8:10::8" : "172.16.10.8"), DestinationPort = key.Port };
        (uint verdict, TestPacket sent) = flow.AtEdge(request);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        Assert.Equal((10, 0x020000001007UL, 99), (sent.Vlan, sent.DestinationMac, sent.DestinationPort));
    }

    [Fact]
    public void WayOn_WithoutNeighbour_IsWaitedForByTheKernel()
    {
        var key = new FrontendKey(PacketNode.Ip("203.0.113.54"), 53, IpProtocol.Udp);
        node.AddService(900, key, [(900, PacketNode.Ip("192.0.2.99"), 53)]);
        var request = new TestPacket
        {
            Source = PacketNode.Ip("198.51.100.7"), Destination = key.Address, SourcePort = 4, DestinationPort = 53,
        };
        Assert.Equal(PacketNode.XdpPass, node.Run(node.Xdp, request, node.Edge).Verdict);
        (uint verdict, TestPacket sent) = node.Run(node.TcIngress, request, node.Edge);
        Assert.Equal(PacketNode.TcRedirect, verdict);
        Assert.Equal(PacketNode.Ip("192.0.2.99"), sent.Destination);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void BackendThatIsTheNode_IsReachedUnmasquerated_AndAnswersAreTranslatedWhereTheyLeave(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6);
        IpAddress address = isIpv6 ? PacketNode.Node6 : PacketNode.Node;
        var key = new FrontendKey(flow.Frontend, (ushort)(flow.Key.Port + 21000), IpProtocol.Udp);
        node.AddService(flow.Id + 21000, key, [(flow.Id + 21000, address, 5353)], external: ViewFlags.Masquerade);
        TestPacket request = flow.Request with { DestinationPort = key.Port };

        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(request).Verdict);
        (uint verdict, TestPacket sent) = flow.AtEdgeTc(request);
        Assert.Equal(PacketNode.TcNext, verdict);
        AssertEnds(sent, request.Source, request.SourcePort, address, 5353);

        (verdict, TestPacket answer) = flow.Leaving(sent.Answer());
        Assert.Equal(PacketNode.TcNext, verdict);
        AssertEnds(answer, flow.Frontend, key.Port, request.Source, request.SourcePort);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void PodThatIsItsOwnBackend_SeesTheNode(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6, IpProtocol.Tcp, isLocal: true);
        TestPacket request = flow.Request with { Source = flow.Backend };

        (uint verdict, TestPacket sent) = flow.FromPod(request);
        Assert.Equal(PacketNode.TcRedirect, verdict);
        Assert.NotEqual(flow.Backend, sent.Source);
        Assert.Equal((flow.Backend, PacketNode.PodMac), (sent.Destination, sent.DestinationMac));

        (verdict, TestPacket answer) = flow.FromPod(sent.Answer());
        Assert.Equal(PacketNode.TcRedirect, verdict);
        AssertEnds(answer, flow.Frontend, flow.Key.Port, flow.Backend, request.SourcePort);
        Assert.Equal(PacketNode.PodMac, answer.DestinationMac);
    }

    [Fact]
    public void ForwardingOff_IsCounted()
    {
        var flow = new PacketFlow(node);
        ulong before = node.Count(PacketCounter.ForwardingDisabled);
        try
        {
            node.Command("sysctl", "-qw", "net.ipv4.conf.edge.forwarding=0");
            Assert.Equal(PacketNode.XdpPass, flow.AtEdge(flow.Request).Verdict);
        }
        finally
        {
            node.Command("sysctl", "-qw", "net.ipv4.conf.edge.forwarding=1");
        }

        Assert.Equal(before + 1, node.Count(PacketCounter.ForwardingDisabled));
    }

    [Fact]
    public void EveryBackendOfASet_IsChosenAboutEquallyOften()
    {
        var flow = new PacketFlow(node);
        var key = new FrontendKey(flow.Frontend, 7777, IpProtocol.Udp);
        node.AddService(7777, key, [.. Enumerable.Range(1, 4).Select(i => ((uint)(7770 + i), PacketNode.Ip($"10.244.1.{i}"), 53))]);
        int[] chosen = new int[5];
        for (int i = 0; i < 400; i++)
        {
            (_, TestPacket sent) = flow.AtEdge(flow.Request with { SourcePort = 20000 + i, DestinationPort = 7777 });
            chosen[sent.Destination.ToIpv4() & 0xff]++;
        }

        // 100 expected each; 7 standard deviations.
        Assert.All(chosen[1..], count => Assert.InRange(count, 40, 160));
    }

    private static void AssertEnds(TestPacket packet, IpAddress source, int sourcePort, IpAddress destination, int destinationPort) =>
        Assert.Equal(
            (source, sourcePort, destination, destinationPort),
            (packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort));
}
