// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Pronghorn.Linux.Interop;

/// <summary>A name of at most 15 bytes, zero-terminated, held in place: interfaces, link kinds, BPF programs.</summary>
[InlineArray(Capacity)]
public struct InterfaceName : IEquatable<InterfaceName>
{
    /// <summary>Bytes held, the terminating zero included (IFNAMSIZ).</summary>
    public const int Capacity = 16;

    private byte _first;

    /// <summary>Whether two names are the same.</summary>
    public static bool operator ==(InterfaceName left, InterfaceName right) => left.Equals(right);

    /// <summary>Whether two names differ.</summary>
    public static bool operator !=(InterfaceName left, InterfaceName right) => !left.Equals(right);

    /// <summary>Makes a name from text.</summary>
    /// <returns>False when the text is empty, longer than 15 bytes in UTF-8, or has a zero, a space or a slash in it.</returns>
    public static bool TryCreate(ReadOnlySpan<char> text, out InterfaceName name)
    {
        name = default;
        if (text.IsEmpty || text.IndexOfAny('\0', ' ', '/') >= 0 || Encoding.UTF8.GetByteCount(text) >= Capacity)
        {
            return false;
        }

        Encoding.UTF8.GetBytes(text, name);
        return true;
    }

    /// <summary>Makes a name from bytes up to the first zero or the fifteenth byte.</summary>
    public static InterfaceName FromBytes(ReadOnlySpan<byte> bytes)
    {
        InterfaceName name = default;
        int length = bytes.IndexOf((byte)0);
        length = Math.Min(length < 0 ? bytes.Length : length, Capacity - 1);
        bytes[..length].CopyTo(name);
        return name;
    }

    /// <summary>Whether the name is the given bytes.</summary>
    public readonly bool Equals(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> own = this;
        int length = own.IndexOf((byte)0);
        return own[..(length < 0 ? Capacity : length)].SequenceEqual(bytes);
    }

    /// <inheritdoc/>
    public readonly bool Equals(InterfaceName other) => ((ReadOnlySpan<byte>)this).SequenceEqual(other);

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is InterfaceName other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode()
    {
        ReadOnlySpan<byte> own = this;
        return HashCode.Combine(MemoryMarshal.Read<ulong>(own), MemoryMarshal.Read<ulong>(own[8..]));
    }

    /// <summary>The name as text. Allocates.</summary>
    public override readonly string ToString()
    {
        ReadOnlySpan<byte> own = this;
        int length = own.IndexOf((byte)0);
        return Encoding.UTF8.GetString(own[..(length < 0 ? Capacity : length)]);
    }
}
