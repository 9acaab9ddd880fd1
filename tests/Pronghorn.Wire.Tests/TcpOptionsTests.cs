// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class TcpOptionsTests
{
    [Fact]
    public void NoOptions_Written_TakeNoOctets()
    {
        TcpOptions options = default;
        Assert.Equal(-1, options.WindowScale);
        Assert.Equal(0, options.WrittenLength);
        Assert.Equal(0, options.Write([]));
        Assert.True(TcpOptions.TryParse([], out TcpOptions parsed));
        Assert.Equal(-1, parsed.WindowScale);
    }

    [Fact]
    public void OptionsOfASyn_Written_StandInTheOrderOfLinux()
    {
        var options = new TcpOptions
        {
            MaximumSegmentSize = 1460,
            SackPermitted = true,
            HasTimestamps = true,
            TimestampValue = 0x01020304,
            WindowScale = 7,
        };

        Assert.Equal("020405B4" + "0402080A0102030400000000" + "01030307", Written(options));
    }

    [Fact]
    public void OptionsOfASyn_WithoutTimestamps_AreAlignedByNops()
    {
        var options = new TcpOptions { MaximumSegmentSize = 536, SackPermitted = true, WindowScale = 0 };
        Assert.Equal("02040218" + "01010402" + "01030300", Written(options));
    }

    [Fact]
    public void TimestampsAndSack_Written_FollowTwoNopsEach()
    {
        var options = new TcpOptions { HasTimestamps = true, TimestampValue = 1, TimestampEcho = 2 };
        Assert.True(options.TryAddSackBlock(new SackBlock(new SeqNumber(3), new SeqNumber(4))));
        Assert.Equal("0101080A0000000100000002" + "0101050A0000000300000004", Written(options));
    }

    [Property(MaxTest = 1000)]
    public bool Options_WrittenAndRead_AreTheSame(
        ushort segmentSize, sbyte scale, bool sackPermitted, bool stamps, uint value, uint echo, byte sackBlocks)
    {
        var options = new TcpOptions
        {
            MaximumSegmentSize = segmentSize,
            WindowScale = scale,
            SackPermitted = sackPermitted,
            HasTimestamps = stamps,
            TimestampValue = stamps ? value : 0,
            TimestampEcho = stamps ? echo : 0,
        };
        for (uint block = 0; block < sackBlocks % 5; block++)
        {
            options.TryAddSackBlock(new SackBlock(new SeqNumber(value + block), new SeqNumber(echo - block)));
        }

        Span<byte> octets = stackalloc byte[TcpOptions.MaximumLength];
        int length = options.Write(octets);
        bool readable = TcpOptions.TryParse(octets[..length], out TcpOptions read);
        bool blocksEqual = read.SackBlockCount <= options.SackBlockCount;
        for (int block = 0; block < read.SackBlockCount; block++)
        {
            blocksEqual &= read[block] == options[block];
        }

        return readable && length == options.WrittenLength && length % 4 == 0 && length <= 40
            && read.MaximumSegmentSize == options.MaximumSegmentSize && read.WindowScale == options.WindowScale
            && read.SackPermitted == options.SackPermitted && read.HasTimestamps == options.HasTimestamps
            && read.TimestampValue == options.TimestampValue && read.TimestampEcho == options.TimestampEcho && blocksEqual;
    }

    [Theory]
    [InlineData(false, 4)]
    [InlineData(true, 3)]
    public void FourSackBlocks_BesideOtherOptions_AreCutToWhatFits(bool timestamps, int expected)
    {
        var options = new TcpOptions { HasTimestamps = timestamps };
        for (uint block = 0; block < 4; block++)
        {
            Assert.True(options.TryAddSackBlock(new SackBlock(new SeqNumber(block), new SeqNumber(block + 1))));
        }

        Assert.False(options.TryAddSackBlock(default));
        byte[] octets = new byte[40];
        int length = options.Write(octets);
        Assert.True(TcpOptions.TryParse(octets.AsSpan(0, length), out TcpOptions read));
        Assert.Equal(expected, read.SackBlockCount);
        Assert.Equal(new SackBlock(new SeqNumber(2), new SeqNumber(3)), read[2]);
    }

    [Theory]
    [InlineData("FE04AAAA020405B4", 1460)]
    [InlineData("FE02020405B40000", 1460)]
    [InlineData("020305020405B400", 1460)]
    [InlineData("00020405B4000000", 0)]
    [InlineData("020405B400FF0000", 1460)]
    [InlineData("020405B4020402180000", 536)]
    public void OptionsWithUnknownOnes_Read_SkipThemAndStopAtTheEnd(string hex, int segmentSize)
    {
        Assert.True(TcpOptions.TryParse(Convert.FromHexString(hex), out TcpOptions options));
        Assert.Equal(segmentSize, options.MaximumSegmentSize);
    }

    [Theory]
    [InlineData("020405B4FE00")]
    [InlineData("020405B4FE01")]
    [InlineData("020405B4FE03")]
    [InlineData("020405B4FE")]
    [InlineData("020405B40500")]
    [InlineData("020405B4080A000000")]
    public void OptionOfImpossibleLength_Read_IsReportedAndKeepsWhatCameBefore(string hex)
    {
        Assert.False(TcpOptions.TryParse(Convert.FromHexString(hex), out TcpOptions options));
        Assert.Equal(1460, options.MaximumSegmentSize);
        Assert.False(options.HasTimestamps);
    }

    [Theory]
    [InlineData("0303FF00", 14)]
    [InlineData("03030F00", 14)]
    [InlineData("03030E00", 14)]
    [InlineData("03030000", 0)]
    public void WindowScale_AboveItsLimit_CountsAsTheLimit(string hex, int expected)
    {
        Assert.True(TcpOptions.TryParse(Convert.FromHexString(hex), out TcpOptions options));
        Assert.Equal(expected, options.WindowScale);
    }

    [Fact]
    public void SackBlock_BeyondTheLast_IsRefused()
    {
        TcpOptions options = default;
        Assert.Throws<ArgumentOutOfRangeException>(() => options[0]);
        options.TryAddSackBlock(default);
        Assert.Equal(default, options[0]);
        Assert.Throws<ArgumentOutOfRangeException>(() => options[1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => options[-1]);
        options.ClearSackBlocks();
        Assert.Equal(0, options.SackBlockCount);
    }

    private static string Written(TcpOptions options)
    {
        byte[] octets = new byte[TcpOptions.MaximumLength];
        return Convert.ToHexString(octets, 0, options.Write(octets));
    }
}
