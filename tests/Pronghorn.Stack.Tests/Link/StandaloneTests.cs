// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Memory;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Link;

/// <summary>A stack with no kernel behind it: ARP (RFC 826, RFC 1122 2.3.2), echo, and the routes.</summary>
public sealed class StandaloneTests : IDisposable
{
    private const int Interface = 1;

    private static readonly IpAddress s_own = IpAddress.Parse("10.0.0.1");
    private static readonly IpAddress s_peer = IpAddress.Parse("10.0.0.2");
    private static readonly IpAddress s_gateway = IpAddress.Parse("10.0.0.254");
    private static readonly MacAddress s_ownMac = new(0x0200_0000_0001);
    private static readonly MacAddress s_peerMac = new(0x0200_0000_0002);

    private readonly FramePool _frames = FramePool.Create(2048, 512);
    private readonly NetworkStack _stack;
    private Instant _now = new(1_000_000_000);

    public StandaloneTests()
    {
        _stack = new NetworkStack(
            new StackOptions { NeighborMode = NeighborMode.Standalone, MaximumConnections = 16 }, _frames);
        _stack.Interfaces.Update(new NetworkInterface { Id = Interface, Mac = s_ownMac, Mtu = 1500, Up = true });
        _stack.Interfaces.AddAddress(Interface, s_own, 24);
        _stack.Routes.Add(new Route
        {
            Destination = IpAddress.Parse("10.0.0.0"), PrefixLength = 24, InterfaceId = Interface, Gateway = IpAddress.AnyIpv4,
        });
        _stack.Routes.Add(new Route
        {
            Destination = IpAddress.AnyIpv4, PrefixLength = 0, InterfaceId = Interface, Gateway = s_gateway,
        });
        _stack.AttachDevice(Interface);
    }

    public void Dispose()
    {
        _stack.Dispose();
        _frames.Dispose();
    }

    [Fact]
    public void Request_ForUs_IsAnswered()
    {
        Arp(ArpOperation.Request, s_peerMac, s_peer, default, s_own);
        byte[] reply = Assert.Single(Sent());
        Assert.True(EthernetView.TryParse(reply, out EthernetView ethernet));
        Assert.Equal(s_peerMac, ethernet.Destination);
        Assert.Equal(s_ownMac, ethernet.Source);
        Assert.True(ArpView.TryParse(ethernet.Payload, out ArpView arp));
        Assert.Equal(ArpOperation.Reply, arp.Operation);
        Assert.Equal(s_own, arp.SenderIp);
        Assert.Equal(s_ownMac, arp.SenderMac);
        Assert.Equal(s_peer, arp.TargetIp);
    }

    [Fact]
    public void Request_ForSomebodyElse_IsIgnored()
    {
        Arp(ArpOperation.Request, s_peerMac, s_peer, default, s_gateway);
        Assert.Empty(Sent());
    }

    [Fact]
    public void Connect_AsksOnceASecondAndGoesOnWithTheAnswer()
    {
        Connect(s_peer);
        Assert.Equal([s_peer], Questions(Sent()));
        Advance(500);
        Assert.Empty(Questions(Sent()));
        Advance(700);
        Assert.Equal([s_peer], Questions(Sent()));
        Arp(ArpOperation.Reply, s_peerMac, s_peer, s_ownMac, s_own);
        byte[] syn = Assert.Single(Sent());
        Assert.True(EthernetView.TryParse(syn, out EthernetView ethernet));
        Assert.Equal(s_peerMac, ethernet.Destination);
        Assert.Equal(EtherType.Ipv4, ethernet.Type);
    }

    [Fact]
    public void DestinationBehindTheGateway_TheGatewayIsAsked()
    {
        Connect(IpAddress.Parse("192.0.2.1"));
        Assert.Equal([s_gateway], Questions(Sent()));
    }

    [Fact]
    public void AddressOfThePeerMoves_SegmentsFollow()
    {
        Arp(ArpOperation.Request, s_peerMac, s_peer, default, s_own);
        Sent();
        Connect(s_peer);
        Assert.Single(Sent());
        var moved = new MacAddress(0x0200_0000_0099);
        Arp(ArpOperation.Reply, moved, s_peer, s_ownMac, s_own);
        Sent();
        Advance(1100);
        byte[] syn = Assert.Single(Sent());
        Assert.True(EthernetView.TryParse(syn, out EthernetView ethernet));
        Assert.Equal(moved, ethernet.Destination);
    }

