// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>
/// The options of a TCP header, read or to be written: maximum segment size (RFC 9293 3.7.1), window scale and timestamps
/// (RFC 7323), SACK permitted and SACK (RFC 2018). <c>default</c> has none.
/// </summary>
public struct TcpOptions
{
    /// <summary>The largest window scale (RFC 7323 2.3); a larger one that was received counts as this.</summary>
    public const int MaximumWindowScale = 14;

    /// <summary>Octets that the options of one header can take.</summary>
    public const int MaximumLength = 40;

    /// <summary>Octets that timestamps take with the two NOPs that align them.</summary>
    public const int TimestampsLength = 12;

    private const byte EndKind = 0;
    private const byte NopKind = 1;
    private const byte MaximumSegmentSizeKind = 2;
    private const byte WindowScaleKind = 3;
    private const byte SackPermittedKind = 4;
    private const byte SackKind = 5;
    private const byte TimestampsKind = 8;

    private const uint MaximumSegmentSizeWord = 0x0204_0000;
    private const uint NopNopTimestampsWord = 0x0101_080A;
    private const uint SackPermittedTimestampsWord = 0x0402_080A;
    private const uint NopNopSackPermittedWord = 0x0101_0402;
    private const uint NopWindowScaleWord = 0x0103_0300;
    private const uint NopNopSackWord = 0x0101_0502;
    private const int SackBlockLength = 8;

    // One more than the shift, so that a default value has no window scale.
    private byte _windowScalePlusOne;
    private SackBlocks _sackBlocks;

    /// <summary>The largest segment that the sender of the option takes, in octets without headers; 0 if absent.</summary>
    public ushort MaximumSegmentSize { get; set; }

    /// <summary>The shift of the window field, 0..14; -1 if absent.</summary>
    public sbyte WindowScale
    {
        readonly get => (sbyte)(_windowScalePlusOne - 1);
        set => _windowScalePlusOne = (byte)(Math.Clamp((int)value, -1, MaximumWindowScale) + 1);
    }

    /// <summary>Whether the sender of the option understands SACK.</summary>
    public bool SackPermitted { get; set; }

    /// <summary>Whether <see cref="TimestampValue"/> and <see cref="TimestampEcho"/> are there.</summary>
    public bool HasTimestamps { get; set; }

    /// <summary>TSval: the sender's clock.</summary>
    public uint TimestampValue { get; set; }

    /// <summary>TSecr: the peer's clock as last received.</summary>
    public uint TimestampEcho { get; set; }

    /// <summary>How many SACK blocks there are: 0..4.</summary>
    public byte SackBlockCount { get; private set; }

    /// <summary>
    /// Octets that <see cref="Write"/> writes: a multiple of four, 0..40. SACK blocks that do not fit beside the other options are
    /// not counted.
    /// </summary>
    public readonly int WrittenLength
    {
        get
        {
            int length = LengthBeforeSack;
            int blocks = WrittenSackBlocks(length);
            return blocks == 0 ? length : length + sizeof(uint) + (blocks * SackBlockLength);
        }
    }

    private readonly int LengthBeforeSack
    {
        get
        {
            int length = MaximumSegmentSize != 0 ? sizeof(uint) : 0;
            if (HasTimestamps)
            {
                length += TimestampsLength;
            }
            else if (SackPermitted)
            {
                length += sizeof(uint);
            }

            return _windowScalePlusOne != 0 ? length + sizeof(uint) : length;
        }
    }

    /// <summary>A SACK block, the one that holds the newest segment first (RFC 2018 4).</summary>
    /// <param name="index">0 to <see cref="SackBlockCount"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such block.</exception>
    public readonly SackBlock this[int index] => GetSackBlock(index);

    /// <summary>
    /// Reads the option octets of a header. Unknown options, and known ones of the wrong length, are skipped.
    /// </summary>
    /// <returns>
    /// False if an option's length is impossible: below two or beyond the end (RFC 9293 MUST-7). What came before it is in
    /// <paramref name="options"/>, and like Linux a caller may use that.
    /// </returns>
    public static bool TryParse(ReadOnlySpan<byte> optionBytes, out TcpOptions options)
    {
        options = default;
        if (optionBytes.Length >= TimestampsLength
            && BinaryPrimitives.ReadUInt32BigEndian(optionBytes) == NopNopTimestampsWord)
        {
            // What every segment of an established connection carries, alone or before SACK.
            ulong stamps = BinaryPrimitives.ReadUInt64BigEndian(optionBytes[4..]);
            options.HasTimestamps = true;
            options.TimestampValue = (uint)(stamps >> 32);
            options.TimestampEcho = (uint)stamps;
            optionBytes = optionBytes[TimestampsLength..];
        }

        return optionBytes.IsEmpty || options.TryReadAll(optionBytes);
    }

