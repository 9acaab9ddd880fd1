// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Pronghorn.Wire;

/// <summary>A TCP segment as received (RFC 9293 3.1).</summary>
public readonly ref struct TcpView
{
    /// <summary>What an ICMP error quotes of a segment at least (RFC 792): ports and sequence number.</summary>
    public const int QuotedLength = 8;

    private readonly ReadOnlySpan<byte> _segment;
    private readonly TcpOptions _options;

    private TcpView(ReadOnlySpan<byte> segment, int headerLength)
    {
        _segment = segment;
        HasMalformedOptions = !TcpOptions.TryParse(segment[TcpHeader.MinimumLength..headerLength], out _options);
    }

    /// <summary>The sender's port.</summary>
    public ushort SourcePort => BinaryPrimitives.ReadUInt16BigEndian(_segment);

    /// <summary>The receiver's port.</summary>
    public ushort DestinationPort => BinaryPrimitives.ReadUInt16BigEndian(_segment[2..]);

    /// <summary>SEG.SEQ: the number of the first data octet, or of the SYN.</summary>
    public SeqNumber Sequence => new(BinaryPrimitives.ReadUInt32BigEndian(_segment[4..]));

    /// <summary>SEG.ACK: the next number that the sender expects; only with <see cref="TcpFlags.Ack"/>.</summary>
    public SeqNumber Acknowledgment => new(BinaryPrimitives.ReadUInt32BigEndian(_segment[8..]));

    /// <summary>Octets of header, options included: 20..60.</summary>
    public int HeaderLength => (_segment[12] >> 4) * 4;

    /// <summary>The control bits.</summary>
    public TcpFlags Flags => (TcpFlags)_segment[13];

    /// <summary>SEG.WND as it stands in the header: not scaled.</summary>
    public ushort Window => BinaryPrimitives.ReadUInt16BigEndian(_segment[14..]);

    /// <summary>The checksum as it stands in the header; see <see cref="HasValidChecksum"/>.</summary>
    public ushort Checksum => BinaryPrimitives.ReadUInt16BigEndian(_segment[16..]);

    /// <summary>SEG.UP; only with <see cref="TcpFlags.Urg"/>.</summary>
    public ushort UrgentPointer => BinaryPrimitives.ReadUInt16BigEndian(_segment[18..]);

    /// <summary>The raw option octets.</summary>
    public ReadOnlySpan<byte> Options => _segment[TcpHeader.MinimumLength..HeaderLength];

    /// <summary>The options read; those before the malformed one if <see cref="HasMalformedOptions"/>.</summary>
    public TcpOptions ParsedOptions => _options;

    /// <summary>
    /// Whether an option's length was impossible. RFC 9293 MUST-7 suggests a reset; Linux uses the options before it and takes
    /// the segment, and so does <see cref="TryParse"/>.
    /// </summary>
    public bool HasMalformedOptions { get; }

    /// <summary>The data.</summary>
    public ReadOnlySpan<byte> Payload => _segment[HeaderLength..];

    /// <summary>Reads a segment: the whole payload of an IP packet. The checksum is not verified here.</summary>
    public static bool TryParse(ReadOnlySpan<byte> segment, out TcpView view, out WireError error)
    {
        if (segment.Length < TcpHeader.MinimumLength)
        {
            view = default;
            error = WireError.TooShort;
            return false;
        }

        int headerLength = (segment[12] >> 4) * 4;
        if (headerLength < TcpHeader.MinimumLength || headerLength > segment.Length)
        {
            view = default;
            error = WireError.BadHeaderLength;
            return false;
        }

        view = new TcpView(segment, headerLength);
        error = WireError.None;
        return true;
    }

    /// <summary>Reads the first octets of a segment, as an ICMP error quotes them; false if there are fewer than eight.</summary>
    public static bool TryParseQuoted(
        ReadOnlySpan<byte> quote,
        out ushort sourcePort,
        out ushort destinationPort,
        out SeqNumber sequence)
    {
        bool valid = quote.Length >= QuotedLength;
        ulong octets = valid ? BinaryPrimitives.ReadUInt64BigEndian(quote) : 0;
        sourcePort = (ushort)(octets >> 48);
        destinationPort = (ushort)(octets >> 32);
        sequence = new SeqNumber((uint)octets);
        return valid;
    }

    /// <summary>Whether the checksum over pseudo header, header and data is right.</summary>
    /// <param name="source">The sender in the IP header.</param>
    /// <param name="destination">The receiver in the IP header.</param>
    public bool HasValidChecksum(in IpAddress source, in IpAddress destination)
    {
        uint pseudo = Wire.Checksum.PseudoHeader(source, destination, (byte)IpProtocol.Tcp, _segment.Length);
        return Wire.Checksum.Finish(Wire.Checksum.Sum(_segment, pseudo)) == 0;
    }

    /// <summary>Copies everything but the data and the checksum.</summary>
    public TcpHeader ToHeader() => new()
    {
        SourcePort = SourcePort,
        DestinationPort = DestinationPort,
        Sequence = Sequence,
        Acknowledgment = Acknowledgment,
        Flags = Flags,
        Window = Window,
        UrgentPointer = UrgentPointer,
        Options = _options,
    };
}

