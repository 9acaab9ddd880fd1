// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Connections over their life: kept, closed, over, colliding, remembered.</summary>
public sealed class PacketConnectionTests(PacketNode node) : IClassFixture<PacketNode>
{
    private static readonly TimeSpan s_moment = TimeSpan.FromSeconds(1);

    [Fact]
    public void RemovedBackend_KeepsItsTcpConnections_NotItsDatagrams()
    {
        var tcp = new PacketFlow(node, protocol: IpProtocol.Tcp);
        var udp = new PacketFlow(node);
        Assert.Equal(tcp.Backend, tcp.AtEdge(tcp.Request).Packet.Destination);
        Assert.Equal(udp.Backend, udp.AtEdge(udp.Request).Packet.Destination);
        IpAddress other = PacketNode.Ip("10.244.1.77");
        foreach (PacketFlow flow in new[] { tcp, udp })
        {
            uint replacement = flow.Id + 5000;
            node.AddService(flow.Id, flow.Key, [(replacement, other, 80)]);
            PacketNode.Ok(node["members"].Delete(new MemberKey { Set = flow.Id, Backend = flow.Id }));
            PacketNode.Ok(node["backends"].Delete(flow.Id));
        }

        node.Age(s_moment);
        Assert.Equal(tcp.Backend, tcp.AtEdge(tcp.Request with { Flags = TestPacket.Ack }).Packet.Destination);
        Assert.Equal(other, udp.AtEdge(udp.Request).Packet.Destination);
    }

    [Fact]
    public void RemovedService_KeepsItsTcpConnections_NotItsDatagrams()
    {
        var tcp = new PacketFlow(node, protocol: IpProtocol.Tcp);
        var udp = new PacketFlow(node);
        foreach (PacketFlow flow in new[] { tcp, udp })
        {
            flow.AtEdge(flow.Request);
            PacketNode.Ok(node["services"].Delete(ServiceKey.From(flow.Key)));
            PacketNode.Ok(node["slots"].Delete(new SlotKey { Set = flow.Id, Slot = 0 }));
            PacketNode.Ok(node["members"].Delete(new MemberKey { Set = flow.Id, Backend = flow.Id }));
            PacketNode.Ok(node["backends"].Delete(flow.Id));
        }

        node.Age(s_moment);
        Assert.Equal(PacketNode.XdpTransmit, tcp.AtEdge(tcp.Request with { Flags = TestPacket.Ack }).Verdict);
        Assert.Equal(PacketNode.XdpPass, udp.AtEdge(udp.Request).Verdict);
    }

    [Theory]
    [InlineData(TestPacket.Rst, 0)]
    [InlineData(TestPacket.Fin, TestPacket.Fin)]
    [InlineData(TestPacket.Fin, 0)]
    public void ClosedConnection_SynOnItsPorts_OpensANewOne(byte client, byte backend)
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        flow.AtEdge(sent.Answer());
        flow.AtEdge(flow.Request with { Flags = (byte)(client | TestPacket.Ack) });
        flow.AtEdge(sent.Answer() with { Flags = (byte)(backend | TestPacket.Ack) });
        ConnectionEntry forward = Forward(flow);
        ConnectionEntry reverse = Reverse(flow);
        Assert.Equal((1, client == TestPacket.Rst ? 1 : 0), (forward.IsAnswered, forward.IsReset));
        Assert.Equal(
            (forward.ClientFinished, forward.BackendFinished, forward.IsReset, forward.IsAnswered),
            (reverse.ClientFinished, reverse.BackendFinished, reverse.IsReset, reverse.IsAnswered));

