// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Tap;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>How many packets wait, and whose.</summary>
public sealed class HeldPacketsTests : IDisposable
{
    private const int Limit = 64 << 10;
    private const int FrameLength = 1 << 10;
    private const byte Held = 0x50;
    private const byte Sought = 0x51;
    private const byte Waits = 0x52;
    private const int Half = Limit / 2 / FrameLength;

    private readonly NetworkNamespace _place = NetworkNamespace.Create("held");
    private readonly HeldPackets _held;
    private readonly Socket _socket;
    private readonly PacketEnd _end;

    public HeldPacketsTests()
    {
        (_held, _socket, _end) = NamespaceThread.Run(_place, () =>
        {
            Assert.Equal(0, TapDevice.Open("hold%d", out TapDevice? tap));
            _place.Run("ip", "link", "set", "hold0", "up");
            int index = int.Parse(_place.Run("cat", "/sys/class/net/hold0/ifindex").Trim(), CultureInfo.InvariantCulture);
            return (new HeldPackets(tap!, Limit), new Socket(AddressFamily.Packet, SocketType.Raw, 0), new PacketEnd(index));
        });
    }

    public void Dispose()
    {
        _socket.Dispose();
        _held.Dispose();
        _place.Dispose();
    }

    [Theory]
    [InlineData(Sought)]
    [InlineData(Waits)]
    public async Task SearchesFillTheirHalf_TheRestIsDropped_AndMovesHaveTheOther(byte mark)
    {
        await SendAsync(mark, Half + 10);
        Assert.Equal((Half * FrameLength, 10), (_held.Bytes, _held.Dropped));

        await SendAsync(Held, Half);
        Assert.Equal((Limit, 10), (_held.Bytes, _held.Dropped));
        await SendAsync(Held, 1);
        Assert.Equal((Limit, 11), (_held.Bytes, _held.Dropped));

        _held.Replay();
        Assert.Equal(0, _held.Bytes);
        await SendAsync(mark, 1);
        Assert.Equal((FrameLength, 11), (_held.Bytes, _held.Dropped));
    }

    [Fact]
    public async Task FramesWithoutAMark_AreNotHeld()
    {
        foreach ((byte first, byte second) in ((byte, byte)[])[(0, Held), (2, 0x4f), (2, 0x53)])
        {
            _socket.SendTo(Frame(first, second), _end);
        }

        await SendAsync(Held, 1);
        Assert.Equal((FrameLength, 0), (_held.Bytes, _held.Dropped));
    }

    /// <summary>Sends, one after the other, and waits until each was looked at.</summary>
    private async Task SendAsync(byte mark, int count)
    {
        for (int i = 0; i < count; i++)
        {
            long before = Seen;
            _socket.SendTo(Frame(2, mark), _end);
            for (long limit = Environment.TickCount64 + 20_000; Seen == before; await Task.Delay(1))
            {
                Assert.True(Environment.TickCount64 < limit, "the frame did not come");
            }
        }
    }

    private long Seen => (_held.Bytes / FrameLength) + _held.Dropped;

    private static byte[] Frame(byte first, byte second)
    {
        byte[] frame = new byte[FrameLength];
        (frame[6], frame[7]) = (first, second);
        frame[12] = 8;
        return frame;
    }
}
