// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>A client and three nodes on one bridge; each node has the steering and a hold queue.</summary>
public sealed class HandoffWorld : IDisposable
{
    public const string Interface = BridgedHosts.Interface;
    private const long HoldLimit = 16 << 20;

    private readonly BridgedHosts _hosts = new();
    private readonly LabBpfFileSystem _files = new();

    public HandoffWorld()
    {
        Client = _hosts.Add("client", 1);
        Nodes = [Make("a", 11), Make("b", 12), Make("d", 13)];
        DroppingNode = Make("e", 14, holdLimit: 0);
    }

    public NetworkNamespace Client { get; }

    public Node[] Nodes { get; }

    /// <summary>A node that drops what comes while a connection is frozen: what moving would cost without holding it.</summary>
    public Node DroppingNode { get; }

    /// <summary>A client behind two routers, between which only small packets fit.</summary>
    public NetworkNamespace AddFarClient(int number, int mtu) => _hosts.AddBehindNarrowLink("far", number, mtu);

    /// <summary>A client whose frames go through a cable, which is to be started.</summary>
    public (NetworkNamespace Host, NetworkNamespace Cable) AddClientBehindCable(int number) => _hosts.AddBehindCable("long", number);

    public void Dispose()
    {
        foreach (Node node in Nodes)
        {
            node.Dispose();
        }

        DroppingNode.Dispose();
        _hosts.Dispose();
        _files.Dispose();
    }

    private Node Make(string name, int number, long holdLimit = HoldLimit)
    {
        NetworkNamespace place = _hosts.Add(name, number);
        string folder = Path.Combine(_files.Root, number.ToString(CultureInfo.InvariantCulture));
        return NamespaceThread.Run(place, () =>
        {
            int result = TapDevice.Open("hold%d", out TapDevice? tap);
            Assert.True(result == 0, $"TapDevice.Open: {result}");
            int index = int.Parse(
                place.Run("cat", $"/sys/class/net/{Interface}/ifindex"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
            SteeringLayer layer = SteeringLayer.Start(folder, [index], tap!);
            return new Node(place, number, index, layer, new HeldPackets(tap!, holdLimit), folder);
        });
    }

    public sealed class Node(
        NetworkNamespace place, int number, int interfaceIndex, SteeringLayer layer, HeldPackets hold, string folder) : IDisposable
    {
        public NetworkNamespace Place => place;

        public int InterfaceIndex => interfaceIndex;

        public MacAddress Mac => MacAddress.Parse(place.Run("cat", $"/sys/class/net/{Interface}/address").Trim());

        public SteeringLayer Layer => layer;

        public HeldPackets Hold => hold;

        public string Folder => folder;

        public string Address(bool isIpv6) => BridgedHosts.Address(number, isIpv6);

        public TcpEnd End(bool isIpv6, ushort port) => new(IpAddress.Parse(Address(isIpv6)), port);

        /// <summary>A listener on a port of the node's.</summary>
        public Socket Listen(bool isIpv6, int port) => NamespaceThread.Run(place, () =>
        {
            var end = new IPEndPoint(IPAddress.Parse(Address(isIpv6)), port);
            var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                ServerSocket.Listen(listener, end, backlog: 512);
            }
            catch (SocketException failure)
            {
                throw new InvalidOperationException($"{end}: {failure.Message}; there are:\n{place.Run("ss", "-tanoe")}", failure);
            }

            return listener;
        });

        public void Dispose()
        {
            hold.Dispose();
            layer.Dispose();
            SteeringLayer.Remove(folder);
        }
    }
}
