// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <summary>struct sockaddr_in (ip(7)).</summary>
internal static class SocketAddress
{
    public const int Length = 16;
    private const ushort Internet = 2; // AF_INET

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

    public static void Write(Span<byte> destination, in IpAddress address, ushort port)
    {
        destination = destination[..Length];
        destination.Clear();
        MemoryMarshal.Write(destination, Internet);
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], port);
        address.WriteIpv4(destination[4..]);
    }

    /// <summary>Gives an address to a caller whose room may be short; <paramref name="length"/> becomes the full length.</summary>
    public static void Give(Span<byte> destination, ref uint length, in IpAddress address, ushort port)
    {
        Span<byte> whole = stackalloc byte[Length];
        Write(whole, address, port);
        whole[..Math.Min(destination.Length, Length)].CopyTo(destination);
        length = Length;
    }
}
