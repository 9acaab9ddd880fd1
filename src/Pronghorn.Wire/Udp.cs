// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>A UDP datagram as received (RFC 768).</summary>
public readonly ref struct UdpView
{
    /// <summary>Exactly the datagram: octets beyond its length field are cut off.</summary>
    private readonly ReadOnlySpan<byte> _datagram;

    private UdpView(ReadOnlySpan<byte> datagram) => _datagram = datagram;

    /// <summary>The sender's port; 0 if it expects no answer.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_datagram);

    /// <summary>The receiver's port.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_datagram[2..]);

    /// <summary>Octets of header and data.</summary>
    public int Length => _datagram.Length;

    /// <summary>The checksum as it stands in the header; 0 if the sender made none.</summary>
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_datagram[6..]);

    /// <summary>The data.</summary>
    public ReadOnlySpan<byte> Payload => _datagram[UdpHeader.Length..];

    /// <summary>Reads the payload of an IP packet. The checksum is not verified here.</summary>
    public static bool TryParse(ReadOnlySpan<byte> datagram, out UdpView view, out WireError error)
    {
        view = default;
        if (datagram.Length < UdpHeader.Length)
        {
            error = WireError.TooShort;
            return false;
        }

        int length = BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]);
        if (length < UdpHeader.Length || length > datagram.Length)
        {
            error = WireError.BadTotalLength;
            return false;
        }

        view = new UdpView(datagram[..length]);
        error = WireError.None;
        return true;
    }

    /// <summary>
    /// Whether the checksum is right. Over IPv4 none at all is right too (RFC 1122 4.1.3.4); over IPv6 it is not (RFC 8200 8.1).
    /// </summary>
    /// <param name="source">The sender in the IP header.</param>
    /// <param name="destination">The receiver in the IP header.</param>
    public bool HasValidChecksum(in IpAddress source, in IpAddress destination)
    {
        if (Checksum == 0)
        {
            return source.IsIpv4;
        }

        uint pseudo = Wire.Checksum.PseudoHeader(source, destination, (byte)IpProtocol.Udp, _datagram.Length);
        return Wire.Checksum.Finish(Wire.Checksum.Sum(_datagram, pseudo)) == 0;
    }
}

/// <summary>Writes UDP headers.</summary>
public static class UdpHeader
{
    /// <summary>Octets of a header.</summary>
    public const int Length = 8;

    /// <summary>Writes the header in front of data that stand in place already, its checksum included.</summary>
    /// <param name="datagram">Eight octets of room, then the data: 8..65535 octets.</param>
    /// <param name="source">The sender in the IP header.</param>
    /// <param name="destination">The receiver in the IP header.</param>
    /// <param name="sourcePort">The sender's port.</param>
    /// <param name="destinationPort">The receiver's port.</param>
    /// <exception cref="ArgumentOutOfRangeException">The datagram is too short or too long.</exception>
    public static void Write(
        Span<byte> datagram,
        in IpAddress source,
        in IpAddress destination,
        ushort sourcePort,
        ushort destinationPort)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(datagram.Length, Length, nameof(datagram));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(datagram.Length, ushort.MaxValue, nameof(datagram));
        ulong ports = ((ulong)sourcePort << 48) | ((ulong)destinationPort << 32);
        BinaryPrimitives.WriteUInt64BigEndian(datagram, ports | ((ulong)(uint)datagram.Length << 16));
        uint pseudo = Checksum.PseudoHeader(source, destination, (byte)IpProtocol.Udp, datagram.Length);
        ushort checksum = Checksum.Finish(Checksum.Sum(datagram, pseudo));

        // 0 means "no checksum"; its other representation says the same sum (RFC 768).
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], checksum == 0 ? ushort.MaxValue : checksum);
    }
}
