// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

public static unsafe partial class Libc
{
    /// <summary>close(2).</summary>
    public static int Close(int fd) => Result(CloseNative(fd));

    /// <summary>fcntl(2) with an integer argument.</summary>
    public static int FileControl(int fd, int command, nint argument) => Result(FcntlNative(fd, command, argument));

    /// <summary>fcntl(2) F_DUPFD_CLOEXEC: the lowest free descriptor that is at least <paramref name="minimum"/>.</summary>
    public static int Duplicate(int fd, int minimum = 0) =>
        Result(FcntlNative(fd, Constants.FcntlDuplicateCloseOnExec, minimum));

    /// <summary>eventfd(2). Flags: EFD_NONBLOCK 0x800, EFD_CLOEXEC 0x80000, EFD_SEMAPHORE 1.</summary>
    public static int EventDescriptor(uint initial, int flags) => Result(EventfdNative(initial, flags));

    /// <summary>read(2).</summary>
    public static long Read(int fd, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(ReadNative(fd, pointer, (nuint)buffer.Length));
        }
    }

    /// <summary>write(2).</summary>
    public static long Write(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(WriteNative(fd, pointer, (nuint)buffer.Length));
        }
    }

    /// <summary>poll(2). A timeout below 0 waits for ever.</summary>
    public static int Poll(Span<PollDescriptor> descriptors, int timeoutMilliseconds)
    {
        fixed (PollDescriptor* pointer = descriptors)
        {
            return Result(PollNative(pointer, (nuint)descriptors.Length, timeoutMilliseconds));
        }
    }

    /// <summary>epoll_create1(2) with EPOLL_CLOEXEC.</summary>
    public static int EpollCreate() => Result(EpollCreateNative(Constants.SocketCloseOnExec));

    /// <summary>epoll_ctl(2). Operations: 1 add, 2 delete, 3 modify.</summary>
    public static int EpollControl(int epoll, int operation, int fd, uint events, ulong data)
    {
        EpollEvent item = EpollEvent.Create(events, data);
        return Result(EpollControlNative(epoll, operation, fd, &item));
    }

    /// <summary>Opens a file read-only with O_CLOEXEC. The path is zero-terminated.</summary>
    public static int OpenReadOnly(ReadOnlySpan<byte> path)
    {
        fixed (byte* pointer = path)
        {
            return Result(OpenNative(pointer, Constants.SocketCloseOnExec, 0));
        }
    }

    [LibraryImport(Library, EntryPoint = "close")]
    private static partial int CloseNative(int fd);

    [LibraryImport(Library, EntryPoint = "fcntl")]
    private static partial int FcntlNative(int fd, int command, nint argument);

    [LibraryImport(Library, EntryPoint = "eventfd")]
    private static partial int EventfdNative(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "read")]
    private static partial nint ReadNative(int fd, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "write")]
    private static partial nint WriteNative(int fd, void* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "poll")]
    private static partial int PollNative(PollDescriptor* descriptors, nuint count, int timeout);

    [LibraryImport(Library, EntryPoint = "epoll_create1")]
    private static partial int EpollCreateNative(int flags);

    [LibraryImport(Library, EntryPoint = "epoll_ctl")]
    private static partial int EpollControlNative(int epoll, int operation, int fd, EpollEvent* item);

    [LibraryImport(Library, EntryPoint = "open")]
    private static partial int OpenNative(byte* path, int flags, int mode);
}
