// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class Icmpv4Tests
{
    [Fact]
    public void EchoRequest_Written_HasTheOctetsComputedByHand()
    {
        byte[] message = new byte[10];
        int length = Icmpv4Message.WriteEcho(message, Icmpv4Type.Echo, 0x0102, 0x0304, [0xAA, 0xBB]);

        // 0800 + 0102 + 0304 + AABB = B6C1; its complement is 493E.
        Assert.Equal("0800493E01020304AABB", Convert.ToHexString(message, 0, length));
    }

    [Property]
    public bool Echo_WrittenAndRead_IsTheSame(ushort identifier, ushort sequence, byte[] data, bool reply)
    {
        Icmpv4Type type = reply ? Icmpv4Type.EchoReply : Icmpv4Type.Echo;
        byte[] message = new byte[Icmpv4Message.HeaderLength + data.Length];
        int length = Icmpv4Message.WriteEcho(message, type, identifier, sequence, data);

        return length == message.Length
            && Icmpv4View.TryParse(message, out Icmpv4View view, out WireError error) && error == WireError.None
            && view.Type == type && view.Code == 0 && !view.IsError
            && view.EchoIdentifier == identifier && view.EchoSequence == sequence && view.Payload.SequenceEqual(data);
    }

    [Theory]
    [InlineData(28, 28)]
    [InlineData(1500, Icmpv4Message.MaximumQuote)]
    public void Error_AboutAPacket_QuotesAsMuchAsRfc1812Allows(int packetLength, int quoted)
    {
        byte[] packet = new byte[packetLength];
        new Random(792).NextBytes(packet);
        byte[] message = new byte[576];
        int length = Icmpv4Message.WriteError(
            message, Icmpv4Type.DestinationUnreachable, Icmpv4Code.FragmentationNeeded, 1400, packet);

        Assert.Equal(Icmpv4Message.HeaderLength + quoted, length);
        Assert.True(Icmpv4View.TryParse(message.AsSpan(0, length), out Icmpv4View view, out _));
        Assert.True(view.IsError);
        Assert.Equal(1400, view.NextHopMtu);
        Assert.True(view.Payload.SequenceEqual(packet.AsSpan(0, quoted)));
    }

    [Fact]
    public void Message_TruncatedOrChanged_IsRefusedForItsReason()
    {
        byte[] message = new byte[40];
        new Random(793).NextBytes(message);
        Icmpv4Message.WriteEcho(message, Icmpv4Type.Echo, 1, 2, message.AsSpan(8));
        for (int length = 0; length < message.Length; length++)
        {
            Assert.False(Icmpv4View.TryParse(message.AsSpan(0, length), out _, out WireError error));
            Assert.Equal(length < 8 ? WireError.TooShort : WireError.BadChecksum, error);
        }

        message[20] ^= 1;
        Assert.False(Icmpv4View.TryParse(message, out _, out WireError changed));
        Assert.Equal(WireError.BadChecksum, changed);
    }
}
