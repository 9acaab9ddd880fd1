// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Real sockets in namespaces, with the maps filled by hand.</summary>
[Collection(TestCgroup.Collection)]
public sealed class SocketLayerTests : IClassFixture<SocketLayerFixture>
{
    private const int Timeout = 10_000;
    private const int LookupAffinityKept = 0;
    private const int LookupAffinityChosen = 1;
    private const int LookupEmptySlot = 3;
    private const int SocketPassed = 3;
    private const int SocketDeferred = 4;
    private const byte CheckSource = 2;
    private const byte NodeAllowed = 4;

    private readonly SocketLayerFixture _lab;
    private readonly ServiceTables _tables;
    private readonly int _number;

    public SocketLayerTests(SocketLayerFixture lab)
    {
        _lab = lab;
        _tables = lab.Tables;
        _number = lab.NextNumber();
    }

    private int BackendPort => 8000 + _number;

    private string Vip => $"10.96.0.{_number}";

    private string Vip6 => $"fd96::{_number}";

    [Theory]
    [InlineData("10.244.0.2", false)]
    [InlineData("10.244.0.2", true)]
    [InlineData("fd00::2", true)]
    public void TcpConnect_ToAService_ReachesABackendAndShowsTheService(string backend, bool isIpv6Socket)
    {
        string vip = VipLike(backend);
        uint service = ServeOne(vip, 80, backend, ProtocolType.Tcp);
        InNode(() =>
        {
            using Socket server = Listen(backend, BackendPort);
            using Socket client = Open(isIpv6Socket, SocketType.Stream);
            client.Connect(IPAddress.Parse(vip), 80);
            using Socket accepted = server.Accept();
            Assert.Equal((vip, 80), PeerOf(client));
            Assert.Equal(backend, ((IPEndPoint)accepted.LocalEndPoint!).Address.ToString());
            client.Send("ping"u8);
            Assert.Equal("ping"u8, Read(accepted));
        });
        Assert.Equal((1UL, 0UL, 0UL), _tables.Count(service));
        AssertForgotten(backend);
    }

    [Theory]
    [InlineData("10.244.0.2", false)]
    [InlineData("10.244.0.2", true)]
    [InlineData("fd00::2", true)]
    public void ConnectedUdp_ToAService_HearsTheServiceAnswer(string backend, bool isIpv6Socket)
    {
        string vip = VipLike(backend);
        ServeOne(vip, 53, backend, ProtocolType.Udp);
        InNode(() =>
        {
            using Socket server = Bind(backend, BackendPort);
            using (Socket client = Open(isIpv6Socket, SocketType.Dgram))
            {
                client.Connect(IPAddress.Parse(vip), 53);
                client.Send("question"u8);
                Answer(server);
                Assert.Equal(("answer", vip, 53), ReceiveFrom(client));
                Assert.Equal((vip, 53), PeerOf(client));
                Assert.Equal(1, _tables.CountReverse(backend, BackendPort));
            }
        });
        AssertForgotten(backend);
    }

    [Theory]
    [InlineData("10.244.0.2", false)]
    [InlineData("10.244.0.2", true)]
    [InlineData("fd00::2", true)]
    public void UnconnectedUdp_ToAService_HearsTheServiceAnswer(string backend, bool isIpv6Socket)
    {
        string vip = VipLike(backend);
        uint service = ServeOne(vip, 53, backend, ProtocolType.Udp);
        InNode(() =>
        {
            using Socket server = Bind(backend, BackendPort);
            using (Socket client = Open(isIpv6Socket, SocketType.Dgram))
            {
                for (int i = 0; i < 3; i++)
                {
                    client.SendTo("question"u8, new IPEndPoint(AddressFor(vip, isIpv6Socket), 53));
                    Answer(server);
                    Assert.Equal(("answer", vip, 53), ReceiveFrom(client));
                }

                Assert.Equal(1, _tables.CountReverse(backend, BackendPort));
            }
        });

        // One connection, not one for each datagram; and the way back goes with the socket.
        Assert.Equal((1UL, 0UL, 0UL), _tables.Count(service));
        AssertForgotten(backend);
    }

