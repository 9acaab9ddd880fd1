// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Preload;

/// <content>Receiving and sending.</content>
internal static unsafe partial class Exports
{
    private const int MessageMore = 0x8000; // MSG_MORE
    private const int MessageDontWait = 0x40; // MSG_DONTWAIT

    [UnmanagedCallersOnly]
    private static long Receive(int fd, byte* buffer, ulong length, int flags) =>
        s_layer.Receive(fd, new Span<byte>(buffer, Clamp(length)), flags);

    [UnmanagedCallersOnly]
    private static long Send(int fd, byte* buffer, ulong length, int flags, int flush) =>
        s_layer.Send(fd, new ReadOnlySpan<byte>(buffer, Clamp(length)), flags, flush != 0);

    [UnmanagedCallersOnly]
    private static long ReceiveVector(int fd, BufferVector* vector, int count, ulong skip, int flags)
    {
        long total = 0;
        for (int i = 0; i < count; i++)
        {
            nuint length = vector[i].Length;
            if (skip >= length)
            {
                skip -= length;
                continue;
            }

            int wanted = Clamp(length - skip);
            var room = new Span<byte>(vector[i].Base + skip, wanted);
            skip = 0;
            long got = s_layer.Receive(fd, room, total > 0 ? flags | MessageDontWait : flags);
            if (got < 0)
            {
                return total > 0 ? total : got;
            }

            total += got;
            if (got < wanted)
            {
                break;
            }
        }

        return total;
    }

    [UnmanagedCallersOnly]
    private static long SendVector(int fd, BufferVector* vector, int count, ulong skip, int flags, int flush)
    {
        int last = count - 1;
        while (last > 0 && vector[last].Length == 0)
        {
            last--;
        }

        long total = 0;
        for (int i = 0; i <= last; i++)
        {
            nuint length = vector[i].Length;
            if (skip >= length && i < last)
            {
                skip -= length;
                continue;
            }

            int wanted = Clamp(length - Math.Min(skip, length));
            var data = new ReadOnlySpan<byte>(vector[i].Base + Math.Min(skip, length), wanted);
            skip = 0;
            long sent = s_layer.Send(fd, data, i < last ? flags | MessageMore : flags, flush != 0 && i == last);
            if (sent < 0)
            {
                return total > 0 ? total : sent;
            }

            total += sent;
            if (sent < wanted)
            {
                break;
            }
        }

        return total;
    }
}
