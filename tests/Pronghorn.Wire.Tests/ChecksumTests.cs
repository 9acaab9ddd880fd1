// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class ChecksumTests
{
    [Fact]
    public void ExampleOfRfc1071_Summed_GivesItsResult()
    {
        byte[] data = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7];
        Assert.Equal(0xDDF2, Checksum.Fold(Checksum.Sum(data)));
        Assert.Equal(0x220D, Checksum.Finish(Checksum.Sum(data)));
    }

    [Fact]
    public void EveryLengthAndAlignment_Summed_EqualsTheScalarReference()
    {
        byte[] data = new byte[512];
        new Random(1071).NextBytes(data);
        for (int offset = 0; offset < 8; offset++)
        {
            for (int length = 0; length <= 300; length++)
            {
                ReadOnlySpan<byte> piece = data.AsSpan(offset, length);
                Assert.Equal(Reference(piece), Checksum.Fold(Checksum.Sum(piece)));
                Assert.Equal(Reference(piece, 0xFFFF_FFFF), Checksum.Fold(Checksum.Sum(piece, 0xFFFF_FFFF)));
            }
        }
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0xFF)]
    public void LargestPacket_OfOneOctet_DoesNotOverflow(byte octet)
    {
        byte[] data = new byte[65535];
        data.AsSpan().Fill(octet);
        Assert.Equal(Reference(data), Checksum.Fold(Checksum.Sum(data)));
    }

    [Property]
    public bool Data_CutAtAnyEvenPlace_SumsToTheSame(byte[] data, ushort place)
    {
        int cut = data.Length == 0 ? 0 : place % data.Length & ~1;
        uint whole = Checksum.Sum(data);
        uint chained = Checksum.Sum(data.AsSpan(cut), Checksum.Sum(data.AsSpan(0, cut)));
        uint combined = Checksum.Combine(Checksum.Sum(data.AsSpan(0, cut)), Checksum.Sum(data.AsSpan(cut)));
        return Checksum.Fold(whole) == Checksum.Fold(chained) && Checksum.Fold(whole) == Checksum.Fold(combined);
    }

    [Property(MaxTest = 500)]
    public bool Word_Changed_UpdatesLikeAFullSum(byte[] data, ushort newWord, ushort place)
    {
        byte[] message = new byte[data.Length + 4 & ~1];
        data.AsSpan(0, Math.Min(data.Length, message.Length)).CopyTo(message);
        int index = place % (message.Length / 2) * 2;
        ushort before = Checksum.Finish(Checksum.Sum(message));
        ushort oldWord = BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(index));
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(index), newWord);

        return SameOnTheWire(Checksum.Finish(Checksum.Sum(message)), Checksum.Update(before, oldWord, newWord));
    }

    [Property(MaxTest = 500)]
    public bool Field_Of32BitsChanged_UpdatesLikeTwoWords(ushort checksum, uint oldValue, uint newValue)
    {
        ushort high = Checksum.Update(checksum, (ushort)(oldValue >> 16), (ushort)(newValue >> 16));
        ushort both = Checksum.Update(high, (ushort)oldValue, (ushort)newValue);
        return SameOnTheWire(both, Checksum.Update32(checksum, oldValue, newValue));
    }

    [Fact]
    public void ExampleOfRfc1624_Updated_GivesZeroAndNotItsComplement()
    {
        // RFC 1624 section 4: 0xDD2F with the word 0x5555 changed to 0x3285 must become 0x0000.
        Assert.Equal(0x0000, Checksum.Update(0xDD2F, 0x5555, 0x3285));
        Assert.Equal(0x0000, Checksum.Update32(0xDD2F, 0x5555, 0x3285));
    }

    [Theory]
    [InlineData(0x0000)]
    [InlineData(0x1234)]
    public void Checksum_UpdatedWithTheSameWord_StaysTheSame(ushort word)
    {
        Assert.Equal(0x0000, Checksum.Update(0x0000, word, word));
        Assert.Equal(0xBEEF, Checksum.Update(0xBEEF, word, word));
    }

    [Fact]
    public void PseudoHeader_OfIpv4_EqualsItsOctets()
    {
        IpAddress source = IpAddress.Parse("192.0.2.1");
        IpAddress destination = IpAddress.Parse("198.51.100.255");
        byte[] octets = [192, 0, 2, 1, 198, 51, 100, 255, 0, 6, 0xFF, 0xFF];
        Assert.Equal(
            Checksum.Fold(Checksum.Sum(octets)),
            Checksum.Fold(Checksum.PseudoHeader(source, destination, 6, 0xFFFF)));
    }

    [Property]
    public bool PseudoHeader_OfIpv6_EqualsItsOctets(ulong high, ulong low, ulong otherHigh, ulong otherLow, ushort length)
    {
        var source = new IpAddress(high | 1, low);
        var destination = new IpAddress(otherHigh | 1, otherLow);
        byte[] octets = new byte[40];
        source.WriteIpv6(octets);
        destination.WriteIpv6(octets.AsSpan(16));
        BinaryPrimitives.WriteUInt32BigEndian(octets.AsSpan(32), length + 70000u);
        octets[39] = 58;
        uint sum = Checksum.PseudoHeader(source, destination, 58, length + 70000);
        return Checksum.Fold(Checksum.Sum(octets)) == Checksum.Fold(sum);
    }

    /// <summary>The loop of RFC 1071 4.1, one 16-bit word at a time.</summary>
    private static ushort Reference(ReadOnlySpan<byte> data, ulong sum = 0)
    {
        for (int index = 0; index < data.Length; index++)
        {
            sum += index % 2 == 0 ? (ulong)data[index] << 8 : data[index];
        }

        while (sum >> 16 != 0)
        {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }

    /// <summary>0x0000 and 0xFFFF are the same number; only an all-zero message makes the difference.</summary>
    private static bool SameOnTheWire(ushort left, ushort right) => left % 0xFFFF == right % 0xFFFF;
}
