// SPDX-License-Identifier: Apache-2.0
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>ICMP errors about translated packets, and fragments.</summary>
public sealed class PacketErrorTests(PacketNode node) : IClassFixture<PacketNode>
{
    private static readonly IpAddress s_router = PacketNode.Ip("192.0.2.11");
    private static readonly IpAddress s_router6 = PacketNode.Ip("2001:db8::b");

    public static TheoryData<bool, IpProtocol, ViewFlags> Kinds
    {
        get
        {
            var data = new TheoryData<bool, IpProtocol, ViewFlags>();
            foreach (bool isIpv6 in new[] { false, true })
            {
                foreach (IpProtocol protocol in new[] { IpProtocol.Udp, IpProtocol.Tcp, IpProtocol.Sctp })
                {
                    data.Add(isIpv6, protocol, ViewFlags.None);
                    data.Add(isIpv6, protocol, ViewFlags.Masquerade);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void PacketTooBig_FromARouterBehind_ReachesTheClientInItsOwnTerms(bool isIpv6, IpProtocol protocol, ViewFlags flags)
    {
        var flow = new PacketFlow(node, isIpv6, protocol, flags: flags);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        IpAddress router = isIpv6 ? s_router6 : s_router;
        TestPacket error = Error(isIpv6, router, sent.Source, Quote(sent)) with { IcmpRest = 1400 };

        foreach (TestPacket translated in Both(flow, error))
        {
            Assert.Equal((router, flow.Request.Source), (translated.Source, translated.Destination));
            Assert.Equal((1400u, error.IcmpType, error.IcmpCode), (translated.IcmpRest, translated.IcmpType, translated.IcmpCode));
            AssertQuotes(translated, flow.Request);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void PortUnreachable_FromTheBackend_ComesFromTheFrontend(bool isIpv6, IpProtocol protocol, ViewFlags flags)
    {
        var flow = new PacketFlow(node, isIpv6, protocol, flags: flags);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);

        // 28 octets of an IPv4 packet are all that RFC 792 promises.
        TestPacket error = Error(isIpv6, flow.Backend, sent.Source, sent.Quote(isIpv6 ? 48 : 28));
        foreach (TestPacket translated in Both(flow, error))
        {
            Assert.Equal((flow.Frontend, flow.Request.Source), (translated.Source, translated.Destination));
            TestPacket quoted = TestPacketReader.ReadPacket(translated.Payload, complete: false);
            Assert.Equal(
                (flow.Request.Source, flow.Request.SourcePort, flow.Frontend, flow.Request.DestinationPort),
                (quoted.Source, quoted.SourcePort, quoted.Destination, quoted.DestinationPort));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Error_AboutAnAnswer_ReachesTheBackend(bool isIpv6, IpProtocol protocol, ViewFlags flags)
    {
        var flow = new PacketFlow(node, isIpv6, protocol, flags: flags);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        (_, TestPacket answer) = flow.AtEdge(sent.Answer());
        TestPacket error = Error(isIpv6, flow.Request.Source, flow.Frontend, Quote(answer));
        foreach (TestPacket translated in Both(flow, error))
        {
            Assert.Equal((sent.Source, flow.Backend), (translated.Source, translated.Destination));
            AssertQuotes(translated, sent.Answer());
        }
    }

    [Fact]
    public void Error_AboutAnotherPacket_Passes()
    {
        var flow = new PacketFlow(node);
        TestPacket stranger = flow.Request with { DestinationPort = 2 };
        byte[] frame = node.Address(Error(false, s_router, stranger.Source, stranger.Quote()), node.Edge).Build();
        (uint verdict, byte[] after, _) = node.RunRaw(node.Xdp, frame, node.Edge);
        Assert.Equal(PacketNode.XdpPass, verdict);
        Assert.Equal(frame, after);
    }

    [Theory]
    [InlineData(false, ViewFlags.None)]
    [InlineData(true, ViewFlags.None)]
    [InlineData(false, ViewFlags.Masquerade)]
    [InlineData(true, ViewFlags.Masquerade)]
    public void Fragments_FollowTheFirst_BothWays(bool isIpv6, ViewFlags flags)
    {
        var flow = new PacketFlow(node, isIpv6, flags: flags);
        TestPacket request = flow.Request with { Payload = new byte[1000], Identification = 4711 };
        TestPacket sent = AssertFragments(flow, request);
        Assert.Equal((flow.Backend, flow.BackendPort), (sent.Destination, sent.DestinationPort));
        TestPacket answer = AssertFragments(flow, sent.Answer() with { Payload = new byte[1200], Identification = 4712 });
        Assert.Equal((flow.Frontend, request.Source), (answer.Source, answer.Destination));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LaterFragment_WithoutTheFirst_Passes(bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6);
        ulong before = node.Count(PacketCounter.FragmentUnknown);
        TestPacket request = node.Address(flow.Request with { Payload = new byte[1000], Identification = 99 }, node.Edge);
        (_, byte[] second) = request.BuildFragments(512);
        (uint verdict, byte[] after, _) = node.RunRaw(node.Xdp, second, node.Edge);
        Assert.Equal(PacketNode.XdpPass, verdict);
        Assert.Equal(second, after);
        Assert.Equal(before + 1, node.Count(PacketCounter.FragmentUnknown));
    }

    [Fact]
    public void FragmentOfSctp_IsDroppedAndCounted()
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Sctp);
        ulong before = node.Count(PacketCounter.FragmentSctp);
        (byte[] first, _) = node.Address(flow.Request with { Payload = new byte[1000] }, node.Edge).BuildFragments(512);
        Assert.Equal(PacketNode.XdpDrop, node.RunRaw(node.Xdp, first, node.Edge).Verdict);
        Assert.Equal(before + 1, node.Count(PacketCounter.FragmentSctp));
    }

    /// <summary>Puts both fragments through; returns the whole packet that they make, its checksum verified.</summary>
    private TestPacket AssertFragments(PacketFlow flow, TestPacket packet)
    {
        (byte[] first, byte[] second) = node.Address(packet, node.Edge).BuildFragments(512);
        (uint verdict, byte[] firstOut, _) = node.RunRaw(node.Xdp, first, node.Edge);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        (verdict, byte[] secondOut, _) = node.RunRaw(node.Xdp, second, node.Edge);
        Assert.Equal(PacketNode.XdpTransmit, verdict);

        TestPacket one = TestPacketReader.Read(firstOut);
        TestPacket two = TestPacketReader.Read(secondOut);
        Assert.Equal((one.Source, one.Destination, one.HopLimit), (two.Source, two.Destination, two.HopLimit));
        int header = 14 + (flow.Key.Address.IsIpv4 ? 20 : 48);
        byte[] transport = [.. firstOut[header..], .. secondOut[header..]];
        uint sum = Checksum.PseudoHeader(one.Source, one.Destination, (byte)one.Protocol, transport.Length);
        Assert.Equal(0, Checksum.Finish(Checksum.Sum(transport, sum)));
        return one with { MoreFragments = false, Payload = transport[8..] };
    }

    private TestPacket[] Both(PacketFlow flow, TestPacket error)
    {
        (uint verdict, TestPacket atXdp) = flow.AtEdge(error);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        (verdict, TestPacket atTc) = flow.AtEdgeTc(error);
        Assert.Equal(PacketNode.TcRedirect, verdict);
        return [atXdp, atTc];
    }

    private static TestPacket Error(bool isIpv6, IpAddress source, IpAddress destination, byte[] quoted) => new()
    {
        Source = source,
        Destination = destination,
        Protocol = isIpv6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp,
        IcmpType = isIpv6 ? (byte)2 : (byte)3,
        IcmpCode = isIpv6 ? (byte)0 : (byte)4,
        Payload = quoted,
    };

    /// <summary>All of the packet; of SCTP only the ports and the tag, as its checksum cannot be put back from a part.</summary>
    private static byte[] Quote(TestPacket packet) =>
        packet.Protocol == IpProtocol.Sctp ? packet.Quote(packet.IsIpv6 ? 48 : 28) : packet.Quote();

    /// <summary>Where the whole packet was quoted, its own checksums hold too: the reader has verified them.</summary>
    private static void AssertQuotes(TestPacket error, TestPacket packet)
    {
        TestPacket quoted = TestPacketReader.ReadPacket(error.Payload, complete: packet.Protocol != IpProtocol.Sctp);
        Assert.Equal(
            (packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort),
            (quoted.Source, quoted.SourcePort, quoted.Destination, quoted.DestinationPort));
    }
}
