// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>struct socket_key of bpf/common/service_socket_maps.h: what a socket talks to in truth. Network byte order is kept.</summary>
internal readonly record struct SocketKey(ulong Cookie, ulong AddressHigh, ulong AddressLow, ushort Port, ushort Reserved, uint Reserved2)
{
    public IpAddress Address => SocketEntry.ToAddress(AddressHigh, AddressLow);

    public ushort HostPort => BinaryPrimitives.ReverseEndianness(Port);
}

/// <summary>struct socket_value of bpf/common/service_socket_maps.h: what its program believes to talk to.</summary>
internal readonly record struct SocketValue(
    ulong NamespaceCookie, ulong AddressHigh, ulong AddressLow, ushort Port, byte Protocol, byte Reserved, uint Service)
{
    public IpAddress Address => SocketEntry.ToAddress(AddressHigh, AddressLow);

    public ushort HostPort => BinaryPrimitives.ReverseEndianness(Port);
}

/// <summary>Reads the entries of the map socket_reverse.</summary>
internal static class SocketEntry
{
    // Both architectures in use are little-endian.
    public static IpAddress ToAddress(ulong high, ulong low) =>
        new(BinaryPrimitives.ReverseEndianness(high), BinaryPrimitives.ReverseEndianness(low));
}