/// <summary>The fields of a TCP header (RFC 9293 3.1), to be written or copied out of a segment.</summary>
public struct TcpHeader
{
    /// <summary>Octets of a header without options.</summary>
    public const int MinimumLength = 20;

    /// <summary>Octets of a header with as many options as fit.</summary>
    public const int MaximumLength = 60;

    /// <summary>Where the checksum stands.</summary>
    public const int ChecksumOffset = 16;

    /// <summary>The options; a field, so that one of them can be set in place.</summary>
    [SuppressMessage("Design", "CA1051", Justification = "A property would hand out a copy, so no option could be set.")]
    public TcpOptions Options;

    /// <summary>The sender's port.</summary>
    public ushort SourcePort { get; set; }

    /// <summary>The receiver's port.</summary>
    public ushort DestinationPort { get; set; }

    /// <summary>SEG.SEQ: the number of the first data octet, or of the SYN.</summary>
    public SeqNumber Sequence { get; set; }

    /// <summary>SEG.ACK: the next number that the sender expects; only with <see cref="TcpFlags.Ack"/>.</summary>
    public SeqNumber Acknowledgment { get; set; }

    /// <summary>The control bits.</summary>
    public TcpFlags Flags { get; set; }

    /// <summary>SEG.WND as it stands in the header: not scaled.</summary>
    public ushort Window { get; set; }

    /// <summary>SEG.UP; only with <see cref="TcpFlags.Urg"/>.</summary>
    public ushort UrgentPointer { get; set; }

    /// <summary>Octets that <see cref="Write"/> writes: 20..60.</summary>
    public readonly int HeaderLength => MinimumLength + Options.WrittenLength;

    /// <summary>
    /// Computes and stores the checksum of a segment that stands complete in memory, whatever its checksum field held.
    /// </summary>
    /// <param name="segment">Header and data, at least 20 octets.</param>
    /// <param name="source">The sender in the IP header.</param>
    /// <param name="destination">The receiver in the IP header.</param>
    /// <exception cref="ArgumentOutOfRangeException">The segment is shorter than a header.</exception>
    public static void WriteChecksum(Span<byte> segment, in IpAddress source, in IpAddress destination)
    {
        Span<byte> field = segment[ChecksumOffset..];
        BinaryPrimitives.WriteUInt16BigEndian(field, 0);
        uint pseudo = Checksum.PseudoHeader(source, destination, (byte)IpProtocol.Tcp, segment.Length);
        BinaryPrimitives.WriteUInt16BigEndian(field, Checksum.Finish(Checksum.Sum(segment, pseudo)));
    }

    /// <summary>Writes header and options at the start of <paramref name="destination"/>, the checksum field 0.</summary>
    /// <returns>Octets written: where the data begin.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is not enough room.</exception>
    public readonly int Write(Span<byte> destination)
    {
        int length = MinimumLength + Options.Write(destination[MinimumLength..]);
        ulong ports = ((ulong)SourcePort << 48) | ((ulong)DestinationPort << 32);
        ulong control = ((ulong)(uint)(length / 4) << 28) | ((ulong)Flags << 16) | Window;
        BinaryPrimitives.WriteUInt64BigEndian(destination, ports | Sequence.Value);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], ((ulong)Acknowledgment.Value << 32) | control);
        BinaryPrimitives.WriteUInt32BigEndian(destination[16..], UrgentPointer);
        return length;
    }
}
