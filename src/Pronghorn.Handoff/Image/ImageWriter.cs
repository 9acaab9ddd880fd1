// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Buffers.Binary;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Image;

/// <summary>Writes what <see cref="ImageReader"/> reads: big-endian numbers, ends, and bytes with their length before them.</summary>
internal static class ImageWriter
{
    internal static void Octet(IBufferWriter<byte> writer, byte value)
    {
        writer.GetSpan(1)[0] = value;
        writer.Advance(1);
    }

    internal static void Short(IBufferWriter<byte> writer, ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(writer.GetSpan(sizeof(ushort)), value);
        writer.Advance(sizeof(ushort));
    }

    internal static void Word(IBufferWriter<byte> writer, uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(writer.GetSpan(sizeof(uint)), value);
        writer.Advance(sizeof(uint));
    }

    internal static void Long(IBufferWriter<byte> writer, ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(writer.GetSpan(sizeof(ulong)), value);
        writer.Advance(sizeof(ulong));
    }

    internal static void Address(IBufferWriter<byte> writer, IpAddress address)
    {
        address.WriteIpv6(writer.GetSpan(IpAddress.Ipv6Length));
        writer.Advance(IpAddress.Ipv6Length);
    }

    internal static void End(IBufferWriter<byte> writer, TcpEnd end)
    {
        Address(writer, end.Address);
        Short(writer, end.Port);
    }

    internal static void Bytes(IBufferWriter<byte> writer, ReadOnlySpan<byte> value)
    {
        Word(writer, (uint)value.Length);
        writer.Write(value);
    }
}
