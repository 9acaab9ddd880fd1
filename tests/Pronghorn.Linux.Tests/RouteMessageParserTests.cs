// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Netlink;
using Xunit;

namespace Pronghorn.Linux.Tests;

public sealed class RouteMessageParserTests
{
    [Fact]
    public void RandomBuffers_Walked_NeverThrowAndEnd()
    {
        var random = new Random(7);
        byte[] buffer = new byte[400];
        for (int i = 0; i < 200_000; i++)
        {
            random.NextBytes(buffer);
            int length = random.Next(buffer.Length);

            // Headers that get past the first checks: a plausible length, a known type and family, plausible attributes.
            MemoryMarshal.Write(buffer, (uint)random.Next(length + 8));
            MemoryMarshal.Write(buffer.AsSpan(4), (ushort)random.Next(16, 31));
            buffer[16] = (byte)(random.Next(3) * random.Next(2) == 0 ? 2 : random.Next(12));
            for (int at = 24; at + 4 < buffer.Length; at += random.Next(1, 6) * 4)
            {
                MemoryMarshal.Write(buffer.AsSpan(at), (ushort)random.Next(20));
                MemoryMarshal.Write(buffer.AsSpan(at + 2), (ushort)random.Next(50));
            }

            Walk(buffer.AsSpan(0, length));
        }
    }

    [Fact]
    public void EveryCutOfARoute_Parsed_IsMalformedOrWhole()
    {
        byte[] route =
        [
            52, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            2, 24, 0, 0, 254, 2, 253, 1, 0, 0, 0, 0,
            8, 0, 1, 0, 10, 0, 0, 0,
            8, 0, 7, 0, 10, 0, 0, 2,
            8, 0, 4, 0, 5, 0, 0, 0,
        ];
        for (int length = 16; length <= route.Length; length++)
        {
            byte[] cut = route[..length];
            cut[0] = (byte)length;
            ReadOnlySpan<byte> rest = cut;
            Assert.True(NetlinkMessage.TryTake(ref rest, out NetlinkMessage message));
            ParseOutcome outcome = RouteMessageParser.Parse(message, out NetlinkEvent item);
            Assert.Equal((length - 28) % 8 == 0 && length >= 28, outcome == ParseOutcome.Parsed);
            if (length == route.Length)
            {
                Assert.Equal("10.0.0.0", item.Route.Destination.ToString());
                Assert.Equal(24, item.Route.PrefixLength);
                Assert.Equal("10.0.0.2", item.Route.PreferredSource.ToString());
                Assert.Equal(5, item.Route.Interface);
                Assert.True(item.Route.Gateway.IsAny);
            }
        }
    }

    private static void Walk(ReadOnlySpan<byte> rest)
    {
        int left = rest.Length + 1;
        while (NetlinkMessage.TryTake(ref rest, out NetlinkMessage message))
        {
            Assert.True(rest.Length < left);
            left = rest.Length;
            ParseOutcome outcome = RouteMessageParser.Parse(message, out NetlinkEvent item);
            if (outcome == ParseOutcome.Parsed && item.Kind is NetlinkEventKind.Route)
            {
                Assert.InRange(item.Route.PrefixLength, 0, 128);
                Assert.InRange(item.Route.Mtu, 0, 65535);
            }
        }
    }
}
