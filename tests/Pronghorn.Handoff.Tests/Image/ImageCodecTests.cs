// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Linq;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Image;

public sealed class ImageCodecTests
{
    private static ConnectionImage Sample { get; } = new()
    {
        IsIpv6 = true,
        Local = new TcpEnd(IpAddress.Parse("10.0.0.2"), 80),
        Remote = new TcpEnd(IpAddress.Parse("10.0.0.1"), 40000),
        State = KernelTcpState.CloseWait,
        WriteSequence = 0xfffffff0,
        RcvNxt = 5,
        SendQueue = new byte[] { 1, 2, 3 },
        Unsent = 2,
        ReceiveQueue = new byte[] { 4 },
        Negotiated = TcpNegotiated.Timestamps | TcpNegotiated.WindowScale,
        MaximumSegment = 1460,
        SendScale = 7,
        ReceiveScale = 14,
        Timestamp = 0x12345679,
        Window = new TcpRepairWindow { SndWl1 = 1, SndWnd = 2, MaxWindow = 3, RcvWnd = 4, RcvWup = 5 },
        Options = [new SavedOption(8, new byte[] { 1, 0, 0, 0 })],
        Consumed = "GET /"u8.ToArray(),
        Tag = new byte[] { 9, 9 },
    };

    [Fact]
    public void Image_WrittenAndRead_IsTheSame()
    {
        ConnectionImage back = ImageCodec.Read(Bytes(Sample));

        Assert.Equal(Sample.SendQueue.ToArray(), back.SendQueue.ToArray());
        Assert.Equal(Sample.ReceiveQueue.ToArray(), back.ReceiveQueue.ToArray());
        Assert.Equal(Sample.Consumed.ToArray(), back.Consumed.ToArray());
        Assert.Equal(Sample.Tag.ToArray(), back.Tag.ToArray());
        Assert.Equal(Sample.Options.AsEnumerable(), back.Options.AsEnumerable());
        ConnectionImage rest = back with
        {
            SendQueue = Sample.SendQueue, ReceiveQueue = Sample.ReceiveQueue, Consumed = Sample.Consumed, Tag = Sample.Tag,
            Options = Sample.Options,
        };
        Assert.Equal(Sample, rest);
    }

    [Fact]
    public void Image_CutAnywhere_IsRefused()
    {
        byte[] whole = Bytes(Sample);
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.Throws<ImageFormatException>(() => ImageCodec.Read(whole.AsMemory(0, length)));
        }

        Assert.Throws<ImageFormatException>(() => ImageCodec.Read((byte[])[.. whole, 0]));
    }

    [Theory]
    [InlineData(0, 9, "version")]
    [InlineData(2, 2, "flags")]
    [InlineData(3, 10, "state")]
    [InlineData(20, 0, "port 0", 21)]
    [InlineData(48, 8, "options that cannot be restored")]
    [InlineData(49, 15, "window scale")]
    public void WrongOctet_Read_IsNamed(int offset, byte value, string named, int alsoZero = -1)
    {
        byte[] bytes = Bytes(Sample);
        bytes[offset] = value;
        if (alsoZero >= 0)
        {
            bytes[alsoZero] = 0;
        }

        ImageFormatException error = Assert.Throws<ImageFormatException>(() => ImageCodec.Read(bytes));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void RandomOctets_Changed_AreReadOrRefusedAndNeverElse(int seed)
    {
        var random = new Random(seed);
        byte[] whole = Bytes(Sample);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes = [.. whole];
            for (int changes = random.Next(1, 5); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            try
            {
                ConnectionImage read = ImageCodec.Read(bytes);
                Assert.InRange(read.Unsent, 0, read.SendQueue.Length);
                Assert.InRange(read.SendScale, 0, 14);
            }
            catch (ImageFormatException)
            {
                // The only way to refuse.
            }
        }
    }

    private static byte[] Bytes(ConnectionImage image)
    {
        var writer = new ArrayBufferWriter<byte>();
        ImageCodec.Write(image, writer);
        return writer.WrittenSpan.ToArray();
    }
}
