// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <summary>A descriptor that epoll_wait(2) found ready.</summary>
/// <param name="Events">EPOLLIN 1, EPOLLOUT 4, EPOLLERR 8, EPOLLHUP 0x10, EPOLLRDHUP 0x2000.</param>
/// <param name="Data">What was given when it was added.</param>
public readonly record struct EpollReady(uint Events, ulong Data);

/// <content>Bytes between descriptors inside the kernel, and waiting for many of them.</content>
public static unsafe partial class Libc
{
    private const int MostReady = 64;

    /// <summary>accept4(2), without the peer's address. Flags: SOCK_NONBLOCK 0x800, SOCK_CLOEXEC 0x80000.</summary>
    public static int Accept(int fd, int flags) => Result(AcceptNative(fd, null, null, flags));

    /// <summary>pipe2(2). Flags: O_NONBLOCK 0x800, O_CLOEXEC 0x80000.</summary>
    public static int Pipe(int flags, out int readEnd, out int writeEnd)
    {
        int* ends = stackalloc int[2] { -1, -1 };
        int result = Result(PipeNative(ends, flags));
        (readEnd, writeEnd) = (ends[0], ends[1]);
        return result;
    }

    /// <summary>socketpair(2) of AF_UNIX. Types: SOCK_STREAM 1, SOCK_SEQPACKET 5, with the flags of socket(2).</summary>
    public static int SocketPair(int type, out int first, out int second)
    {
        int* ends = stackalloc int[2] { -1, -1 };
        int result = Result(SocketpairNative(1, type, 0, ends));
        (first, second) = (ends[0], ends[1]);
        return result;
    }

    /// <summary>splice(2) without offsets. Flags: SPLICE_F_MOVE 1, SPLICE_F_NONBLOCK 2, SPLICE_F_MORE 4.</summary>
    public static long Splice(int from, int to, long length, uint flags) =>
        Result(SpliceNative(from, null, to, null, (nuint)length, flags));

    /// <summary>sendfile(2) from an offset, which is moved on.</summary>
    public static long SendFile(int socket, int file, ref long offset, long length)
    {
        fixed (long* at = &offset)
        {
            return Result(SendfileNative(socket, file, at, (nuint)length));
        }
    }

    /// <summary>epoll_wait(2); 64 descriptors at the most. A timeout below 0 waits for ever.</summary>
    public static int EpollWait(int epoll, Span<EpollReady> ready, int timeoutMilliseconds)
    {
        int words = ArchitectureConstants.EpollEventSizeOn(RuntimeInformation.ProcessArchitecture) / sizeof(uint);
        uint* items = stackalloc uint[MostReady * 4];
        int count = Result(EpollWaitNative(epoll, items, Math.Min(ready.Length, MostReady), timeoutMilliseconds));
        for (int i = 0; i < count; i++)
        {
            uint* item = items + (i * words);
            ready[i] = new EpollReady(item[0], item[words - 2] | ((ulong)item[words - 1] << 32));
        }

        return count;
    }

    [LibraryImport(Library, EntryPoint = "accept4")]
    private static partial int AcceptNative(int fd, void* address, uint* length, int flags);

    [LibraryImport(Library, EntryPoint = "pipe2")]
    private static partial int PipeNative(int* ends, int flags);

    [LibraryImport(Library, EntryPoint = "socketpair")]
    private static partial int SocketpairNative(int family, int type, int protocol, int* ends);

    [LibraryImport(Library, EntryPoint = "splice")]
    private static partial nint SpliceNative(int from, long* fromOffset, int to, long* toOffset, nuint length, uint flags);

    [LibraryImport(Library, EntryPoint = "sendfile")]
    private static partial nint SendfileNative(int socket, int file, long* offset, nuint length);

    [LibraryImport(Library, EntryPoint = "epoll_wait")]
    private static partial int EpollWaitNative(int epoll, void* events, int count, int timeout);
}
