// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Two nodes: one that clients reach, one that has the backend.</summary>
public sealed class TwoPacketNodes : IDisposable
{
    public PacketNode Entry { get; } = new();

    public PacketNode Home { get; } = new();

    public void Dispose()
    {
        Entry.Dispose();
        Home.Dispose();
    }
}

/// <summary>Direct return: the frontend goes along to the backend's node, which answers by itself.</summary>
public sealed class PacketDirectReturnTests(TwoPacketNodes nodes) : IClassFixture<TwoPacketNodes>
{
    private readonly PacketNode _entry = nodes.Entry;
    private readonly PacketNode _home = nodes.Home;

    public static TheoryData<bool, IpProtocol> Kinds => PacketForwardingTests.Kinds;

    [Theory]
    [MemberData(nameof(Kinds))]
    public void FirstPacket_CarriesTheFrontend_AndTheBackendsNodeAnswersForIt(bool isIpv6, IpProtocol protocol)
    {
        PacketFlow flow = CreateFlow(isIpv6, protocol, ViewFlags.Masquerade);
        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(flow.Request).Verdict);
        (uint verdict, byte[] frame) = SendByTc(flow.Request);
        TestPacket sent = TestPacketReader.Read(frame);
        Assert.Equal((PacketNode.TcRedirect, PacketNode.OtherNodeMac), (verdict, sent.DestinationMac));
        AssertEnds(sent, flow.Request.Source, flow.Request.SourcePort, flow.Backend, flow.BackendPort);
        Assert.Equal((isIpv6 ? 24 : 8, 63), (sent.OptionLength, sent.HopLimit));

        ulong received = _home.Count(PacketCounter.DirectReceived);
        TestPacket stripped = AtHome(frame);
        Assert.Equal(received + 1, _home.Count(PacketCounter.DirectReceived));
        Assert.Equal((0, flow.Request.Payload.Length), (stripped.OptionLength, stripped.Payload.Length));
        AssertEnds(stripped, flow.Request.Source, flow.Request.SourcePort, flow.Backend, flow.BackendPort);

