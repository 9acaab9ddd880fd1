// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>sockaddr_ll of an interface, for all protocols (packet(7)).</summary>
internal sealed class PacketEnd(int interfaceIndex) : EndPoint
{
    private const int Length = 20;
    private const int AllProtocols = 3; // ETH_P_ALL

    public override AddressFamily AddressFamily => AddressFamily.Packet;

    public override SocketAddress Serialize()
    {
        var address = new SocketAddress(AddressFamily.Packet, Length);
        address[3] = AllProtocols;
        MemoryMarshal.Write(address.Buffer.Span[4..], interfaceIndex);
        return address;
    }
}
