// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// SYN cookies (RFC 4987 3.6; D. J. Bernstein, "SYN cookies", 1996): a handshake whose state the peer keeps for us, in our
/// initial sequence number and in the low bits of our timestamp.
/// </summary>
/// <remarks>
/// The number is a keyed hash of the four-tuple, plus the peer's ISN so that ours grows when the peer's does, plus eight
/// bits of the minute, three that name the MSS, and 21 of a keyed hash over all of it. The timestamp bears what Linux'
/// bears in its six low bits: the peer's window shift and SACK; ECN is not spoken.
/// </remarks>
internal readonly struct SynCookies(ulong key0, ulong key1)
{
    /// <summary>Low bits of a timestamp that a cookie takes.</summary>
    public const int StampBits = 6;

    // Minutes, the present one included, in which a cookie is taken (Linux: MAX_SYNCOOKIE_AGE).
    private const int ValidMinutes = 2;
    private const int MinuteShift = 24;
    private const int IndexShift = 21;
    private const uint IndexMask = 7;
    private const uint CodeMask = (1u << IndexShift) - 1;
    private const uint StampMask = (1u << StampBits) - 1;
    private const uint WindowScaleMask = 15;
    private const uint NoWindowScale = 15;
    private const uint SackBit = 16;

    private readonly SipHash _hash = new(key0, key1);

    // Never more than the peer named: Linux has 536, 1300, 1440 and 1460; three bits have room for small and jumbo ones.
    private static ReadOnlySpan<ushort> SegmentSizes => [Limits.MinimumMss, 256, 536, 1300, 1400, 1440, 1460, 8960];

    /// <summary>The initial sequence number that stands for a handshake.</summary>
    /// <param name="syn">The peer's SYN.</param>
    /// <param name="now">The present.</param>
    public SeqNumber Make(in TcpSegment syn, Instant now)
    {
        int mss = syn.Options.MaximumSegmentSize == 0 ? Limits.DefaultMss : syn.Options.MaximumSegmentSize;
        int index = SegmentSizes.Length - 1;
        while (index > 0 && SegmentSizes[index] > mss)
        {
            index--;
        }

        long minute = Minute(now);
        uint code = Code(syn, syn.Sequence, minute, (uint)index);
        uint number = ((uint)minute << MinuteShift) | ((uint)index << IndexShift) | code;
        return new SeqNumber(Base(syn) + syn.Sequence.Value + number);
    }

    /// <summary>Whether an acknowledgment is of a cookie of ours, and fresh enough.</summary>
    /// <param name="ack">The segment that would end the handshake: it acknowledges the cookie and follows the SYN.</param>
    /// <param name="now">The present.</param>
    /// <param name="mss">The peer's MSS, or the next smaller one that a cookie can name, in bytes.</param>
    public bool TryRead(in TcpSegment ack, Instant now, out int mss)
    {
        SeqNumber peer = ack.Sequence - 1;
        uint number = (ack.Acknowledgment - 1).Value - Base(ack) - peer.Value;
        long minute = Minute(now);
        uint age = ((uint)minute - (number >> MinuteShift)) & 0xff;
        uint index = (number >> IndexShift) & IndexMask;
        mss = SegmentSizes[(int)index];
        return age < ValidMinutes && (number & CodeMask) == Code(ack, peer, minute - age, index);
    }

    /// <summary>The latest clock not after the present one whose low bits say what a SYN offered.</summary>
    public static uint StampOptions(uint clock, in TcpOptions offered)
    {
        uint bits = offered.WindowScale >= 0 ? (uint)Math.Min((int)offered.WindowScale, Limits.MaximumWindowShift) : NoWindowScale;
        bits |= offered.SackPermitted ? SackBit : 0;
        uint stamp = (clock & ~StampMask) | bits;
        return stamp > clock ? stamp - (StampMask + 1) : stamp;
    }

    /// <summary>Reads back what <see cref="StampOptions"/> wrote; false for bits that it never writes.</summary>
    public static bool TryReadStamp(uint stamp, ref TcpOptions options)
    {
        uint shift = stamp & WindowScaleMask;
        options.WindowScale = shift == NoWindowScale ? (sbyte)-1 : (sbyte)shift;
        options.SackPermitted = (stamp & SackBit) != 0;
        return (stamp & StampMask & ~(WindowScaleMask | SackBit)) == 0;
    }

    private static long Minute(Instant now) => now.Nanoseconds / 60_000_000_000;

    private uint Base(in TcpSegment segment) => (uint)_hash.Hash(
        segment.Destination, segment.DestinationPort, segment.Source, segment.SourcePort);

    private uint Code(in TcpSegment segment, SeqNumber peer, long minute, uint index)
    {
        ulong extra = ((ulong)minute << 35) | ((ulong)index << 32) | peer.Value;
        return CodeMask & (uint)_hash.Hash(
            segment.Destination, segment.DestinationPort, segment.Source, segment.SourcePort, extra);
    }
}