    [Theory]
    [InlineData("10.0.0.1")]
    [InlineData("fd00::9")]
    public void ServiceWithoutEndpoints_AnyUse_IsRefused(string family)
    {
        string vip = VipLike(family);
        uint tcp = _tables.AddService(vip, 80, ProtocolType.Tcp, ViewBytes.Reject);
        uint udp = _tables.AddService(vip, 80, ProtocolType.Udp, ViewBytes.Reject);
        InNode(() =>
        {
            Assert.Equal(SocketError.ConnectionRefused, TryConnect(vip, 80));
            using Socket datagrams = Open(isIpv6: true, SocketType.Dgram);
            SocketException sent = Assert.Throws<SocketException>(
                () => datagrams.SendTo("x"u8, new IPEndPoint(AddressFor(vip, isIpv6: true), 80)));
            Assert.Equal(SocketError.ConnectionRefused, sent.SocketErrorCode);
            SocketException connected = Assert.Throws<SocketException>(() => datagrams.Connect(IPAddress.Parse(vip), 80));
            Assert.Equal(SocketError.ConnectionRefused, connected.SocketErrorCode);
        });
        Assert.Equal((0UL, 1UL, 0UL), _tables.Count(tcp));
        Assert.Equal((0UL, 2UL, 0UL), _tables.Count(udp));
    }

    [Fact]
    public void ServiceThatDrops_Connect_IsNotPermitted()
    {
        uint service = _tables.AddService(Vip, 80, ProtocolType.Tcp, ViewBytes.Drop);
        InNode(() => Assert.Equal(SocketError.AccessDenied, TryConnect(Vip, 80)));
        Assert.Equal((0UL, 0UL, 1UL), _tables.Count(service));
    }

    [Fact]
    public void OtherPortOrProtocol_OfAServiceAddress_IsLeftAlone()
    {
        ServeOne(Vip, 80, "10.244.0.2", ProtocolType.Tcp);
        InNode(() =>
        {
            ulong before = _tables.Counter("socket_counts", SocketPassed);
            Assert.Equal(SocketError.NetworkUnreachable, TryConnect(Vip, 81));
            using Socket datagrams = Open(isIpv6: false, SocketType.Dgram);
            Assert.Throws<SocketException>(() => datagrams.SendTo("x"u8, new IPEndPoint(IPAddress.Parse(Vip), 80)));
            Assert.Equal(before + 2, _tables.Counter("socket_counts", SocketPassed));
        });
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.1.2.3")]
    [InlineData("0.0.0.0")]
    [InlineData(SocketLayerFixture.NodeAddress)]
    [InlineData(SocketLayerFixture.NodeAddress6)]
    public void NodePort_FromTheNode_IsServedOnItsAddresses(string address)
    {
        bool isIpv6 = address.Contains(':', StringComparison.Ordinal);
        string backend = isIpv6 ? "fd00::2" : "10.244.0.2";
        int nodePort = 30_000 + _number;
        ServeOne(isIpv6 ? "::" : "0.0.0.0", nodePort, backend, ProtocolType.Tcp);
        InNode(() =>
        {
            using Socket server = Listen(backend, BackendPort);
            Assert.Equal(SocketError.Success, TryConnect(address, nodePort));
            server.Accept().Dispose();
        });
    }

    [Fact]
    public void NodePort_OnAnAddressThatServesNone_IsLeftAlone()
    {
        int nodePort = 30_000 + _number;
        ServeOne("0.0.0.0", nodePort, "10.244.0.2", ProtocolType.Tcp);
        InNode(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            using Socket own = Listen(SocketLayerFixture.OtherNodeAddress, nodePort);
            Assert.Equal(SocketError.Success, TryConnect(SocketLayerFixture.OtherNodeAddress, nodePort));
            own.Accept().Dispose();
        });
    }

