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
    public const string Interface = "lab0";
    private const long HoldLimit = 16 << 20;

    private readonly NetworkNamespace _switch;
    private readonly LabBpfFileSystem _files = new();

    public HandoffWorld()
    {
        LabCleanup.RemoveStale();
        string prefix = LabCleanup.CreatePrefix();
        _switch = NetworkNamespace.Create(prefix + "-switch");
        _switch.Run("ip", "link", "add", "bridge0", "type", "bridge");
        _switch.Run("ip", "link", "set", "bridge0", "up");
        Client = Connect(prefix + "-client", 1);
        Nodes = [Make(prefix + "-a", 11), Make(prefix + "-b", 12), Make(prefix + "-d", 13)];
    }

    public NetworkNamespace Client { get; }

    public Node[] Nodes { get; }

    public void Dispose()
    {
        foreach (Node node in Nodes)
        {
            node.Dispose();
        }

        Client.Dispose();
        _switch.Dispose();
        _files.Dispose();
    }

    private Node Make(string name, int number)
    {
        NetworkNamespace place = Connect(name, number);
        string folder = Path.Combine(_files.Root, number.ToString(CultureInfo.InvariantCulture));
        return NamespaceThread.Run(place, () =>
        {
            int result = TapDevice.Open("hold%d", out TapDevice? tap);
            Assert.True(result == 0, $"TapDevice.Open: {result}");
            int index = int.Parse(
                place.Run("cat", $"/sys/class/net/{Interface}/ifindex"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
            SteeringLayer layer = SteeringLayer.Start(folder, [index], tap!);
            return new Node(place, number, index, layer, new HeldPackets(tap!, HoldLimit), folder);
        });
    }

    private NetworkNamespace Connect(string name, int number)
    {
        NetworkNamespace place = NetworkNamespace.Create(name);
        string port = string.Create(CultureInfo.InvariantCulture, $"port{number}");
        LabCommand.Run("ip", "link", "add", port, "netns", _switch.Name, "type", "veth", "peer", "name", Interface, "netns", name);
        _switch.Run("ip", "link", "set", port, "master", "bridge0", "up");
        place.Run("ip", "address", "add", string.Create(CultureInfo.InvariantCulture, $"10.2.0.{number}/24"), "dev", Interface);
        place.Run("ip", "address", "add", string.Create(CultureInfo.InvariantCulture, $"fd02::{number}/64"), "dev", Interface, "nodad");
        place.Run("ip", "link", "set", Interface, "up");
        return place;
    }

    public sealed class Node(
        NetworkNamespace place, int number, int interfaceIndex, SteeringLayer layer, HeldPackets hold, string folder) : IDisposable
    {
        public NetworkNamespace Place => place;

        public int InterfaceIndex => interfaceIndex;

        public SteeringLayer Layer => layer;

        public HeldPackets Hold => hold;

        public string Address(bool isIpv6) =>
            string.Create(CultureInfo.InvariantCulture, $"{(isIpv6 ? "fd02::" : "10.2.0.")}{number}");

        public TcpEnd End(bool isIpv6, ushort port) => new(IpAddress.Parse(Address(isIpv6)), port);

        /// <summary>A listener on a port of the node's.</summary>
        public Socket Listen(bool isIpv6, int port) => NamespaceThread.Run(place, () =>
        {
            var end = new IPEndPoint(IPAddress.Parse(Address(isIpv6)), port);
            var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(end);
            listener.Listen();
            return listener;
        });

        public void Dispose()
        {
            hold.Dispose();
            layer.Dispose();
            SteeringLayer.Remove(folder);
            place.Dispose();
        }
    }
}