        (verdict, TestPacket answer) = _home.Run(_home.TcIngress, stripped.Answer(), _home.Pod);
        Assert.Equal((PacketNode.TcRedirect, PacketNode.RouterMac), (verdict, answer.DestinationMac));
        AssertEnds(answer, flow.Frontend, flow.Key.Port, flow.Request.Source, flow.Request.SourcePort);
    }

    [Fact]
    public void LaterSegments_GoByXdpWithoutTheOption_ButTellItAgainNowAndThen()
    {
        PacketFlow flow = CreateFlow(false, IpProtocol.Tcp);
        TestPacket segment = flow.Request with { Flags = TestPacket.Ack };
        flow.AtEdgeTc(flow.Request);

        // Not looked after while this test takes its time.
        _entry.Age(TimeSpan.FromSeconds(-1000));
        uint[] verdicts = [.. Enumerable.Range(0, 10).Select(_ => Send(flow, segment))];
        Assert.Equal(PacketNode.XdpTransmit, verdicts[^1]);
        Assert.Equal(3, verdicts.Count(verdict => verdict == PacketNode.XdpPass));

        _entry.Age(TimeSpan.FromSeconds(1001));
        Assert.Equal(PacketNode.XdpPass, Send(flow, segment));
        _entry.Age(TimeSpan.FromSeconds(-1000));
        Assert.Equal(PacketNode.XdpTransmit, Send(flow, segment));

        // One direction is all that this node sees; it tells an open connection from one that is being opened all the same.
        _entry.Age(TimeSpan.FromSeconds(1100));
        ulong over = _entry.Count(PacketCounter.ConnectionOver);
        Send(flow, segment);
        Assert.Equal(over, _entry.Count(PacketCounter.ConnectionOver));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DatagramWithoutRoom_IsAnsweredByTheSizeThatFits_SegmentGoesWithout(bool isIpv6)
    {
        PacketFlow udp = CreateFlow(isIpv6, IpProtocol.Udp);
        byte[] payload = new byte[1500 - (isIpv6 ? 48 : 28)];
        ulong tooBig = _entry.Count(PacketCounter.DirectTooBig);
        (uint verdict, TestPacket error) = udp.AtEdgeTc(udp.Request with { Payload = payload });
        Assert.Equal(PacketNode.TcRedirect, verdict);
        Assert.Equal(isIpv6 ? (IpProtocol.IcmpV6, 2, 0) : (IpProtocol.Icmp, 3, 4), (error.Protocol, error.IcmpType, error.IcmpCode));
        Assert.Equal((isIpv6 ? 1476u : 1492u, udp.Request.Source), (error.IcmpRest, error.Destination));
        Assert.Equal(tooBig + 1, _entry.Count(PacketCounter.DirectTooBig));

        (verdict, TestPacket sent) = udp.AtEdgeTc(udp.Request with { Payload = payload[..^(isIpv6 ? 24 : 8)] });
        Assert.Equal((PacketNode.TcRedirect, isIpv6 ? 24 : 8), (verdict, sent.OptionLength));

        PacketFlow tcp = CreateFlow(isIpv6, IpProtocol.Tcp);
        tcp.AtEdgeTc(tcp.Request);
        TestPacket full = tcp.Request with { Flags = TestPacket.Ack, Payload = new byte[1500 - (isIpv6 ? 60 : 40)] };
        (verdict, sent) = tcp.AtEdgeTc(full);
        Assert.Equal((PacketNode.TcRedirect, 0), (verdict, sent.OptionLength));
    }

    [Fact]
    public void OptionOfAServiceWithoutDirectReturn_IsNotBelieved()
    {
        PacketFlow flow = CreateFlow(false, IpProtocol.Udp);
        (_, byte[] frame) = SendByTc(flow.Request);
        PacketNode.Ok(_home["services"].Delete(ServiceKey.From(flow.Key)));
        TestPacket sent = AtHome(frame);
        Assert.Equal(8, sent.OptionLength);
        Assert.Equal(PacketNode.TcNext, _home.Run(_home.TcIngress, sent.Answer() with { OptionLength = 0 }, _home.Pod).Verdict);
    }

    [Fact]
    public void SecondFrontend_SameClientPort_SameBackend_IsAnsweredThroughHere()
    {
        PacketFlow flow = CreateFlow(false, IpProtocol.Tcp);
        flow.AtEdgeTc(flow.Request);
        var key = new FrontendKey(PacketNode.Ip("203.0.113.99"), flow.Key.Port, IpProtocol.Tcp);
        _entry.AddService(
            flow.Id + 30000, key, [(flow.Id, flow.Backend, flow.BackendPort)],
            change: value => value with { Flags = ServiceFlags.DirectReturn });
        (uint verdict, TestPacket sent) = flow.AtEdge(flow.Request with { Destination = key.Address });
        Assert.Equal((PacketNode.XdpTransmit, 0), (verdict, sent.OptionLength));
        Assert.NotEqual(flow.Request.SourcePort, sent.SourcePort);
    }

    private PacketFlow CreateFlow(bool isIpv6, IpProtocol protocol, ViewFlags flags = ViewFlags.None)
    {
        static ServiceValue Direct(ServiceValue value) => value with { Flags = ServiceFlags.DirectReturn };
        var flow = new PacketFlow(_entry, isIpv6, protocol, flags: flags, change: Direct);
        _home.AddService(flow.Id, flow.Key, [(flow.Id, flow.Backend, flow.BackendPort)], change: Direct);
        return flow;
    }

    /// <summary>At the entry: XDP, and tc when XDP leaves it to that; what XDP said.</summary>
    private uint Send(PacketFlow flow, TestPacket packet)
    {
        uint verdict = flow.AtEdge(packet).Verdict;
        if (verdict == PacketNode.XdpPass)
        {
            Assert.Equal(8, flow.AtEdgeTc(packet).Packet.OptionLength);
        }

        return verdict;
    }

    /// <summary>At the entry's tc; what it sent.</summary>
    private (uint Verdict, byte[] Frame) SendByTc(TestPacket packet)
    {
        (uint verdict, byte[] frame, _) = _entry.RunRaw(_entry.TcIngress, _entry.Address(packet, _entry.Edge).Build(), _entry.Edge);
        return (verdict, frame);
    }

    /// <summary>A frame that the entry sent, at the backend's node.</summary>
    private TestPacket AtHome(byte[] frame)
    {
        byte[] arriving = [.. _home.Address(TestPacketReader.Read(frame), _home.Edge).Build()[..6], .. frame[6..]];
        (uint verdict, byte[] after, _) = _home.RunRaw(_home.TcIngress, arriving, _home.Edge);
        Assert.Equal(PacketNode.TcNext, verdict);
        return TestPacketReader.Read(after);
    }

    private static void AssertEnds(TestPacket packet, IpAddress source, int sourcePort, IpAddress destination, int destinationPort) =>
        Assert.Equal(
            (source, sourcePort, destination, destinationPort),
            (packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort));
}
