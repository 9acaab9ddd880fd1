// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>An IPv4 packet as received (RFC 791), its header checked.</summary>
public readonly ref struct Ipv4View
{
    private const int DontFragmentBit = 0x4000;
    private const int MoreFragmentsBit = 0x2000;
    private const int FragmentOffsetMask = 0x1FFF;

    /// <summary>Exactly the packet: link padding is cut off.</summary>
    private readonly ReadOnlySpan<byte> _packet;

    private Ipv4View(ReadOnlySpan<byte> packet) => _packet = packet;

    /// <summary>Octets of header, options included: 20..60.</summary>
    public int HeaderLength => (_packet[0] & 0x0F) * 4;

    /// <summary>Octets of header and payload.</summary>
    public int TotalLength => _packet.Length;

    /// <summary>The former type of service octet: DSCP (RFC 2474) and ECN.</summary>
    public byte Tos => _packet[1];

    /// <summary>The ECN field (RFC 3168): 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.</summary>
    public byte Ecn => (byte)(_packet[1] & 0x03);

    /// <summary>Groups the fragments of one packet.</summary>
    public ushort Identification => BinaryPrimitives.ReadUInt16BigEndian(_packet[4..]);

    /// <summary>Whether routers must not fragment the packet.</summary>
    public bool DontFragment => (FragmentField & DontFragmentBit) != 0;

    /// <summary>Whether this is a fragment and not the last.</summary>
    public bool MoreFragments => (FragmentField & MoreFragmentsBit) != 0;

    /// <summary>Where this fragment's payload belongs, in octets.</summary>
    public int FragmentOffset => (FragmentField & FragmentOffsetMask) * 8;

    /// <summary>Whether this is only a part of a packet.</summary>
    public bool IsFragment => (FragmentField & (MoreFragmentsBit | FragmentOffsetMask)) != 0;

    /// <summary>Remaining hops.</summary>
    public byte Ttl => _packet[8];

    /// <summary>What the payload is.</summary>
    public IpProtocol Protocol => (IpProtocol)_packet[9];

    /// <summary>The sender.</summary>
    public IpAddress Source => IpAddress.ReadIpv4(_packet[12..]);

    /// <summary>The receiver.</summary>
    public IpAddress Destination => IpAddress.ReadIpv4(_packet[16..]);

    /// <summary>The raw options, 0..40 octets.</summary>
    public ReadOnlySpan<byte> Options => _packet[Ipv4Header.MinimumLength..HeaderLength];

    /// <summary>The upper-layer octets, without link padding.</summary>
    public ReadOnlySpan<byte> Payload => _packet[HeaderLength..];

    private ushort FragmentField => BinaryPrimitives.ReadUInt16BigEndian(_packet[6..]);

    /// <summary>
    /// Reads a packet and checks version, lengths and the header checksum. Octets beyond the total length are ignored
    /// (RFC 1122 3.2.1).
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> packet, out Ipv4View view, out WireError error)
    {
        error = TryReadLengths(packet, out int headerLength, out int totalLength);
        if (error == WireError.None && Checksum.Finish(Checksum.Sum(packet[..headerLength])) != 0)
        {
            error = WireError.BadChecksum;
        }

        view = error == WireError.None ? new Ipv4View(packet[..totalLength]) : default;
        return error == WireError.None;
    }

    /// <summary>
    /// Reads the start of a packet quoted in an ICMP error (RFC 792): the header must be whole, the payload may be cut and
    /// the checksum is not verified, because routers on the way may have changed the header.
    /// </summary>
    public static bool TryParseQuoted(ReadOnlySpan<byte> quote, out Ipv4View view)
    {
        WireError error = TryReadLengths(quote, out int headerLength, out int totalLength);
        bool valid = error is WireError.None || (error is WireError.BadTotalLength && totalLength > quote.Length);
        valid = valid && headerLength <= quote.Length;
        view = valid ? new Ipv4View(quote[..Math.Min(totalLength, quote.Length)]) : default;
        return valid;
    }

    private static WireError TryReadLengths(ReadOnlySpan<byte> packet, out int headerLength, out int totalLength)
    {
        headerLength = 0;
        totalLength = 0;
        if (packet.Length < Ipv4Header.MinimumLength)
        {
            return WireError.TooShort;
        }

        if (packet[0] >> 4 != Ipv4Header.Version)
        {
            return WireError.BadVersion;
        }

        headerLength = (packet[0] & 0x0F) * 4;
        if (headerLength < Ipv4Header.MinimumLength || headerLength > packet.Length)
        {
            return WireError.BadHeaderLength;
        }

        totalLength = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        bool fits = totalLength >= headerLength && totalLength <= packet.Length;
        return fits ? WireError.None : WireError.BadTotalLength;
    }
}

/// <summary>Writes IPv4 headers without options.</summary>
public static class Ipv4Header
{
    /// <summary>Octets of a header without options.</summary>
    public const int MinimumLength = 20;

    /// <summary>Octets of a header with as many options as fit.</summary>
    public const int MaximumLength = 60;

    /// <summary>The version field of RFC 791.</summary>
    internal const int Version = 4;

    /// <summary>Version 4 and a header of five 32-bit words.</summary>
    private const uint VersionAndLength = 0x4500_0000;

    /// <summary>Writes a header of 20 octets, its checksum included.</summary>
    /// <param name="dst">Room for the header.</param>
    /// <param name="source">An IPv4 address.</param>
    /// <param name="destination">An IPv4 address.</param>
    /// <param name="protocol">What follows.</param>
    /// <param name="payloadLength">Octets that follow: 0..65515.</param>
    /// <param name="identification">Groups fragments; any value if <paramref name="dontFragment"/> (RFC 6864).</param>
    /// <param name="ttl">Hops, at least 1.</param>
    /// <param name="tos">DSCP and ECN.</param>
    /// <param name="dontFragment">Whether routers must not fragment the packet.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is not enough room.</exception>
    public static void Write(
        Span<byte> dst,
        in IpAddress source,
        in IpAddress destination,
        IpProtocol protocol,
        int payloadLength,
        ushort identification,
        byte ttl,
        byte tos,
        bool dontFragment)
    {
        // The header is five 32-bit words. They are put together in registers, summed there, and stored once.
        uint first = VersionAndLength | ((uint)tos << 16) | (ushort)(MinimumLength + payloadLength);
        uint second = ((uint)identification << 16) | (dontFragment ? 0x4000u : 0);
        uint third = ((uint)ttl << 24) | ((uint)protocol << 16);
        uint from = source.ToIpv4();
        uint to = destination.ToIpv4();
        ulong wide = (ulong)first + second + third + from + to;
        uint sum = Checksum.Combine((uint)wide, (uint)(wide >> 32));

        dst = dst[..MinimumLength];
        BinaryPrimitives.WriteUInt64BigEndian(dst, ((ulong)first << 32) | second);
        BinaryPrimitives.WriteUInt64BigEndian(dst[8..], ((ulong)(third | Checksum.Finish(sum)) << 32) | from);
        BinaryPrimitives.WriteUInt32BigEndian(dst[16..], to);
    }
}