    [Fact]
    public void NodePort_FromAPod_IsServedOnNodeAddressesButNotOnThePodsLoopback()
    {
        int nodePort = 30_000 + _number;
        ServeOne("0.0.0.0", nodePort, "10.244.0.2", ProtocolType.Tcp);
        InPod(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            Assert.Equal(SocketError.Success, TryConnect(SocketLayerFixture.NodeAddress, nodePort));
            server.Accept().Dispose();

            using Socket own = Listen("127.0.0.1", nodePort);
            foreach (string address in (string[])["127.0.0.1", "0.0.0.0"])
            {
                Assert.Equal(SocketError.Success, TryConnect(address, nodePort));
                own.Accept().Dispose();
            }
        });
    }

    [Fact]
    public void SourceRanges_APod_IsLeftToThePacketPath()
    {
        uint set = _tables.AddSet(_tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp));
        _tables.AddService(
            Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(set, 1, CheckSource), ViewBytes.Forward(set, 1, CheckSource | NodeAllowed));
        ulong before = _tables.Counter("socket_counts", SocketDeferred);
        InPod(() => Assert.Equal(SocketError.NetworkUnreachable, TryConnect(Vip, 80)));
        Assert.Equal(before + 1, _tables.Counter("socket_counts", SocketDeferred));
        InNode(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            Assert.Equal(SocketError.Success, TryConnect(Vip, 80));
        });
    }

    [Fact]
    public void SourceRanges_ANodeThatIsInNone_IsDenied()
    {
        uint set = _tables.AddSet(_tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp));
        _tables.AddService(Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(set, 1, CheckSource));
        InNode(() => Assert.Equal(SocketError.AccessDenied, TryConnect(Vip, 80)));
    }

    [Fact]
    public void PodAndNode_WithDifferentViews_GetTheirs()
    {
        uint set = _tables.AddSet(_tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp));
        _tables.AddService(Vip, 80, ProtocolType.Tcp, pod: ViewBytes.Forward(set, 1), node: ViewBytes.Reject);
        InNode(() => Assert.Equal(SocketError.ConnectionRefused, TryConnect(Vip, 80)));
        InPod(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            Assert.Equal(SocketError.Success, TryConnect(Vip, 80));
        });
    }

    [Fact]
    public void Backend_ConnectsToItsOwnService_ReachesItself()
    {
        ServeOne(Vip, BackendPort, "10.244.0.2", ProtocolType.Tcp);
        InPod(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            using Socket client = Open(isIpv6: false, SocketType.Stream);
            client.Bind(new IPEndPoint(IPAddress.Parse("10.244.0.2"), 0));
            client.Connect(IPAddress.Parse(Vip), BackendPort);
            using Socket accepted = server.Accept();
            Assert.Equal("10.244.0.2", ((IPEndPoint)accepted.RemoteEndPoint!).Address.ToString());
        });
    }

    [Fact]
    public void ServiceAtItsBackendsOwnAddress_Connect_DoesNotLoop()
    {
        // An external address that is also that of the backend.
        ServeOne("10.244.0.2", BackendPort, "10.244.0.2", ProtocolType.Tcp);
        InPod(() =>
        {
            using Socket server = Listen("10.244.0.2", BackendPort);
            Assert.Equal(SocketError.Success, TryConnect("10.244.0.2", BackendPort));
        });
    }

    [Fact]
    public void ManyConnections_ToTwoBackends_ReachBoth()
    {
        uint first = _tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp);
        uint second = _tables.AddBackend("10.244.0.3", BackendPort, ProtocolType.Tcp);
        _tables.AddService(Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(_tables.AddSet(first, second), 2));
        InNode(() =>
        {
            (int atFirst, int atSecond) = ConnectMany(Vip, 64);
            Assert.Equal(64, atFirst + atSecond);

            // One that is never chosen in 64 tries has a chance of 2^-63.
            Assert.NotEqual(0, atFirst);
            Assert.NotEqual(0, atSecond);
        });
    }

    [Fact]
    public void SetThatShrank_UnderAReader_FallsBackToItsFirstSlot()
    {
        uint backend = _tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp);

        // As if the view had been read before the count in it was lowered.
        _tables.AddService(Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(_tables.AddSet(backend), 1000));
        ulong before = _tables.Counter("lookup_counts", LookupEmptySlot);
        InNode(() => Assert.Equal((16, 0), ConnectMany(Vip, 16)));
        Assert.True(_tables.Counter("lookup_counts", LookupEmptySlot) > before);
    }

    [Fact]
    public void Affinity_OneClient_KeepsItsBackendUntilTheTimeIsOver()
    {
        uint first = _tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp);
        uint second = _tables.AddBackend("10.244.0.3", BackendPort, ProtocolType.Tcp);
        uint service = _tables.AddService(
            Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(_tables.AddSet(first, second), 2), affinitySeconds: 60);
        InNode(() =>
        {
            (int atFirst, int atSecond) = ConnectMany(Vip, 16);
            Assert.True(atFirst is 0 or 16 && atFirst + atSecond == 16, $"{atFirst} and {atSecond}");
        });

        _tables.AgeAffinity(service, 59);
        ulong kept = _tables.Counter("lookup_counts", LookupAffinityKept);
        ulong chosen = _tables.Counter("lookup_counts", LookupAffinityChosen);
        InNode(() => ConnectMany(Vip, 1));
        Assert.Equal(kept + 1, _tables.Counter("lookup_counts", LookupAffinityKept));
        Assert.Equal(chosen, _tables.Counter("lookup_counts", LookupAffinityChosen));

        // Use renewed it, so another 59 s are not too much, but 61 s are.
        _tables.AgeAffinity(service, 59);
        InNode(() => ConnectMany(Vip, 1));
        Assert.Equal(kept + 2, _tables.Counter("lookup_counts", LookupAffinityKept));
        _tables.AgeAffinity(service, 61);
        InNode(() => ConnectMany(Vip, 1));
        Assert.Equal(chosen + 1, _tables.Counter("lookup_counts", LookupAffinityChosen));
    }

    [Fact]
    public void Affinity_BackendThatLeftTheSet_IsReplaced()
    {
        uint first = _tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Tcp);
        uint second = _tables.AddBackend("10.244.0.3", BackendPort, ProtocolType.Tcp);
        uint set = _tables.AddSet(first, second);
        uint service = _tables.AddService(Vip, 80, ProtocolType.Tcp, ViewBytes.Forward(set, 2), affinitySeconds: 60);
        InNode(() =>
        {
            (int atFirst, _) = ConnectMany(Vip, 1);
            (uint gone, uint stays) = atFirst == 1 ? (first, second) : (second, first);
            _tables.SetSlot(set, 0, stays);
            ViewBytes view = ViewBytes.Forward(set, 1);
            _tables.Put(service, Vip, 80, ProtocolType.Tcp, view, view, 60);
            _tables.RemoveMember(set, gone);
            Assert.Equal(stays == first ? (8, 0) : (0, 8), ConnectMany(Vip, 8));
        });
    }

    [Fact]
    public void UnconnectedUdp_ManyDatagrams_StayWithOneBackendWhileItIsThere()
    {
        uint first = _tables.AddBackend("10.244.0.2", BackendPort, ProtocolType.Udp);
        uint second = _tables.AddBackend("10.244.0.3", BackendPort, ProtocolType.Udp);
        uint set = _tables.AddSet(first, second);
        _tables.AddService(Vip, 53, ProtocolType.Udp, ViewBytes.Forward(set, 2));
        InNode(() =>
        {
            using Socket atFirst = Bind("10.244.0.2", BackendPort);
            using Socket atSecond = Bind("10.244.0.3", BackendPort);
            using Socket client = Open(isIpv6: false, SocketType.Dgram);
            SendMany(client, 32);
            (Socket used, Socket other) = atFirst.Available > 0 ? (atFirst, atSecond) : (atSecond, atFirst);
            Assert.Equal(0, other.Available);
            Drain(used, 32);

            // The one that was used goes: both places hold the other one now.
            uint stays = used == atFirst ? second : first;
            _tables.SetSlot(set, 0, stays);
            _tables.SetSlot(set, 1, stays);
            SendMany(client, 4);
            Drain(other, 4);
            Assert.Equal(0, used.Available);
        });
    }

    [Theory]
    [InlineData("0.0.0.0", true)]
    [InlineData("::", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData(SocketLayerFixture.NodeAddress, true)]
    [InlineData(SocketLayerFixture.OtherNodeAddress, false)]
    public void BindToANodePortInUse_OnTheNode_IsRefusedOnItsAddresses(string address, bool isRefused)
    {
        int nodePort = 30_000 + _number;
        ServeOne("0.0.0.0", nodePort, "10.244.0.2", ProtocolType.Tcp);
        InNode(() => Assert.Equal(isRefused ? SocketError.AddressAlreadyInUse : SocketError.Success, TryBind(address, nodePort)));
        InNode(() => Assert.Equal(SocketError.Success, TryBind(address, nodePort + 1000)));
        InPod(() => Assert.Equal(SocketError.Success, TryBind(address, nodePort)));
    }

    [Fact]
    public void NodeNamespaceNotSet_Connect_IsLeftAlone()
    {
        ServeOne(Vip, 80, "10.244.0.2", ProtocolType.Tcp);
        ulong cookie = BitConverter.ToUInt64(ReadSettings());
        _tables.SetNodeNamespace(0);
        InNode(() => Assert.Equal(SocketError.NetworkUnreachable, TryConnect(Vip, 80)));
        _tables.SetNodeNamespace(cookie);
    }

    [Fact]
    public async Task ProgramsReplaced_WhileAClientConnects_EveryConnectionIsTranslated()
    {
        uint service = ServeOne(Vip, 80, "10.244.0.2", ProtocolType.Tcp);
        bool isReplaced = false;
        int connections = 0;
        Task client = Task.Run(() => InNode(() =>
        {
            // Untranslated, there is no route to the service's address, and the connect fails.
            while (!Volatile.Read(ref isReplaced))
            {
                (int arrived, _) = ConnectMany(Vip, 16);
                Interlocked.Add(ref connections, arrived);
            }
        }));
        for (int i = 0; i < 5; i++)
        {
            int before = Volatile.Read(ref connections);
            _lab.Layer.Start(_lab.Cgroup.Path, SocketLayerFixture.SmallMaps);
            SpinWait.SpinUntil(() => Volatile.Read(ref connections) > before || client.IsCompleted);
        }

        Volatile.Write(ref isReplaced, true);
        await client;
        Assert.Equal((ulong)connections, _tables.Count(service).Connections);
        Assert.True(connections >= 5 * 16);
    }

    private static Socket Open(bool isIpv6, SocketType type)
    {
        var socket = new Socket(
            isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork,
            type,
            type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp)
        {
            SendTimeout = Timeout,
            ReceiveTimeout = Timeout,
        };
        if (isIpv6)
        {
            socket.DualMode = true;
        }

        return socket;
    }

    private static bool IsIpv6(string address) => address.Contains(':', StringComparison.Ordinal);

    private static IPAddress AddressFor(string address, bool isIpv6) =>
        isIpv6 ? IPAddress.Parse(address).MapToIPv6() : IPAddress.Parse(address);

    private static Socket Listen(string address, int port)
    {
        Socket socket = Open(IsIpv6(address), SocketType.Stream);
        ServerSocket.Listen(socket, new IPEndPoint(IPAddress.Parse(address), port), backlog: 256);
        return socket;
    }

    private static Socket Bind(string address, int port)
    {
        Socket socket = Open(IsIpv6(address), SocketType.Dgram);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        return socket;
    }

    private static SocketError TryConnect(string address, int port)
    {
        using Socket socket = Open(IsIpv6(address), SocketType.Stream);
        return Try(() => socket.Connect(IPAddress.Parse(address), port));
    }

    private static SocketError TryBind(string address, int port)
    {
        using Socket socket = Open(IsIpv6(address), SocketType.Stream);
        return Try(() => socket.Bind(new IPEndPoint(IPAddress.Parse(address), port)));
    }

    private static SocketError Try(Action action)
    {
        try
        {
            action();
            return SocketError.Success;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode;
        }
    }

    /// <summary>The address and port that getpeername(2) gives, asked anew.</summary>
    private static (string Address, int Port) PeerOf(Socket socket)
    {
        Assert.Equal(0, Libc.GetPeerName((int)socket.Handle, out SocketAddressBytes raw));
        ReadOnlySpan<byte> bytes = raw;
        int port = (bytes[2] << 8) | bytes[3];
        IPAddress address = bytes[0] == 2 ? new IPAddress(bytes[4..8]) : new IPAddress(bytes[8..24]);
        return ((address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString(), port);
    }

    private static void Answer(Socket server)
    {
        byte[] buffer = new byte[100];
        EndPoint from = new IPEndPoint(server.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        int length = server.ReceiveFrom(buffer, ref from);
        Assert.Equal("question"u8, buffer.AsSpan(0, length));
        server.SendTo("answer"u8, from);
    }

    private static (string Text, string Address, int Port) ReceiveFrom(Socket client)
    {
        byte[] buffer = new byte[100];
        EndPoint from = new IPEndPoint(client.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        int length = client.ReceiveFrom(buffer, ref from);
        var source = (IPEndPoint)from;
        IPAddress address = source.Address.IsIPv4MappedToIPv6 ? source.Address.MapToIPv4() : source.Address;
        return (System.Text.Encoding.ASCII.GetString(buffer, 0, length), address.ToString(), source.Port);
    }

    private static byte[] Read(Socket socket)
    {
        byte[] buffer = new byte[100];
        return buffer[..socket.Receive(buffer)];
    }

    private static void Drain(Socket socket, int count)
    {
        byte[] buffer = new byte[10];
        for (int i = 0; i < count; i++)
        {
            Assert.Equal(1, socket.Receive(buffer));
        }
    }

    private void SendMany(Socket client, int count)
    {
        for (int i = 0; i < count; i++)
        {
            client.SendTo("x"u8, new IPEndPoint(IPAddress.Parse(Vip), 53));
        }
    }

    /// <summary>Connects often, with a listener at both IPv4 backends, and counts where the connections arrived.</summary>
    private (int AtFirst, int AtSecond) ConnectMany(string vip, int count)
    {
        using Socket first = Listen("10.244.0.2", BackendPort);
        using Socket second = Listen("10.244.0.3", BackendPort);
        int atFirst = 0;
        for (int i = 0; i < count; i++)
        {
            using Socket client = Open(isIpv6: false, SocketType.Stream);
            client.Connect(IPAddress.Parse(vip), 80);

            // The handshake's last segment may still be on its way when connect returns.
            List<Socket> ready = [first, second];
            Socket.Select(ready, null, null, TimeSpan.FromMilliseconds(Timeout));
            Socket chosen = Assert.Single(ready);
            chosen.Accept().Dispose();
            atFirst += chosen == first ? 1 : 0;
        }

        return (atFirst, count - atFirst);
    }

    /// <summary>
    /// That the way back went with its socket. A program that another test starts holds a copy of the socket until it has
    /// become that program.
    /// </summary>
    private void AssertForgotten(string backend)
    {
        SpinWait.SpinUntil(() => _tables.CountReverse(backend, BackendPort) == 0, Timeout);
        Assert.Equal(0, _tables.CountReverse(backend, BackendPort));
    }

    private uint ServeOne(string address, int port, string backend, ProtocolType protocol) =>
        _tables.AddService(
            address, port, protocol, ViewBytes.Forward(_tables.AddSet(_tables.AddBackend(backend, BackendPort, protocol)), 1));

    private string VipLike(string address) => IsIpv6(address) ? Vip6 : Vip;

    private byte[] ReadSettings()
    {
        byte[] value = new byte[_tables["settings"].ValueSize];
        Assert.Equal(0, _tables["settings"].Lookup(new byte[4], value));
        return value;
    }

    private void InNode(Action action) => Run(_lab.Node, action);

    private void InPod(Action action) => Run(_lab.Pod, action);

    private static void Run(NetworkNamespace place, Action action) => NamespaceThread.Run(place, () =>
    {
        action();
        return true;
    });
}
