// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>An Ethernet II frame as received, without frame check sequence.</summary>
public readonly ref struct EthernetView
{
    /// <summary>Octets before the payload.</summary>
    public const int HeaderLength = 14;

    private readonly ReadOnlySpan<byte> _frame;

    private EthernetView(ReadOnlySpan<byte> frame) => _frame = frame;

    /// <summary>The station that the frame is sent to.</summary>
    public MacAddress Destination => MacAddress.Read(_frame);

    /// <summary>The station that sent the frame.</summary>
    public MacAddress Source => MacAddress.Read(_frame[MacAddress.Length..]);

    /// <summary>What the payload is; a value below 0x0600 is an IEEE 802.3 length instead.</summary>
    public EtherType Type => (EtherType)BinaryPrimitives.ReadUInt16BigEndian(_frame[12..]);

    /// <summary>All octets after the header, padding to the minimum frame length included.</summary>
    public ReadOnlySpan<byte> Payload => _frame[HeaderLength..];

    /// <summary>Reads a frame; false if it is shorter than a header.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, out EthernetView view)
    {
        bool valid = frame.Length >= HeaderLength;
        view = valid ? new EthernetView(frame) : default;
        return valid;
    }
}

/// <summary>Writes Ethernet II headers.</summary>
public static class EthernetHeader
{
    /// <summary>Octets that <see cref="Write"/> writes.</summary>
    public const int Length = EthernetView.HeaderLength;

    /// <summary>Writes the 14 octets at the start of <paramref name="destination"/>.</summary>
    /// <param name="destination">Room for the header.</param>
    /// <param name="dst">The station that the frame goes to.</param>
    /// <param name="src">The sending station.</param>
    /// <param name="type">What follows the header.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is not enough room.</exception>
    public static void Write(Span<byte> destination, MacAddress dst, MacAddress src, EtherType type)
    {
        // Both addresses in two stores; the last part first, so that a short destination is left untouched.
        BinaryPrimitives.WriteUInt16BigEndian(destination[12..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(destination, (dst.Value << 16) | (src.Value >> 32));
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], (uint)src.Value);
    }
}
