// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;
using Pronghorn.Memory;
using Xunit;

namespace Pronghorn.Devices.Tests;

/// <summary>Answers each packet with itself: source and destination change places, so that every checksum stays right.</summary>
internal static class Echo
{
    private const int WaitMilliseconds = 10_000;

    /// <summary>Waits until the device has packets, and takes them.</summary>
    public static int Receive(XdpDevice device, Span<FrameDescriptor> packets)
    {
        int count = device.Receive(packets);
        if (count == 0)
        {
            Span<PollDescriptor> poll = [new PollDescriptor { Descriptor = device.FileDescriptor, Events = 1 }];
            Assert.Equal(1, Libc.Poll(poll, WaitMilliseconds));
            count = device.Receive(packets);
        }

        return count;
    }

    /// <summary>Receives until so many packets were answered.</summary>
    public static void Run(XdpDevice device, int packets)
    {
        Span<FrameDescriptor> batch = stackalloc FrameDescriptor[64];
        for (int done = 0; done < packets;)
        {
            int count = Receive(device, batch);
            foreach (ref FrameDescriptor packet in batch[..count])
            {
                TurnAround(device.Frames.GetSpan(packet));
            }

            Assert.Equal(count, device.Transmit(batch[..count]));
            Assert.Equal(0, device.Kick());
            device.ReapCompletions();
            done += count;
        }
    }

    /// <summary>Releases packets that nobody wants.</summary>
    public static void Release(XdpDevice device, ReadOnlySpan<FrameDescriptor> packets)
    {
        foreach (FrameDescriptor packet in packets)
        {
            device.Frames.Release(packet.Frame);
        }
    }

    private static void TurnAround(Span<byte> frame)
    {
        Swap(frame, 0, 6, 6);
        Swap(frame, 26, 30, 4);
        Swap(frame, 34, 36, 2);
    }

    private static void Swap(Span<byte> frame, int first, int second, int length)
    {
        for (int i = 0; i < length; i++)
        {
            (frame[first + i], frame[second + i]) = (frame[second + i], frame[first + i]);
        }
    }
}
