// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>RFC 9293 3.9.2: what TCP asks of IP and what it refuses from it.</summary>
public sealed class AddressTests
{
    [Theory]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("0.0.0.0")]
    public void ConnectToWhatIsNoHost_IsRefused(string remote)
    {
        using var net = new TcpFixture();
        net.Stack.Routes.Add(new Ip.Route
        {
            Destination = IpAddress.AnyIpv4, Gateway = TcpFixture.PeerAddress, InterfaceId = TcpFixture.InterfaceId,
        });
        int id = net.Tcp.Connect(
            TcpFixture.OurAddress, 1, IpAddress.Parse(remote), 80, 0, SocketSettings.Default, net.Now, out TcpError error);
        Assert.Equal(0, id);
        Assert.Equal(TcpError.NetworkUnreachable, error);
    }

    [Theory]
    [InlineData("224.0.0.1", "10.0.0.1")]
    [InlineData("255.255.255.255", "10.0.0.1")]
    [InlineData("0.0.0.0", "10.0.0.1")]
    [InlineData("10.0.0.2", "224.0.0.1")]
    [InlineData("10.0.0.2", "10.0.0.255")]
    [InlineData("10.0.0.2", "255.255.255.255")]
    public void SynFromOrToWhatIsNoHost_IsDroppedSilently(string source, string destination)
    {
        using var net = new TcpFixture();
        net.Tcp.Listen(IpAddress.AnyIpv4, TcpFixture.OurPort, 5, 0, SocketSettings.Default, out _);
        IpAddress from = IpAddress.Parse(source);
        IpAddress to = IpAddress.Parse(destination);
        TcpHeader header = default;
        header.SourcePort = 1000;
        header.DestinationPort = TcpFixture.OurPort;
        header.Flags = TcpFlags.Syn;
        Assert.True(net.Frames.TryRent(out int frame));
        Span<byte> span = net.Frames.GetSpan(frame)[256..];
        Span<byte> segment = span.Slice(34, 20);
        header.Write(segment);
        TcpHeader.WriteChecksum(segment, from, to);
        Ipv4Header.Write(span[14..], from, to, IpProtocol.Tcp, 20, 1, 64, 0, true);
        EthernetHeader.Write(span, TcpFixture.OurMac, TcpFixture.PeerMac, EtherType.Ipv4);
        net.Receive(new FrameDescriptor(frame, 256, 54));
        net.ExpectNothing();
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    [Fact]
    public void TimeToLive_IsTheUsers()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.Ttl = 7;
        using TcpFixture net = new TcpFixture().Accept(settings);
        net.Send(10);
        Assert.Equal(7, net.Expect().Ttl);
    }

    [Fact]
    public void TypeOfService_IsTheUsersAndMayChange()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        settings.TypeOfService = 0x10;
        using TcpFixture net = new TcpFixture().Accept(settings);
        net.Send(10);
        Assert.Equal(0x10, net.Expect().TypeOfService);
        settings.TypeOfService = 0x88;
        net.Tcp.ApplySettings(net.Id, settings, net.Now);
        net.Send(10);
        Assert.Equal(0x88, net.Expect().TypeOfService);
    }

    [Fact]
    public void SourceAddress_IsChosenByTheRoute()
    {
        using var net = new TcpFixture();
        Assert.True(net.Stack.TrySelectSource(TcpFixture.PeerAddress, out IpAddress source, out int interfaceId));
        Assert.Equal(TcpFixture.OurAddress, source);
        Assert.Equal(TcpFixture.InterfaceId, interfaceId);
        Assert.False(net.Stack.TrySelectSource(IpAddress.Parse("192.0.2.1"), out _, out _));
    }

    [Fact]
    public void FragmentsAndOtherProtocols_AreDroppedAndCounted()
    {
        using var net = new TcpFixture();
        foreach ((byte protocol, ushort fragment) in new[] { ((byte)17, (ushort)0), ((byte)6, (ushort)0x2000), ((byte)6, (ushort)5) })
        {
            Assert.True(net.Frames.TryRent(out int frame));
            Span<byte> span = net.Frames.GetSpan(frame)[256..];
            Ipv4Header.Write(
                span[14..], TcpFixture.PeerAddress, TcpFixture.OurAddress, (IpProtocol)protocol, 40, 1, 64, 0, false);
            span[20] = (byte)(fragment >> 8);
            span[21] = (byte)fragment;
            span[24] = 0;
            span[25] = 0;
            ushort checksum = Checksum.Finish(Checksum.Sum(span.Slice(14, 20)));
            span[24] = (byte)(checksum >> 8);
            span[25] = (byte)checksum;
            EthernetHeader.Write(span, TcpFixture.OurMac, TcpFixture.PeerMac, EtherType.Ipv4);
            net.Receive(new FrameDescriptor(frame, 256, 74));
        }

        Assert.Equal(1, net.Stack.Counters[DropReason.Ipv4Protocol]);
        Assert.Equal(2, net.Stack.Counters[DropReason.Ipv4Fragment]);
        net.AssertNothingHeld();
    }
}
