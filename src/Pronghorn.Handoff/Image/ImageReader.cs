// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Globalization;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Image;

/// <summary>Reads numbers and lengths off untrusted bytes; each is named, so that an error says where they end too early.</summary>
internal struct ImageReader(ReadOnlyMemory<byte> bytes)
{
    private readonly int _length = bytes.Length;
    private ReadOnlyMemory<byte> _left = bytes;

    public byte Octet(string what) => Take(what, sizeof(byte)).Span[0];

    public ushort Short(string what) => BinaryPrimitives.ReadUInt16BigEndian(Take(what, sizeof(ushort)).Span);

    public uint Word(string what) => BinaryPrimitives.ReadUInt32BigEndian(Take(what, sizeof(uint)).Span);

    public ulong Long(string what) => BinaryPrimitives.ReadUInt64BigEndian(Take(what, sizeof(ulong)).Span);

    public IpAddress Address(string what) => IpAddress.ReadIpv6(Take(what, IpAddress.Ipv6Length).Span);

    public TcpEnd End(string what)
    {
        IpAddress address = Address(what);
        return new TcpEnd(address, Short(what));
    }

    public ReadOnlyMemory<byte> Bytes(string what, int limit)
    {
        uint length = Word(what);
        return length <= limit
            ? Take(what, (int)length)
            : throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"{what}: {length} bytes, and at most {limit} are allowed"));
    }

    public ReadOnlyMemory<byte> Take(string what, int length)
    {
        if (length > _left.Length)
        {
            throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"{what}: the bytes end at {_length}, {length - _left.Length} too early"));
        }

        ReadOnlyMemory<byte> taken = _left[..length];
        _left = _left[length..];
        return taken;
    }

    public readonly void AssertEnd()
    {
        if (_left.Length > 0)
        {
            throw new ImageFormatException(string.Create(CultureInfo.InvariantCulture, $"{_left.Length} bytes follow the end"));
        }
    }
}