    [Fact]
    public void Echo_IsAnsweredWithItsData()
    {
        Span<byte> frame = Rent(out int number);
        byte[] data = TcpFixture.Bytes(100);
        Icmpv4Message.WriteEcho(frame[34..], Icmpv4Type.Echo, 7, 9, data);
        Ipv4Header.Write(frame[14..], s_peer, s_own, IpProtocol.Icmp, 108, 1, 64, 0, false);
        EthernetHeader.Write(frame, s_ownMac, s_peerMac, EtherType.Ipv4);
        Receive(number, 142);
        byte[] reply = Assert.Single(Sent());
        Assert.True(EthernetView.TryParse(reply, out EthernetView ethernet));
        Assert.True(Ipv4View.TryParse(ethernet.Payload, out Ipv4View ip, out _));
        Assert.True(Icmpv4View.TryParse(ip.Payload, out Icmpv4View icmp, out _));
        Assert.Equal(Icmpv4Type.EchoReply, icmp.Type);
        Assert.Equal(7, icmp.EchoIdentifier);
        Assert.Equal(9, icmp.EchoSequence);
        Assert.Equal(data, icmp.Payload.ToArray());
        Assert.Equal(_frames.FrameCount, _frames.FreeCount);
    }

    [Fact]
    public void Routes_LongestPrefixThenLowestMetric()
    {
        Add("10.1.0.0", 16, 5, 1);
        Add("10.1.2.0", 24, 9, 2);
        Add("10.1.2.0", 24, 3, 3);
        Assert.Equal(3, Lookup("10.1.2.3"));
        Assert.Equal(1, Lookup("10.1.3.3"));
        Assert.Equal(Interface, Lookup("8.8.8.8"));
        _stack.Routes.Remove(new Route { Destination = IpAddress.Parse("10.1.2.0"), PrefixLength = 24, Metric = 3, InterfaceId = 3 });
        Assert.Equal(2, Lookup("10.1.2.3"));
        _stack.Routes.Clear();
        Assert.False(_stack.Routes.TryLookup(s_peer, out _));
    }

    private void Add(string destination, int prefix, uint metric, int interfaceId) => _stack.Routes.Add(new Route
    {
        Destination = IpAddress.Parse(destination), PrefixLength = prefix, Metric = metric, InterfaceId = interfaceId,
        Gateway = IpAddress.AnyIpv4,
    });

    private int Lookup(string destination)
    {
        Assert.True(_stack.Routes.TryLookup(IpAddress.Parse(destination), out Route route));
        return route.InterfaceId;
    }

    private void Connect(IpAddress remote)
    {
        int id = _stack.Tcp.Connect(s_own, 50000, remote, 80, 0, SocketSettings.Default, _now, out TcpError error);
        Assert.NotEqual(0, id);
        Assert.Equal(TcpError.None, error);
        _stack.Poll(_now);
    }

    private void Advance(int milliseconds)
    {
        _now += Duration.FromMilliseconds(milliseconds);
        _stack.Poll(_now);
    }

    private Span<byte> Rent(out int frame)
    {
        Assert.True(_frames.TryRent(out frame));
        return _frames.GetSpan(frame);
    }

    private void Arp(ArpOperation operation, MacAddress senderMac, IpAddress sender, MacAddress targetMac, IpAddress target)
    {
        Span<byte> frame = Rent(out int number);
        ArpPacket.Write(frame[14..], operation, senderMac, sender, targetMac, target);
        EthernetHeader.Write(frame, s_ownMac, senderMac, EtherType.Arp);
        Receive(number, 60);
    }

    private void Receive(int frame, int length)
    {
        var packet = new FrameDescriptor(frame, 0, (ushort)length);
        _stack.Receive(new ReadOnlySpan<FrameDescriptor>(in packet), Interface, _now);
        _stack.Poll(_now);
    }

    private List<byte[]> Sent()
    {
        var sent = new List<byte[]>();
        var batch = new FrameDescriptor[16];
        int count;
        while ((count = _stack.DequeueTransmit(batch, Interface)) > 0)
        {
            for (int i = 0; i < count; i++)
            {
                sent.Add(_frames.GetSpan(batch[i]).ToArray());
                _frames.Release(batch[i].Frame);
            }
        }

        return sent;
    }

    private static List<IpAddress> Questions(List<byte[]> frames)
    {
        var asked = new List<IpAddress>();
        foreach (byte[] frame in frames)
        {
            Assert.True(EthernetView.TryParse(frame, out EthernetView ethernet));
            if (ethernet.Type == EtherType.Arp && ArpView.TryParse(ethernet.Payload, out ArpView arp))
            {
                Assert.Equal(MacAddress.Broadcast, ethernet.Destination);
                Assert.Equal(ArpOperation.Request, arp.Operation);
                asked.Add(arp.TargetIp);
            }
        }

        return asked;
    }
}
