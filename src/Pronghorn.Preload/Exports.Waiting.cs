// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Posix;

namespace Pronghorn.Preload;

/// <content>epoll and poll.</content>
internal static unsafe partial class Exports
{
    [UnmanagedCallersOnly]
    private static int EpollControl(int epoll, int operation, int fd, byte* entry)
    {
        const int Fault = 14; // EFAULT
        const int Delete = 2; // EPOLL_CTL_DEL
        if (entry == null)
        {
            return operation == Delete ? s_layer.EpollControl(epoll, operation, fd, 0, 0) : -Fault;
        }

        uint events = Unsafe.ReadUnaligned<uint>(entry);
        ulong data = Unsafe.ReadUnaligned<ulong>(entry + SocketLayer.EpollEventSize - sizeof(ulong));
        return s_layer.EpollControl(epoll, operation, fd, events, data);
    }

    [UnmanagedCallersOnly]
    private static int EpollWait(int epoll, byte* entries, int count, RoundResult* result)
    {
        PollRound round = default;
        int room = Math.Min(count, 1 << 20);
        int found = s_layer.EpollCollect(epoll, new Span<byte>(entries, room * SocketLayer.EpollEventSize), ref round);
        Give(round, result);
        return found;
    }

    [UnmanagedCallersOnly]
    private static void EpollBlock(int epoll, int change) => s_layer.EpollBlock(epoll, change);

    [UnmanagedCallersOnly]
    private static void EpollNested(int epoll) => s_layer.EpollNested(epoll);

    [UnmanagedCallersOnly]
    private static int PollDescriptors(PollDescriptor* descriptors, ulong count, RoundResult* result)
    {
        PollRound round = default;
        int found = s_layer.PollDescriptors(new Span<PollDescriptor>(descriptors, Clamp(count)), ref round);
        Give(round, result);
        return found;
    }

    [UnmanagedCallersOnly]
    private static void PollBlock(int eventDescriptor, int change) => s_layer.PollBlock(eventDescriptor, change);
}
