// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <content>Connections: connect, shutdown, options of any size, lengths of queues.</content>
public static unsafe partial class Libc
{
    /// <summary>connect(2) to a socket address structure.</summary>
    public static int Connect<T>(int fd, in T address)
        where T : unmanaged
    {
        fixed (T* pointer = &address)
        {
            return Result(ConnectNative(fd, pointer, (uint)sizeof(T)));
        }
    }

    /// <summary>shutdown(2).</summary>
    /// <param name="fd">A connected socket.</param>
    /// <param name="how">SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2.</param>
    public static int Shutdown(int fd, int how) => Result(ShutdownNative(fd, how));

    /// <summary>setsockopt(2) with a value of any size.</summary>
    public static int SetSocketOption(int fd, int level, int option, ReadOnlySpan<byte> value)
    {
        fixed (byte* pointer = value)
        {
            return Result(SetsockoptNative(fd, level, option, pointer, (uint)value.Length));
        }
    }

    /// <summary>getsockopt(2) with a value of any size.</summary>
    /// <returns>Bytes that the kernel filled, or the negative error number.</returns>
    public static int GetSocketOption(int fd, int level, int option, Span<byte> value)
    {
        uint size = (uint)value.Length;
        fixed (byte* pointer = value)
        {
            int result = Result(GetsockoptNative(fd, level, option, pointer, &size));
            return result < 0 ? result : (int)size;
        }
    }

    /// <summary>ioctl(2) that fills in a number, as SIOCOUTQ does.</summary>
    /// <returns>The number, or the negative error number.</returns>
    public static int GetNumber(int fd, nuint request)
    {
        int number = 0;
        int result = InputOutputControl(fd, request, &number);
        return result < 0 ? result : number;
    }

    /// <summary>sendmsg(2).</summary>
    internal static long SendMessage(int fd, void* message, int flags) => Result(SendmsgNative(fd, message, flags));

    /// <summary>recvmsg(2).</summary>
    internal static long ReceiveMessage(int fd, void* message, int flags) => Result(RecvmsgNative(fd, message, flags));

    [LibraryImport(Library, EntryPoint = "sendmsg")]
    private static partial nint SendmsgNative(int fd, void* message, int flags);

    [LibraryImport(Library, EntryPoint = "recvmsg")]
    private static partial nint RecvmsgNative(int fd, void* message, int flags);

    [LibraryImport(Library, EntryPoint = "connect")]
    private static partial int ConnectNative(int fd, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "shutdown")]
    private static partial int ShutdownNative(int fd, int how);
}
