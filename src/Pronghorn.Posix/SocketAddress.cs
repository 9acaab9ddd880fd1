// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <summary>struct sockaddr_in (ip(7)), and struct sockaddr_in6 (ipv6(7)) for IPv4 connections of IPv6 sockets.</summary>
internal static class SocketAddress
{
    public const int Length = 16;
    public const int Longest = 28;
    private const ushort Internet = 2; // AF_INET
    private const ushort Internet6 = 10; // AF_INET6

    public static bool TryRead(ReadOnlySpan<byte> source, out IpAddress address, out ushort port)
    {
        if (source.Length < Length || MemoryMarshal.Read<ushort>(source) != Internet)
        {
            address = default;
            port = 0;
            return false;
        }

        port = BinaryPrimitives.ReadUInt16BigEndian(source[2..]);
        address = IpAddress.ReadIpv4(source[4..]);
        return true;
    }

    /// <summary>A listener's address; IPv6's wildcard, which takes IPv4 connections too, reads as IPv4's.</summary>
    public static bool TryReadListener(
        ReadOnlySpan<byte> source, out IpAddress address, out ushort port, out bool mapped)
    {
        mapped = source.Length >= Longest && MemoryMarshal.Read<ushort>(source) == Internet6;
        if (!mapped)
        {
            return TryRead(source, out address, out port);
        }

        port = BinaryPrimitives.ReadUInt16BigEndian(source[2..]);
        address = IpAddress.FromIpv4(0);
        return source.Slice(8, 16).IndexOfAnyExcept((byte)0) < 0;
    }

    public static void Write(Span<byte> destination, in IpAddress address, ushort port)
    {
        destination = destination[..Length];
        destination.Clear();
        MemoryMarshal.Write(destination, Internet);
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], port);
        address.WriteIpv4(destination[4..]);
    }

    /// <summary>Gives an address to a caller whose room may be short; <paramref name="length"/> becomes the full length.</summary>
    public static void Give(Span<byte> destination, ref uint length, in IpAddress address, ushort port, bool mapped)
    {
        Span<byte> whole = stackalloc byte[Longest];
        int size = mapped ? Longest : Length;
        if (mapped)
        {
            whole.Clear();
            MemoryMarshal.Write(whole, Internet6);
            BinaryPrimitives.WriteUInt16BigEndian(whole[2..], port);
            whole.Slice(18, 2).Fill(0xff);
            address.WriteIpv4(whole[20..]);
        }
        else
        {
            Write(whole, address, port);
        }

        whole[..Math.Min(destination.Length, size)].CopyTo(destination);
        length = (uint)size;
    }
}