        IpAddress other = PacketNode.Ip("10.244.1.78");
        node.AddService(flow.Id, flow.Key, [(flow.Id + 5000, other, 80)]);
        Assert.Equal(flow.Backend, flow.AtEdge(flow.Request with { Flags = TestPacket.Ack }).Packet.Destination);
        Assert.Equal(other, flow.AtEdge(flow.Request).Packet.Destination);
        Assert.Equal((0, 0, 0), (Forward(flow).IsAnswered, Forward(flow).ClientFinished, Forward(flow).IsReset));
    }

    [Fact]
    public void OpenConnection_RepeatedSyn_KeepsItsBackend()
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        flow.AtEdge(flow.Request);
        node.AddService(flow.Id, flow.Key, [(flow.Id + 5000, PacketNode.Ip("10.244.1.79"), 80)]);
        Assert.Equal(flow.Backend, flow.AtEdge(flow.Request).Packet.Destination);
    }

    [Theory]
    [InlineData(IpProtocol.Udp, 60, true)]
    [InlineData(IpProtocol.Udp, 122, false)]
    [InlineData(IpProtocol.Sctp, 122, false)]
    [InlineData(IpProtocol.Tcp, 30, true)]
    [InlineData(IpProtocol.Tcp, 62, false)]
    public void QuietConnection_IsOverAfterItsTime(IpProtocol protocol, int seconds, bool isKept)
    {
        var flow = new PacketFlow(node, protocol: protocol, flags: ViewFlags.Masquerade);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        ulong over = node.Count(PacketCounter.ConnectionOver);
        node.Age(TimeSpan.FromSeconds(seconds));

        Assert.Equal(isKept ? PacketNode.XdpTransmit : PacketNode.XdpPass, flow.AtEdge(sent.Answer()).Verdict);
        Assert.Equal(over + (isKept ? 0u : 1u), node.Count(PacketCounter.ConnectionOver));
        (_, TestPacket again) = flow.AtEdge(flow.Request);
        Assert.Equal(flow.Backend, again.Destination);
        if (isKept)
        {
            Assert.Equal(sent.SourcePort, again.SourcePort);
        }
    }

    [Fact]
    public void EntryThatAnotherProcessorSawLater_IsUsed()
    {
        var flow = new PacketFlow(node, flags: ViewFlags.Masquerade);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        ulong over = node.Count(PacketCounter.ConnectionOver);
        node.Age(TimeSpan.FromSeconds(-10));
        Assert.Equal(sent.SourcePort, flow.AtEdge(flow.Request).Packet.SourcePort);
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(sent.Answer()).Verdict);
        Assert.Equal(over, node.Count(PacketCounter.ConnectionOver));
    }

    [Fact]
    public void AnsweredTcpConnection_OutlivesTheOpeningTime()
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        flow.AtEdge(sent.Answer());
        node.Age(TimeSpan.FromSeconds(600));
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(sent.Answer()).Verdict);
        Assert.Equal(Forward(flow).LastSeen, Reverse(flow).LastSeen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void EntryThatTheFullTableLetGo_IsMadeAgain(bool isReverse)
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp, flags: ViewFlags.Masquerade);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        flow.AtEdge(sent.Answer());
        ConnectionEntry before = isReverse ? Reverse(flow) : Forward(flow);
        PacketNode.Ok(node["connections"].Delete(isReverse ? Key(sent.Answer()) : Key(flow.Request)));
        node.Age(s_moment);

        flow.AtEdge(isReverse ? flow.Request with { Flags = TestPacket.Ack } : sent.Answer());
        Assert.Equal(before with { LastSeen = 0 }, (isReverse ? Reverse(flow) : Forward(flow)) with { LastSeen = 0 });
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(sent.Answer()).Verdict);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OneBackendThroughManyFrontends_SameClientPort_IsSeenAsManyConnections(bool isMasqueraded)
    {
        ulong changed = node.Count(PacketCounter.PortChanged);
        var backend = (Id: 9100u + (isMasqueraded ? 1u : 0), Address: PacketNode.Ip("10.244.1.91"), Port: isMasqueraded ? 81 : 80);
        List<(TestPacket Request, TestPacket Sent)> flows = [];
        for (int i = 0; i < 50; i++)
        {
            var key = new FrontendKey(PacketNode.Ip($"203.0.113.{100 + i}"), (ushort)(isMasqueraded ? 2000 : 2001), IpProtocol.Tcp);
            node.AddService(
                (uint)(9200 + i + (isMasqueraded ? 100 : 0)), key, [backend],
                external: isMasqueraded ? ViewFlags.Masquerade : ViewFlags.None);
            var request = new TestPacket
            {
                Source = PacketNode.Ip("198.51.100.9"), Destination = key.Address, Protocol = IpProtocol.Tcp,
                SourcePort = 5555, DestinationPort = key.Port, Flags = TestPacket.Syn,
            };
            flows.Add((request, node.Run(node.Xdp, request, node.Edge).Packet));
        }

        Assert.Equal(50, flows.Select(flow => (flow.Sent.Source, flow.Sent.SourcePort)).Distinct().Count());
        Assert.All(flows, flow => Assert.Equal(backend.Address, flow.Sent.Destination));
        Assert.Equal(isMasqueraded ? 0UL : 49UL, node.Count(PacketCounter.PortChanged) - changed);
        foreach ((TestPacket request, TestPacket sent) in flows)
        {
            TestPacket answer = node.Run(node.Xdp, sent.Answer(), node.Edge).Packet;
            Assert.Equal(
                (request.Destination, request.DestinationPort, request.Source, request.SourcePort),
                (answer.Source, answer.SourcePort, answer.Destination, answer.DestinationPort));
        }
    }

    [Theory]
    [InlineData(IpProtocol.Tcp, false)]
    [InlineData(IpProtocol.Tcp, true)]
    [InlineData(IpProtocol.Udp, false)]
    [InlineData(IpProtocol.Udp, true)]
    public void DirectFlow_OnThePortsOfOneThroughAService_HasItsOwnAnswers(IpProtocol protocol, bool isIpv6)
    {
        var flow = new PacketFlow(node, isIpv6, protocol);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        TestPacket request = flow.Request with { Destination = flow.Backend, DestinationPort = flow.BackendPort };
        (uint verdict, TestPacket direct) = flow.AtEdge(request);
        Assert.Equal(PacketNode.XdpTransmit, verdict);
        Assert.Equal((flow.Backend, flow.BackendPort, sent.Source), (direct.Destination, direct.DestinationPort, direct.Source));
        Assert.NotEqual(sent.SourcePort, direct.SourcePort);
        node.Age(s_moment);
        Assert.Equal(direct.SourcePort, flow.AtEdge(request with { Flags = TestPacket.Ack }).Packet.SourcePort);

        TestPacket answer = flow.AtEdge(direct.Answer()).Packet;
        Assert.Equal((flow.Backend, flow.BackendPort), (answer.Source, answer.SourcePort));
        Assert.Equal((request.Source, request.SourcePort), (answer.Destination, answer.DestinationPort));
        answer = flow.AtEdge(sent.Answer()).Packet;
        Assert.Equal((flow.Frontend, flow.Request.DestinationPort), (answer.Source, answer.SourcePort));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void DirectFlow_OnThePortsOfAnEndedOneThroughAService_IsLeftAlone(bool hadOneBefore)
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        TestPacket direct = flow.Request with { Destination = flow.Backend, DestinationPort = flow.BackendPort };
        if (hadOneBefore)
        {
            flow.AtEdge(direct);
            flow.AtEdge(direct with { Flags = TestPacket.Rst });
        }

        flow.AtEdge(flow.Request with { Flags = TestPacket.Fin | TestPacket.Ack });
        flow.AtEdge(sent.Answer() with { Flags = TestPacket.Fin | TestPacket.Ack });
        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(direct).Verdict);
        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(sent.Answer()).Verdict);
        Assert.Equal(PacketNode.XdpPass, flow.AtEdge(direct with { Flags = TestPacket.Ack }).Verdict);
    }

    [Fact]
    public void TranslatedPacket_WhereItLeaves_IsNotTakenForADirectFlow()
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        (_, TestPacket sent) = flow.AtEdge(flow.Request);
        Assert.Equal(PacketNode.TcNext, flow.Leaving(sent).Verdict);
        Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(sent.Answer()).Verdict);
    }

    [Fact]
    public void SourcePorts_AllInUse_DropsAndCounts_UntilOneIsFree()
    {
        SettingsValue before = default;
        node.ChangeSettings(settings =>
        {
            before = settings;
            return settings with { MasqueradeFirst = 61000, MasqueradeLast = 61003 };
        });
        try
        {
            var flow = new PacketFlow(node, protocol: IpProtocol.Tcp, flags: ViewFlags.Masquerade);
            ulong none = node.Count(PacketCounter.NoSourcePort);
            HashSet<int> ports = [];
            for (int i = 0; i < 4; i++)
            {
                (uint verdict, TestPacket sent) = flow.AtEdge(flow.Request with { SourcePort = 1000 + i });
                Assert.Equal(PacketNode.XdpTransmit, verdict);
                Assert.True(ports.Add(sent.SourcePort));
            }

            Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request with { SourcePort = 1004 }).Verdict);
            Assert.Equal(none + 1, node.Count(PacketCounter.NoSourcePort));

            // Connections that are over give theirs away.
            node.Age(TimeSpan.FromSeconds(62));
            Assert.Equal(PacketNode.XdpTransmit, flow.AtEdge(flow.Request with { SourcePort = 1004 }).Verdict);
        }
        finally
        {
            node.ChangeSettings(_ => before);
        }
    }

    [Fact]
    public void Affinity_SameClient_KeepsItsBackend_UntilItsTimeIsOverOrItHasGone()
    {
        var flow = new PacketFlow(node);
        const uint Id = 9500;
        var key = new FrontendKey(flow.Frontend, 9500, IpProtocol.Tcp);
        node.AddService(
            Id, key, [.. Enumerable.Range(1, 8).Select(i => (9500u + (uint)i, PacketNode.Ip($"10.244.1.{i}"), 80))],
            change: value => value with { AffinityTimeout = 1000 });
        TestPacket request = flow.Request with { Protocol = IpProtocol.Tcp, DestinationPort = 9500 };

        IpAddress first = Ask(request, 1);
        Assert.All(Enumerable.Range(2, 30), port => Assert.Equal(first, Ask(request, port)));
        uint chosen = Id + (first.ToIpv4() & 0xff);
        PacketNode.Ok(node["members"].Delete(new MemberKey { Set = Id, Backend = chosen }));
        for (uint slot = 0; slot < 8; slot++)
        {
            PacketNode.Ok(node["slots"].Update(new SlotKey { Set = Id, Slot = slot }, chosen == Id + 1 ? Id + 2 : Id + 1));
        }

        Assert.NotEqual(first, Ask(request, 100));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Maglev_SameFlow_GetsTheSameBackendOnAnyNode(bool hasAffinity)
    {
        var flow = new PacketFlow(node);
        uint set = hasAffinity ? 9601u : 9600u;
        var key = new FrontendKey(flow.Frontend, (ushort)set, IpProtocol.Tcp);
        var backends = Enumerable.Range(1, 4).Select(i => (set * 10 + (uint)i, PacketNode.Ip($"10.244.1.{i}"), 80)).ToArray();
        node.AddService(set, key, backends, change: value => value with
        {
            Flags = ServiceFlags.Maglev, AffinityTimeout = hasAffinity ? 1000u : 0,
        });
        uint[] table = [.. Enumerable.Range(0, 16381).Select(i => backends[i % 4].Item1)];
        using BpfMap inner = BpfMap.Create("maglev_test", BpfMapType.Array, 4, table.Length * 4, 1);
        PacketNode.Ok(inner.Update(MemoryMarshal.AsBytes([0u]), MemoryMarshal.AsBytes(table.AsSpan())));
        PacketNode.Ok(node["maglev"].Update(set, inner.Descriptor));

        TestPacket request = flow.Request with { Protocol = IpProtocol.Tcp, DestinationPort = key.Port };
        List<IpAddress> first = [.. Enumerable.Range(1, 40).Select(port => Ask(request, port))];
        Assert.Equal(hasAffinity ? 1 : 4, first.Distinct().Count());

        // Nothing is remembered: as on a node that sees the flow for the first time.
        foreach ((ConnectionKey connection, _) in node.ReadConnections())
        {
            PacketNode.Ok(node["connections"].Delete(connection));
        }

        Assert.Equal(first, Enumerable.Range(1, 40).Select(port => Ask(request, port)));
    }

    [Fact]
    public void SlotThatIsMissing_FirstOneIsTaken()
    {
        var flow = new PacketFlow(node, change: value => value with { External = value.External with { Count = 100000 } });
        Assert.Equal(flow.Backend, flow.AtEdge(flow.Request).Packet.Destination);
    }

    [Fact]
    public void StrayReset_OpensNothing()
    {
        var flow = new PacketFlow(node, protocol: IpProtocol.Tcp);
        Assert.Equal(PacketNode.XdpDrop, flow.AtEdge(flow.Request with { Flags = TestPacket.Rst }).Verdict);
        Assert.DoesNotContain(node.ReadConnections(), entry => entry.Value.Service == flow.Id);
    }

    private IpAddress Ask(TestPacket request, int port) =>
        node.Run(node.Xdp, request with { SourcePort = port }, node.Edge).Packet.Destination;

    private ConnectionEntry Forward(PacketFlow flow) =>
        node.ReadConnections().Single(entry => entry.Value.Service == flow.Id && entry.Value.IsReverse == 0).Value;

    private ConnectionEntry Reverse(PacketFlow flow) => node.ReadConnections()
        .Where(entry => entry.Value.Service == flow.Id && entry.Value.IsReverse == 1).MaxBy(entry => entry.Value.LastSeen).Value;

    private static ConnectionKey Key(TestPacket packet) => new()
    {
        Source = packet.Source,
        Destination = packet.Destination,
        SourcePort = (ushort)packet.SourcePort,
        DestinationPort = (ushort)packet.DestinationPort,
        Protocol = packet.Protocol,
    };
}
