// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

/// <summary>Messages between workers and the daemon as bytes.</summary>
public sealed class WorkerMessageTests
{
    [Theory]
    [InlineData("10.0.0.2")]
    [InlineData("fd00::2")]
    [InlineData(null)]
    public void Message_WrittenAndRead_IsTheSame(string? address)
    {
        WorkerMessage message = Message(address);
        WorkerMessage read = WorkerMessage.Read(message.ToBytes());
        Assert.Equal(message with { Consumed = default, Tag = default }, read with { Consumed = default, Tag = default });
        Assert.Equal(message.Consumed.ToArray(), read.Consumed.ToArray());
        Assert.Equal(message.Tag.ToArray(), read.Tag.ToArray());
    }

    [Fact]
    public void Message_CutAnywhereOrWithMore_IsRefused()
    {
        byte[] bytes = Message("10.0.0.2").ToBytes();
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.Throws<ImageFormatException>(() => WorkerMessage.Read(bytes.AsSpan(0, length)));
        }

        Assert.Throws<ImageFormatException>(() => WorkerMessage.Read([.. bytes, 0]));
    }

    [Theory]
    [InlineData(0)] // magic
    [InlineData(4)] // kind
    [InlineData(21)] // family
    [InlineData(40)] // length of what was consumed
    [InlineData(44)] // length of the tag
    public void Field_WithAnImpossibleValue_IsRefused(int offset)
    {
        byte[] bytes = Message("10.0.0.2").ToBytes();
        bytes[offset] = 0xff;
        Assert.Throws<ImageFormatException>(() => WorkerMessage.Read(bytes));
    }

    [Fact]
    public void AnyBytes_ReadOrRefused_ThrowNothingElse()
    {
        var random = new Random(1950);
        byte[] template = Message("fd00::2").ToBytes();
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bytes = [.. template];
            for (int change = random.Next(1, 8); change > 0; change--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            try
            {
                WorkerMessage.Read(bytes.AsSpan(0, random.Next(bytes.Length + 1)));
            }
            catch (ImageFormatException)
            {
                // As it should be.
            }
        }
    }

    [Fact]
    public void TooMuchContent_IsNotWritten() => Assert.Throws<ArgumentException>(() =>
        new WorkerMessage(WorkerMessageKind.Handoff) { Consumed = new byte[WorkerMessage.MaximumContent], Tag = new byte[1] }.ToBytes());

    private static WorkerMessage Message(string? address) => new(WorkerMessageKind.Handoff)
    {
        Sequence = 7,
        Result = -3,
        Worker = 511,
        End = address is null ? default : new TcpEnd(IpAddress.Parse(address), 8000),
        Consumed = new byte[] { 1, 2, 3 },
        Tag = new byte[] { 4, 5 },
    };
}
