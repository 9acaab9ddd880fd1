// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Sockets of the kernel at both ends, and the packet layer between them.</summary>
public abstract class PacketTrafficTests(PacketNetwork network)
{
    private const int Bulk = 1 << 20;

    public static TheoryData<string, string, bool, bool> Ways
    {
        get
        {
            var data = new TheoryData<string, string, bool, bool>();
            foreach (bool isIpv6 in new[] { false, true })
            {
                foreach (bool isMasqueraded in new[] { false, true })
                {
                    data.Add("client", "pod", isIpv6, isMasqueraded);
                    data.Add("client", "other", isIpv6, isMasqueraded);
                    data.Add("client", "node", isIpv6, isMasqueraded);
                    data.Add("other", "other", isIpv6, isMasqueraded);
                }

                data.Add("pod", "other", isIpv6, false);
                data.Add("pod", "pod", isIpv6, false);
                data.Add("pod", "node", isIpv6, false);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Tcp_ManyBytesBothWays_Arrive(string from, string to, bool isIpv6, bool isMasqueraded)
    {
        using Socket listener = PacketNetwork.Open(Place(to), IpProtocol.Tcp, new IPEndPoint(PacketNetwork.Address(to, isIpv6), 0));
        listener.Listen();
        ViewFlags flags = isMasqueraded ? ViewFlags.Masquerade : ViewFlags.None;
        IPEndPoint service = network.AddService(
            isIpv6, IpProtocol.Tcp, (IPEndPoint)listener.LocalEndPoint!, flags, isNodePort: from == "client");

        IPAddress own = PacketNetwork.Address(from, isIpv6);
        using Socket client = PacketNetwork.Open(Place(from), IpProtocol.Tcp, new IPEndPoint(own, 0));
        client.Connect(service);
        Assert.True(listener.Poll(5_000_000, SelectMode.SelectRead));
        using Socket server = listener.Accept();
        server.ReceiveTimeout = 5000;
        IPAddress seen = ((IPEndPoint)server.RemoteEndPoint!).Address;
        bool sourceStays = from != to && (!isMasqueraded || to == "node");
        Assert.Equal(sourceStays, seen.Equals(own));

        byte[] sent = new byte[Bulk];
        new Random(7).NextBytes(sent);
        Exchange(client, server, sent);
        Exchange(server, client, sent);
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, server.Receive(new byte[1]));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Udp_SmallAndFragmented_ArriveAndAreAnsweredByTheFrontend(string from, string to, bool isIpv6, bool isMasqueraded)
    {
        using Socket server = PacketNetwork.Open(Place(to), IpProtocol.Udp, new IPEndPoint(PacketNetwork.Address(to, isIpv6), 0));
        ViewFlags flags = isMasqueraded ? ViewFlags.Masquerade : ViewFlags.None;
        IPEndPoint service = network.AddService(
            isIpv6, IpProtocol.Udp, (IPEndPoint)server.LocalEndPoint!, flags, isNodePort: from == "client");
        using Socket client = PacketNetwork.Open(Place(from), IpProtocol.Udp, new IPEndPoint(PacketNetwork.Address(from, isIpv6), 0));
        client.Connect(service);
        byte[] buffer = new byte[8000];

        // A backend that is the node itself gets fragments reassembled before the translation is seen: left out.
        foreach (int length in to == "node" ? new[] { 1, 1000 } : [1, 1000, 5000])
        {
            EndPoint peer = new IPEndPoint(isIpv6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
            client.Send(new byte[length]);
            Assert.Equal(length, server.ReceiveFrom(buffer, ref peer));
            server.SendTo(buffer.AsSpan(0, length), peer);
            Assert.Equal(length, client.Receive(buffer));
        }
    }

    [Theory]
    [InlineData("client", false)]
    [InlineData("client", true)]
    [InlineData("pod", false)]
    [InlineData("pod", true)]
    public void NoEndpoint_ClientsAreRefused(string from, bool isIpv6)
    {
        var own = new IPEndPoint(PacketNetwork.Address(from, isIpv6), 0);
        using Socket tcp = PacketNetwork.Open(Place(from), IpProtocol.Tcp, own);
        IPEndPoint service = network.AddService(isIpv6, IpProtocol.Tcp, null);
        Assert.Equal(SocketError.ConnectionRefused, Assert.ThrowsAny<SocketException>(() => tcp.Connect(service)).SocketErrorCode);

        foreach (int length in new[] { 0, 3, 900 })
        {
            using Socket udp = PacketNetwork.Open(Place(from), IpProtocol.Udp, own);
            udp.Connect(network.AddService(isIpv6, IpProtocol.Udp, null));
            udp.Send(new byte[length]);
            Assert.Equal(SocketError.ConnectionRefused, Assert.ThrowsAny<SocketException>(() => udp.Receive(new byte[1])).SocketErrorCode);
        }
    }

    [Theory]
    [InlineData("pod", false)]
    [InlineData("pod", true)]
    [InlineData("other", false)]
    [InlineData("other", true)]
    public void ClosedPortOfABackend_ErrorReachesTheClient(string to, bool isIpv6)
    {
        ulong before = network.Count(PacketCounter.ErrorTranslated);
        var closed = new IPEndPoint(PacketNetwork.Address(to, isIpv6), 9);
        using Socket udp = PacketNetwork.Open(network.Client, IpProtocol.Udp, new IPEndPoint(PacketNetwork.Address("client", isIpv6), 0));
        udp.Connect(network.AddService(isIpv6, IpProtocol.Udp, closed, ViewFlags.Masquerade, isNodePort: true));
        udp.Send(new byte[100]);
        Assert.Equal(SocketError.ConnectionRefused, Assert.ThrowsAny<SocketException>(() => udp.Receive(new byte[1])).SocketErrorCode);
        Assert.True(network.Count(PacketCounter.ErrorTranslated) > before);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void SmallerMtuOnTheWayOn_SenderLearnsIt(bool isIpv6, bool isMasqueraded)
    {
        string[] route = [isIpv6 ? "fd00:2::1/128" : "192.168.2.1/32", "dev", "edge1"];
        ulong before = network.Count(PacketCounter.TooBig);
        network.Node.Run("ip", ["route", "add", .. route, "mtu", "lock", "1300"]);
        try
        {
            Tcp_ManyBytesBothWays_Arrive("client", "other", isIpv6, isMasqueraded);
        }
        finally
        {
            network.Node.Run("ip", ["route", "delete", .. route]);
            network.Client.Run("ip", isIpv6 ? "-6" : "-4", "route", "flush", "cache");
        }

        Assert.True(network.Count(PacketCounter.TooBig) > before);
    }

    private static void Exchange(Socket from, Socket to, byte[] sent)
    {
        Task sending = Task.Run(() => from.Send(sent));
        byte[] received = new byte[sent.Length];
        for (int position = 0; position < received.Length;)
        {
            int length = to.Receive(received.AsSpan(position));
            Assert.NotEqual(0, length);
            position += length;
        }

        sending.Wait();
        Assert.True(sent.SequenceEqual(received));
    }

    private NetworkNamespace Place(string name) => name switch
    {
        "client" => network.Client,
        "other" => network.Other,
        "pod" => network.Pod,
        _ => network.Node,
    };
}

/// <summary>The packet layer at tc.</summary>
public sealed class TcTrafficTests(TcNetwork network) : PacketTrafficTests(network), IClassFixture<TcNetwork>;

/// <summary>The packet layer at XDP, with tc behind it.</summary>
public sealed class XdpTrafficTests(XdpNetwork network) : PacketTrafficTests(network), IClassFixture<XdpNetwork>
{
    private readonly XdpNetwork _network = network;

    [Fact]
    public void RemoteBackend_IsServedByXdpAlone()
    {
        using Socket server = PacketNetwork.Open(
            _network.Other, IpProtocol.Udp, new IPEndPoint(PacketNetwork.Address("other", false), 0));
        IPEndPoint service = _network.AddService(false, IpProtocol.Udp, (IPEndPoint)server.LocalEndPoint!, isNodePort: true);
        using Socket client = PacketNetwork.Open(
            _network.Client, IpProtocol.Udp, new IPEndPoint(PacketNetwork.Address("client", false), 0));
        client.Connect(service);
        byte[] buffer = new byte[10];
        void Ask()
        {
            EndPoint peer = new IPEndPoint(IPAddress.Any, 0);
            client.Send(buffer);
            server.ReceiveFrom(buffer, ref peer);
            server.SendTo(buffer, peer);
            client.Receive(buffer);
        }

        // The first packets may have to wait for neighbours, which tc does.
        Ask();
        ulong left = _network.Count(PacketCounter.LeftToTc);
        for (int i = 0; i < 20; i++)
        {
            Ask();
        }

        Assert.Equal(left, _network.Count(PacketCounter.LeftToTc));
    }
}
