// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What comes from the network is read without trust in any length that it says.</summary>
public sealed class SegmentEndsTests
{
    private const int MostOptions = 40;

    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 4)]
    [InlineData(false, MostOptions)]
    [InlineData(true, 0)]
    public void Truncated_IsReadWhereItHasItsPorts_AndNowhereElse(bool isIpv6, int options)
    {
        TestFrame sent = Frame(isIpv6) with { OptionLength = options };
        byte[] whole = sent.Build();
        int ports = TestFrame.Ethernet + (isIpv6 ? 40 : 20 + options);
        for (int length = 0; length <= whole.Length; length++)
        {
            // A copy of that length: what is read behind its end is an exception.
            byte[] frame = whole[..length];
            bool isRead = SegmentEnds.TryRead(frame, out TcpEnd local, out TcpEnd remote);
            Assert.Equal(length >= ports + 4, isRead);
            Assert.Equal(isRead ? (sent.Destination, sent.Source) : default, (local, remote));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AnyHeaderLength_AnyType_AndAnyOctets_AreReadOrRefused(bool isIpv6)
    {
        byte[] whole = Frame(isIpv6).Build();
        for (int place = 12; place < whole.Length; place++)
        {
            for (int value = 0; value <= byte.MaxValue; value++)
            {
                byte[] frame = (byte[])whole.Clone();
                frame[place] = (byte)value;
                SegmentEnds.TryRead(frame, out _, out _);
            }
        }

        // Always the same, so that what fails fails again.
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] frame = new byte[random.Next(120)];
            random.NextBytes(frame);
            whole.AsSpan(12, Math.Min(2, Math.Max(0, frame.Length - 12))).CopyTo(frame.AsSpan(Math.Min(12, frame.Length)));
            SegmentEnds.TryRead(frame, out _, out _);
        }
    }

    [Theory]
    [InlineData(0x40)]
    [InlineData(0x44)]
    public void HeaderOfIpv4ThatHoldsNoAddresses_IsRefused(byte versionAndLength)
    {
        byte[] frame = Frame(false).Build();
        frame[TestFrame.Ethernet] = versionAndLength;
        Assert.False(SegmentEnds.TryRead(frame, out _, out _));
    }

    private static TestFrame Frame(bool isIpv6) => new()
    {
        Source = new TcpEnd(IpAddress.Parse(isIpv6 ? "2001:db8:1::c" : "198.51.100.7"), 1234),
        Destination = new TcpEnd(IpAddress.Parse(isIpv6 ? "2001:db8::a" : "192.0.2.10"), 80),
        Payload = [1, 2, 3],
    };
}