    /// <summary>A SACK block, the one that holds the newest segment first (RFC 2018 4).</summary>
    /// <param name="index">0 to <see cref="SackBlockCount"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such block.</exception>
    public readonly SackBlock GetSackBlock(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, SackBlockCount, nameof(index));
        return _sackBlocks[index];
    }

    /// <summary>Appends a SACK block; false if there are four already.</summary>
    public bool TryAddSackBlock(SackBlock block)
    {
        if (SackBlockCount >= SackBlocks.Capacity)
        {
            return false;
        }

        _sackBlocks[SackBlockCount++] = block;
        return true;
    }

    /// <summary>Removes all SACK blocks.</summary>
    public void ClearSackBlocks() => SackBlockCount = 0;

    /// <summary>
    /// Writes the options that are present in Linux's order, each aligned to four octets with NOPs. SACK blocks that do not
    /// fit beside the others are left out.
    /// </summary>
    /// <returns>Octets written: 0..40, the same as <see cref="WrittenLength"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="destination"/> is too short.</exception>
    public readonly int Write(Span<byte> destination)
    {
        int length = 0;
        if (MaximumSegmentSize != 0)
        {
            WriteWord(destination, ref length, MaximumSegmentSizeWord | MaximumSegmentSize);
        }

        if (HasTimestamps)
        {
            WriteWord(destination, ref length, SackPermitted ? SackPermittedTimestampsWord : NopNopTimestampsWord);
            WriteWord(destination, ref length, TimestampValue);
            WriteWord(destination, ref length, TimestampEcho);
        }
        else if (SackPermitted)
        {
            WriteWord(destination, ref length, NopNopSackPermittedWord);
        }

        if (_windowScalePlusOne != 0)
        {
            WriteWord(destination, ref length, NopWindowScaleWord + _windowScalePlusOne - 1u);
        }

        int blocks = WrittenSackBlocks(length);
        if (blocks != 0)
        {
            WriteWord(destination, ref length, NopNopSackWord + (uint)(blocks * SackBlockLength));
            for (int index = 0; index < blocks; index++)
            {
                WriteWord(destination, ref length, _sackBlocks[index].Left.Value);
                WriteWord(destination, ref length, _sackBlocks[index].Right.Value);
            }
        }

        return length;
    }

    private static void WriteWord(Span<byte> destination, ref int offset, uint word)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination[offset..], word);
        offset += sizeof(uint);
    }

    private readonly int WrittenSackBlocks(int lengthBefore) =>
        Math.Min(SackBlockCount, (MaximumLength - sizeof(uint) - lengthBefore) / SackBlockLength);

    private bool TryReadAll(ReadOnlySpan<byte> octets)
    {
        while (!octets.IsEmpty)
        {
            byte kind = octets[0];
            if (kind == NopKind)
            {
                octets = octets[1..];
                continue;
            }

            if (kind == EndKind)
            {
                return true;
            }

            if (octets.Length < 2 || octets[1] < 2 || octets[1] > octets.Length)
            {
                return false;
            }

            ReadOption(kind, octets[2..octets[1]]);
            octets = octets[octets[1]..];
        }

        return true;
    }

    private void ReadOption(byte kind, ReadOnlySpan<byte> value)
    {
        switch (kind)
        {
            case MaximumSegmentSizeKind when value.Length == 2:
                MaximumSegmentSize = BinaryPrimitives.ReadUInt16BigEndian(value);
                break;
            case WindowScaleKind when value.Length == 1:
                _windowScalePlusOne = (byte)(Math.Min((int)value[0], MaximumWindowScale) + 1);
                break;
            case SackPermittedKind when value.IsEmpty:
                SackPermitted = true;
                break;
            case TimestampsKind when value.Length == 8:
                HasTimestamps = true;
                TimestampValue = BinaryPrimitives.ReadUInt32BigEndian(value);
                TimestampEcho = BinaryPrimitives.ReadUInt32BigEndian(value[4..]);
                break;
            case SackKind when value.Length % SackBlockLength == 0:
                ReadSackBlocks(value);
                break;
            default:
                // MUST-6 of RFC 9293: an option that is not known is skipped.
                break;
        }
    }

    private void ReadSackBlocks(ReadOnlySpan<byte> value)
    {
        int count = Math.Min(value.Length / SackBlockLength, SackBlocks.Capacity);
        SackBlockCount = (byte)count;
        for (int index = 0; index < count; index++)
        {
            ulong edges = BinaryPrimitives.ReadUInt64BigEndian(value[(index * SackBlockLength)..]);
            _sackBlocks[index] = new SackBlock(new SeqNumber((uint)(edges >> 32)), new SeqNumber((uint)edges));
        }
    }
}
