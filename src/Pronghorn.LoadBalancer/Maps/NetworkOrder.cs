// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>A __be16: two octets, the high one first in memory.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct NetworkUInt16
{
    private readonly ushort _raw;

    private NetworkUInt16(ushort raw) => _raw = raw;

    /// <summary>The number.</summary>
    public ushort Value => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_raw) : _raw;

    /// <summary>Holds a number.</summary>
    public static implicit operator NetworkUInt16(ushort value) => FromUInt16(value);

    /// <summary>Holds a number.</summary>
    public static NetworkUInt16 FromUInt16(ushort value) =>
        new(BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value);
}

/// <summary>A __be32: four octets, the highest one first in memory.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct NetworkUInt32
{
    private readonly uint _raw;

    private NetworkUInt32(uint raw) => _raw = raw;

    /// <summary>The number.</summary>
    public uint Value => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_raw) : _raw;

    /// <summary>Holds a number.</summary>
    public static implicit operator NetworkUInt32(uint value) => FromUInt32(value);

    /// <summary>Holds a number.</summary>
    public static NetworkUInt32 FromUInt32(uint value) =>
        new(BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value);
}

/// <summary>A __be32[4]: an address as in an IPv6 header, IPv4 in its mapped form. Aligned to four octets, as in C.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct NetworkAddress
{
    private readonly ulong _high;
    private readonly ulong _low;

    private NetworkAddress(ulong high, ulong low)
    {
        _high = high;
        _low = low;
    }

    /// <summary>The address.</summary>
    public IpAddress Value => new(Order(_high), Order(_low));

    /// <summary>Holds an address.</summary>
    public static implicit operator NetworkAddress(IpAddress value) => FromIpAddress(value);

    /// <summary>Holds an address.</summary>
    public static NetworkAddress FromIpAddress(IpAddress value) => new(Order(value.High), Order(value.Low));

    private static ulong Order(ulong number) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(number) : number;
}
