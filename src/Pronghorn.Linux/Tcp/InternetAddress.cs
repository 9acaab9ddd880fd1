// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Tcp;

/// <summary>An end of a TCP connection.</summary>
/// <param name="Address">Its address; IPv4 is mapped.</param>
/// <param name="Port">Its port, host order.</param>
public readonly record struct TcpEnd(IpAddress Address, ushort Port)
{
    /// <inheritdoc/>
    public override string ToString() => Address.IsIpv4 ? $"{Address}:{Port}" : $"[{Address}]:{Port}";
}

/// <summary>struct sockaddr_in6 (ipv6(7)), 28 bytes; a struct sockaddr_in (ip(7)) lies in its first 16.</summary>
[InlineArray(Length)]
internal struct InternetAddress
{
    internal const int Length = 28;
    internal const int Ipv4Length = 16;

    private byte _first;

    /// <summary>Builds the structure for a socket of a family.</summary>
    /// <param name="end">Address and port.</param>
    /// <param name="isIpv6">Whether the socket is of AF_INET6; an IPv4 address is then written mapped.</param>
    internal static InternetAddress Create(TcpEnd end, bool isIpv6)
    {
        InternetAddress made = default;
        Span<byte> bytes = made;
        BitConverter.TryWriteBytes(bytes, (ushort)(isIpv6 ? Constants.AddressFamilyInet6 : Constants.AddressFamilyInet));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], end.Port);
        if (isIpv6)
        {
            BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], end.Address.High);
            BinaryPrimitives.WriteUInt64BigEndian(bytes[16..], end.Address.Low);
        }
        else
        {
            end.Address.WriteIpv4(bytes[4..]);
        }

        return made;
    }

    /// <summary>Reads the end out of what the kernel filled. False when it is of no Internet family.</summary>
    internal readonly bool TryGetEnd(out TcpEnd end)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.CreateReadOnlySpan(in Unsafe.AsRef(in _first), Length);
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        switch (MemoryMarshal.Read<ushort>(bytes))
        {
            case Constants.AddressFamilyInet:
                end = new TcpEnd(IpAddress.ReadIpv4(bytes[4..]), port);
                return true;
            case Constants.AddressFamilyInet6:
                end = new TcpEnd(IpAddress.ReadIpv6(bytes[8..]), port);
                return true;
            default:
                end = default;
                return false;
        }
    }
}
