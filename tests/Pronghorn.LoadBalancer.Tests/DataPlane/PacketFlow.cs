// SPDX-License-Identifier: Apache-2.0
using System.Threading;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>A service of its own in a node, with one backend, and a client's first packet to it: one of each family and protocol.</summary>
internal sealed class PacketFlow
{
    private static int s_last = 1000;

    public PacketFlow(
        PacketNode node,
        bool isIpv6 = false,
        IpProtocol protocol = IpProtocol.Udp,
        bool isLocal = false,
        ViewFlags flags = ViewFlags.None,
        ServiceViewAction action = ServiceViewAction.Forward,
        System.Func<ServiceValue, ServiceValue>? change = null)
    {
        Node = node;
        Id = (uint)Interlocked.Increment(ref s_last);
        int number = (int)Id;
        Frontend = PacketNode.Ip(isIpv6 ? "2001:db8:aaaa::53" : "203.0.113.53");
        Backend = PacketNode.Ip((isIpv6, isLocal) switch
        {
            (false, false) => "10.244.1.2",
            (false, true) => "10.244.0.2",
            (true, false) => "fd00:245::2",
            (true, true) => "fd00:244::2",
        });
        Key = new FrontendKey(Frontend, (ushort)number, protocol);
        BackendPort = 8000 + (number % 1000);
        node.AddService(Id, Key, [(Id, Backend, BackendPort)], action, flags, change);
        Request = new TestPacket
        {
            Source = PacketNode.Ip(isIpv6 ? "2001:db8:ffff::7" : "198.51.100.7"),
            Destination = Frontend,
            Protocol = protocol,
            SourcePort = 40000,
            DestinationPort = number,
            Flags = TestPacket.Syn,
            Sequence = 0x01020304,
            Payload = [1, 2, 3, 4, 5],
        };
    }

    public PacketNode Node { get; }

    public uint Id { get; }

    public IpAddress Frontend { get; }

    public IpAddress Backend { get; }

    public int BackendPort { get; }

    public FrontendKey Key { get; }

    public TestPacket Request { get; }

    /// <summary>Puts a packet to XDP on the edge.</summary>
    public (uint Verdict, TestPacket Packet) AtEdge(TestPacket packet) => Node.Run(Node.Xdp, packet, Node.Edge);

    /// <summary>Puts a packet to tc where it enters the edge.</summary>
    public (uint Verdict, TestPacket Packet) AtEdgeTc(TestPacket packet) => Node.Run(Node.TcIngress, packet, Node.Edge);

    /// <summary>Puts a packet to tc where it leaves by the edge.</summary>
    public (uint Verdict, TestPacket Packet) Leaving(TestPacket packet) => Node.Run(Node.TcEgress, packet, Node.Edge);

    /// <summary>Puts a packet to tc where it comes from the pod.</summary>
    public (uint Verdict, TestPacket Packet) FromPod(TestPacket packet) => Node.Run(Node.TcIngress, packet, Node.Pod);
}
