// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Netlink;

/// <summary>The frame of a netlink message (netlink(7)): 16 bytes of header, in the byte order of the host.</summary>
internal readonly ref struct NetlinkMessage
{
    public const int HeaderLength = 16;

    public const ushort TypeError = 2;
    public const ushort TypeDone = 3;

    public const ushort FlagRequest = 1;
    public const ushort FlagMultipart = 2;
    public const ushort FlagDumpInterrupted = 0x10;
    public const ushort FlagDump = 0x300;
    public const ushort FlagReplace = 0x100;
    public const ushort FlagCreate = 0x400;

    private NetlinkMessage(ReadOnlySpan<byte> whole)
    {
        Type = MemoryMarshal.Read<ushort>(whole[4..]);
        Flags = MemoryMarshal.Read<ushort>(whole[6..]);
        Sequence = MemoryMarshal.Read<uint>(whole[8..]);
        Payload = whole[HeaderLength..];
    }

    public ushort Type { get; }

    public ushort Flags { get; }

    public uint Sequence { get; }

    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Splits the first message off. Returns false, with nothing left, when there is no whole one.</summary>
    public static bool TryTake(ref ReadOnlySpan<byte> buffer, out NetlinkMessage message)
    {
        message = default;
        if (buffer.Length < HeaderLength)
        {
            buffer = default;
            return false;
        }

        uint length = MemoryMarshal.Read<uint>(buffer);
        if (length < HeaderLength || length > (uint)buffer.Length)
        {
            buffer = default;
            return false;
        }

        message = new NetlinkMessage(buffer[..(int)length]);
        int aligned = ((int)length + 3) & ~3;
        buffer = aligned >= buffer.Length ? default : buffer[aligned..];
        return true;
    }
}

/// <summary>Walks the attributes of a message: length and type of 16 bits each, then the value, padded to 4 bytes.</summary>
internal ref struct NetlinkAttributes
{
    private const ushort TypeMask = 0x3fff;

    private ReadOnlySpan<byte> _rest;

    public NetlinkAttributes(ReadOnlySpan<byte> attributes)
    {
        _rest = attributes;
        Value = default;
        Type = 0;
    }

    public ushort Type { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>Whether the bytes ended inside an attribute.</summary>
    public bool IsMalformed { get; private set; }

    public bool MoveNext()
    {
        if (_rest.Length < 4)
        {
            IsMalformed |= !_rest.IsEmpty;
            return false;
        }

        int length = MemoryMarshal.Read<ushort>(_rest);
        if (length < 4 || length > _rest.Length)
        {
            IsMalformed = true;
            return false;
        }

        Type = (ushort)(MemoryMarshal.Read<ushort>(_rest[2..]) & TypeMask);
        Value = _rest[4..length];
        int aligned = (length + 3) & ~3;
        _rest = aligned >= _rest.Length ? default : _rest[aligned..];
        return true;
    }

    /// <summary>The value as 32 bits; 0 when it is shorter.</summary>
    public readonly uint AsUInt32() => Value.Length >= 4 ? MemoryMarshal.Read<uint>(Value) : 0;

    /// <summary>The value as 32 bits; 0 when it is shorter.</summary>
    public readonly int AsInt32() => (int)AsUInt32();
}
