// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Ends real sockets in namespaces.</summary>
[Collection(TestCgroup.Collection)]
public sealed class SocketTerminatorTests : IClassFixture<SocketLayerFixture>
{
    private const string FirstBackend = "10.244.0.2";
    private const string SecondBackend = "10.244.0.3";

    private readonly SocketLayerFixture _lab;
    private readonly int _number;

    public SocketTerminatorTests(SocketLayerFixture lab)
    {
        _lab = lab;
        _number = lab.NextNumber();
    }

    private int Port => 8000 + _number;

    [Theory]
    [InlineData(FirstBackend, false)]
    [InlineData(FirstBackend, true)]
    [InlineData("fd00::2", true)]
    public void UdpSocket_OfABackendThatIsGone_IsEndedInEveryNamespace(string backend, bool isIpv6Socket)
    {
        string vip = Serve(1, backend, ProtocolType.Udp);
        using Socket inPod = Connected(_lab.Pod, vip, ProtocolType.Udp, isIpv6Socket);
        using Socket inNode = Connected(_lab.Node, vip, ProtocolType.Udp, isIpv6Socket);
        TerminationResult result = Terminate(endsTcp: false, backend, IpProtocol.Udp);
        Assert.Equal(new TerminationResult(2, 0, 0, 0, 0), result);
        Assert.Equal(SocketError.ConnectionAborted, Receive(inPod));
        Assert.Equal(SocketError.ConnectionAborted, Receive(inNode));
        Assert.Equal(0, _lab.Tables.CountReverse(backend, Port));
    }

    [Fact]
    public void OtherSockets_StayAsTheyAre()
    {
        string gone = Serve(1, FirstBackend, ProtocolType.Udp);
        string stays = Serve(2, SecondBackend, ProtocolType.Udp);
        using Socket ended = Connected(_lab.Pod, gone, ProtocolType.Udp);
        using Socket other = Connected(_lab.Pod, stays, ProtocolType.Udp);

        // Without a service, to the same backend.
        using Socket direct = Connected(_lab.Pod, FirstBackend, ProtocolType.Udp, port: Port);
        Assert.Equal(1, Terminate(endsTcp: false, FirstBackend, IpProtocol.Udp).Udp);
        Assert.Equal(SocketError.WouldBlock, Receive(other));
        Assert.Equal(SocketError.WouldBlock, Receive(direct));
        Assert.Equal(1, _lab.Tables.CountReverse(SecondBackend, Port));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TcpSocket_OfABackendThatIsGone_IsEndedByChoice(bool endsTcp)
    {
        string vip = Serve(1, FirstBackend, ProtocolType.Tcp);
        using Socket server = NamespaceThread.Run(_lab.Pod, () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(FirstBackend), Port));
            socket.Listen(10);
            return socket;
        });
        using Socket client = Connected(_lab.Pod, vip, ProtocolType.Tcp);
        TerminationResult result = Terminate(endsTcp, FirstBackend, IpProtocol.Tcp);
        Assert.Equal((0, endsTcp ? 1 : 0), (result.Udp, result.Tcp));
        Assert.Equal(endsTcp ? SocketError.ConnectionAborted : SocketError.WouldBlock, Receive(client));
    }

    [Fact]
    public void NoSuchSocket_NothingIsEnteredOrEnded()
    {
        Assert.Equal(default, Terminate(endsTcp: true, "10.9.9.9", IpProtocol.Udp));
    }

    private static Socket Connected(NetworkNamespace place, string address, ProtocolType protocol, bool isIpv6 = false, int port = 53) =>
        NamespaceThread.Run(place, () =>
        {
            var socket = new Socket(
                isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork,
                protocol == ProtocolType.Udp ? SocketType.Dgram : SocketType.Stream,
                protocol);
            if (isIpv6)
            {
                socket.DualMode = true;
            }

            socket.Connect(IPAddress.Parse(address), port);
            socket.Blocking = false;
            return socket;
        });

    private static SocketError Receive(Socket socket)
    {
        socket.Receive(new byte[10], 0, 10, SocketFlags.None, out SocketError error);
        return error;
    }

    private TerminationResult Terminate(bool endsTcp, string address, IpProtocol protocol)
    {
        byte[] bytes = IPAddress.Parse(address).MapToIPv6().GetAddressBytes();
        var gone = new BackendEnd(IpAddress.ReadIpv6(bytes), (ushort)Port, protocol);
        return new SocketTerminator(_lab.Pins, endsTcp).Terminate(end => end == gone);
    }

    private string Serve(int which, string backend, ProtocolType protocol)
    {
        bool isIpv6 = backend.Contains(':', StringComparison.Ordinal);
        string vip = isIpv6 ? $"fd9{which}::{_number}" : $"10.9{which}.0.{_number}";
        uint set = _lab.Tables.AddSet(_lab.Tables.AddBackend(backend, Port, protocol));
        _lab.Tables.AddService(vip, 53, protocol, ViewBytes.Forward(set, 1));
        return vip;
    }
}
