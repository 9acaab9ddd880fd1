// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class TcpTests
{
    private static readonly IpAddress s_source = IpAddress.Parse("192.0.2.1");
    private static readonly IpAddress s_destination = IpAddress.Parse("192.0.2.2");

    [Fact]
    public void Header_Written_HasTheOctetsComputedByHand()
    {
        var header = new TcpHeader
        {
            SourcePort = 0x1234,
            DestinationPort = 6379,
            Sequence = new SeqNumber(0x01020304),
            Acknowledgment = new SeqNumber(0xA0B0C0D0),
            Flags = TcpFlags.Ack | TcpFlags.Psh,
            Window = 0xFFEE,
            UrgentPointer = 5,
        };
        byte[] segment = new byte[20];

        Assert.Equal(20, header.Write(segment));
        Assert.Equal("123418EB01020304A0B0C0D05018FFEE00000005", Convert.ToHexString(segment));
    }

    [Property(MaxTest = 500)]
    public bool Segment_WrittenAndRead_IsTheSame(
        ushort source, ushort destination, uint sequence, uint acknowledgment, byte flags, ushort window, byte[] data)
    {
        var header = new TcpHeader
        {
            SourcePort = source,
            DestinationPort = destination,
            Sequence = new SeqNumber(sequence),
            Acknowledgment = new SeqNumber(acknowledgment),
            Flags = (TcpFlags)flags,
            Window = window,
            UrgentPointer = (ushort)(window ^ source),
        };
        header.Options.HasTimestamps = true;
        header.Options.TimestampEcho = sequence ^ 5;
        header.Options.MaximumSegmentSize = (ushort)(data.Length % 3);
        byte[] segment = new byte[header.HeaderLength + data.Length];
        int length = header.Write(segment);
        data.CopyTo(segment, length);
        TcpHeader.WriteChecksum(segment, s_source, s_destination);

        bool readable = TcpView.TryParse(segment, out TcpView view, out WireError error);
        TcpHeader copy = view.ToHeader();
        byte[] again = new byte[length];
        copy.Write(again);
        segment.AsSpan(16, 2).CopyTo(again.AsSpan(16));

        return readable && error == WireError.None && length == header.HeaderLength
            && view.SourcePort == source && view.DestinationPort == destination
            && view.Sequence.Value == sequence && view.Acknowledgment.Value == acknowledgment
            && view.Flags == (TcpFlags)flags && view.Window == window && view.UrgentPointer == header.UrgentPointer
            && view.HeaderLength == length && view.Options.Length == length - 20 && !view.HasMalformedOptions
            && view.ParsedOptions.TimestampEcho == (sequence ^ 5)
            && view.Payload.SequenceEqual(data) && again.AsSpan().SequenceEqual(segment.AsSpan(0, length))
            && view.HasValidChecksum(s_source, s_destination);
    }

    [Fact]
    public void Segment_WithAnyBitFlipped_FailsItsChecksum()
    {
        byte[] segment = new byte[33];
        new TcpHeader { SourcePort = 1, DestinationPort = 2, Flags = TcpFlags.Ack }.Write(segment);
        segment.AsSpan(20).Fill(0x5A);
        TcpHeader.WriteChecksum(segment, s_source, s_destination);
        for (int bit = 0; bit < segment.Length * 8; bit++)
        {
            segment[bit / 8] ^= (byte)(1 << (bit % 8));
            bool readable = TcpView.TryParse(segment, out TcpView view, out _);
            Assert.False(readable && view.HasValidChecksum(s_source, s_destination));
            segment[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Assert.True(TcpView.TryParse(segment, out TcpView whole, out _));
        Assert.True(whole.HasValidChecksum(s_source, s_destination));
        Assert.False(whole.HasValidChecksum(s_source, IpAddress.Parse("192.0.2.3")));
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0x40)]
    [InlineData(0x60)]
    [InlineData(0xF0)]
    public void DataOffset_OutsideTheSegment_IsRefused(byte offsetOctet)
    {
        byte[] segment = new byte[20];
        segment[12] = offsetOctet;
        Assert.False(TcpView.TryParse(segment, out _, out WireError error));
        Assert.Equal(WireError.BadHeaderLength, error);
    }

    [Fact]
    public void Segment_TruncatedInItsHeader_IsRefused()
    {
        var header = new TcpHeader();
        header.Options.HasTimestamps = true;
        byte[] segment = new byte[header.HeaderLength];
        header.Write(segment);
        for (int length = 0; length < segment.Length; length++)
        {
            Assert.False(TcpView.TryParse(segment.AsSpan(0, length), out _, out WireError error));
            Assert.Equal(length < 20 ? WireError.TooShort : WireError.BadHeaderLength, error);
        }
    }

    [Fact]
    public void Segment_WithMalformedOptions_IsReadLikeLinuxDoes()
    {
        byte[] segment = new byte[28];
        segment[12] = 0x70;
        byte[] options = [2, 4, 5, 0xB4, 8, 0, 0, 0];
        options.CopyTo(segment, 20);
        Assert.True(TcpView.TryParse(segment, out TcpView view, out _));
        Assert.True(view.HasMalformedOptions);
        Assert.Equal(1460, view.ParsedOptions.MaximumSegmentSize);
    }

    [Fact]
    public void Quote_OfAnIcmpError_GivesPortsAndSequence()
    {
        byte[] quote = Convert.FromHexString("123418EB01020304");
        Assert.True(TcpView.TryParseQuoted(quote, out ushort source, out ushort destination, out SeqNumber sequence));
        Assert.Equal((0x1234, 6379, 0x01020304u), (source, destination, sequence.Value));
        Assert.False(TcpView.TryParseQuoted(quote.AsSpan(1), out _, out _, out _));
    }
}
