// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>The nodes, a client behind a link with a small MTU, and another such link between the first two nodes.</summary>
public sealed class NarrowWorld : IDisposable
{
    public const int Mtu = 1280;
    private const string Between = "narrow0";

    private readonly HandoffWorld _world = new();

    public NarrowWorld()
    {
        FarClient = _world.AddFarClient(21, Mtu);
        string mtu = Mtu.ToString(CultureInfo.InvariantCulture);
        (string a, string b) = (A.Place.Name, B.Place.Name);
        LabCommand.Run(
            "ip", "link", "add", Between, "mtu", mtu, "netns", a, "type", "veth", "peer", "name", Between, "mtu", mtu, "netns", b);
        foreach ((NetworkNamespace place, int number) in ((NetworkNamespace, int)[])[(A.Place, 1), (B.Place, 2)])
        {
            place.Run("ip", "link", "set", Between, "up");
            place.Run("ip", "address", "add", Address(number, isIpv6: false) + "/24", "dev", Between);
            place.Run("ip", "address", "add", Address(number, isIpv6: true) + "/64", "dev", Between, "nodad");
        }

        // A finishes checksums as it sends, as a device does: what is left to do within a machine is verified by nobody.
        A.Place.Run("ethtool", "-K", HandoffWorld.Interface, "tx", "off");
        NarrowWay = int.Parse(
            A.Place.Run("cat", $"/sys/class/net/{Between}/ifindex"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }

    public NetworkNamespace Client => _world.Client;

    public NetworkNamespace FarClient { get; }

    public HandoffWorld.Node A => _world.Nodes[0];

    public HandoffWorld.Node B => _world.Nodes[1];

    /// <summary>A's interface to B that takes only small packets.</summary>
    public int NarrowWay { get; }

    /// <summary>B's end at the other end of it.</summary>
    public static TcpEnd NarrowEnd(bool isIpv6, ushort port) => new(IpAddress.Parse(Address(2, isIpv6)), port);

    public void Dispose() => _world.Dispose();

    private static string Address(int number, bool isIpv6) =>
        string.Create(CultureInfo.InvariantCulture, $"{(isIpv6 ? "fd05::" : "10.5.0.")}{number}");
}

/// <summary>Path MTU discovery of both sides of a connection that has moved.</summary>
public sealed class PathMtuTests(NarrowWorld world) : IClassFixture<NarrowWorld>
{
    private const int Protocol = 6; // SOL_TCP
    private const int InformationOption = 11; // TCP_INFO
    private const int PathMtuOffset = 60;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(15);

    private static ushort s_port = 9500;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NarrowLinkBeforeTheClient_TheOwnerHearsOfIt(bool isIpv6)
    {
        ushort port = s_port++;
        using Moved moved = Move(world.FarClient, isIpv6, world.B.End(isIpv6, port), port, world.A.InterfaceIndex);
        Assert.Equal(1500, PathMtu(moved.Server));
        ulong before = world.A.Layer.Read(SteeringCounter.ErrorsRedirected);

        await AssertArrivesAsync(moved.Server, moved.Client);

        Assert.True(world.A.Layer.Read(SteeringCounter.ErrorsRedirected) > before);
        Assert.Equal(NarrowWorld.Mtu, PathMtu(moved.Server));
        string client = ((IPEndPoint)moved.Server.RemoteEndPoint!).Address.ToString();
        Assert.Contains($"mtu {NarrowWorld.Mtu}", world.B.Place.Run("ip", "route", "get", client), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NarrowLinkBetweenTheNodes_TheClientHearsOfIt(bool isIpv6)
    {
        ushort port = s_port++;
        using Moved moved = Move(world.Client, isIpv6, NarrowWorld.NarrowEnd(isIpv6, port), port, world.NarrowWay);
        Assert.Equal(1500, PathMtu(moved.Client));
        ulong before = world.A.Layer.Read(SteeringCounter.TooBigAnswered);

        await AssertArrivesAsync(moved.Client, moved.Server);

        Assert.True(world.A.Layer.Read(SteeringCounter.TooBigAnswered) > before);
        Assert.Equal(NarrowWorld.Mtu, PathMtu(moved.Client));
    }

    private static int PathMtu(Socket socket)
    {
        byte[] information = new byte[PathMtuOffset + sizeof(int)];
        Assert.Equal(information.Length, socket.GetRawSocketOption(Protocol, InformationOption, information));
        return MemoryMarshal.Read<int>(information.AsSpan(PathMtuOffset));
    }

    private static async Task AssertArrivesAsync(Socket from, Socket to)
    {
        byte[] sent = new byte[1_000_000];
        new Random(1).NextBytes(sent);
        byte[] received = new byte[sent.Length];
        await Task.WhenAll(SendAsync(), ReceiveAsync()).WaitAsync(s_limit);
        Assert.Equal(sent, received);

        async Task SendAsync()
        {
            for (int at = 0; at < sent.Length;)
            {
                at += await from.SendAsync(sent.AsMemory(at));
            }
        }

        async Task ReceiveAsync()
        {
            for (int at = 0; at < received.Length;)
            {
                int count = await to.ReceiveAsync(received.AsMemory(at));
                Assert.True(count > 0, $"the end after {at} bytes");
                at += count;
            }
        }
    }

    /// <summary>A connection from a client to A that moves to an end of B's.</summary>
    private Moved Move(NetworkNamespace from, bool isIpv6, TcpEnd there, ushort port, int way)
    {
        HandoffWorld.Node a = world.A;
        using Socket listener = a.Listen(isIpv6, port);
        Socket client = NamespaceThread.Run(from, () =>
        {
            AddressFamily family = isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
            var connecting = new Socket(family, SocketType.Stream, ProtocolType.Tcp);
            connecting.Connect(IPAddress.Parse(a.Address(isIpv6)), port);
            return connecting;
        });
        using Socket server = listener.Accept();
        TcpEnd local = a.End(isIpv6, port);
        Assert.Equal(0, TcpSocket.GetRemote((int)server.Handle, out TcpEnd remote));
        var stay = new Stay(port, 1);
        Assert.Equal(0, a.Layer.Tables.Hold(local, remote, stay));
        Assert.True(ConnectionCapture.TryTake((int)server.Handle, out ConnectionImage? image).IsNone);
        int fd = -1;
        Refusal made = NamespaceThread.Run(world.B.Place, () => ConnectionRestore.TryMake(image!, there, out fd));
        Assert.True(made.IsNone, made.ToString());
        Assert.Equal(0, world.B.Layer.Tables.Translate(there, remote, local, stay));
        Assert.Equal(0, a.Layer.Tables.Redirect(local, remote, there, way, stay));
        Assert.Equal(0, ConnectionCapture.Discard((int)server.Handle));
        Assert.Equal(0, world.B.Layer.Tables.SetLive(there, remote));
        Assert.True(ConnectionRestore.GoLive(fd, image!).IsNone);
        return new Moved(client, new Socket(new SafeSocketHandle(fd, ownsHandle: true)));
    }

    private sealed record Moved(Socket Client, Socket Server) : IDisposable
    {
        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
        }
    }
}
