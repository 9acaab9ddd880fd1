// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

public static unsafe partial class Libc
{
    /// <summary>socket(2).</summary>
    public static int Socket(int family, int type, int protocol) => Result(SocketNative(family, type, protocol));

    /// <summary>bind(2) to a socket address structure.</summary>
    public static int Bind<T>(int fd, in T address)
        where T : unmanaged
    {
        fixed (T* pointer = &address)
        {
            return Result(BindNative(fd, pointer, (uint)sizeof(T)));
        }
    }

    /// <summary>getsockname(2) into a socket address structure.</summary>
    public static int GetSocketName<T>(int fd, out T address)
        where T : unmanaged
    {
        address = default;
        uint length = (uint)sizeof(T);
        fixed (T* pointer = &address)
        {
            return Result(GetsocknameNative(fd, pointer, &length));
        }
    }

    /// <summary>setsockopt(2) with a value of a fixed size.</summary>
    public static int SetSocketOption<T>(int fd, int level, int option, in T value)
        where T : unmanaged
    {
        fixed (T* pointer = &value)
        {
            return Result(SetsockoptNative(fd, level, option, pointer, (uint)sizeof(T)));
        }
    }

    /// <summary>getsockopt(2) with a value of a fixed size. The length that the kernel filled goes to <paramref name="length"/>.</summary>
    public static int GetSocketOption<T>(int fd, int level, int option, out T value, out int length)
        where T : unmanaged
    {
        value = default;
        uint size = (uint)sizeof(T);
        fixed (T* pointer = &value)
        {
            int result = Result(GetsockoptNative(fd, level, option, pointer, &size));
            length = (int)size;
            return result;
        }
    }

    /// <summary>send(2).</summary>
    public static long Send(int fd, ReadOnlySpan<byte> buffer, int flags)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(SendNative(fd, pointer, (nuint)buffer.Length, flags));
        }
    }

    /// <summary>recv(2).</summary>
    public static long Receive(int fd, Span<byte> buffer, int flags)
    {
        fixed (byte* pointer = buffer)
        {
            return Result(ReceiveNative(fd, pointer, (nuint)buffer.Length, flags));
        }
    }

    /// <summary>ioctl(2) with a structure.</summary>
    internal static int InputOutputControl(int fd, nuint request, void* argument) =>
        Result(IoctlNative(fd, request, argument));

    [LibraryImport(Library, EntryPoint = "socket")]
    private static partial int SocketNative(int family, int type, int protocol);

    [LibraryImport(Library, EntryPoint = "bind")]
    private static partial int BindNative(int fd, void* address, uint length);

    [LibraryImport(Library, EntryPoint = "getsockname")]
    private static partial int GetsocknameNative(int fd, void* address, uint* length);

    [LibraryImport(Library, EntryPoint = "setsockopt")]
    private static partial int SetsockoptNative(int fd, int level, int option, void* value, uint length);

    [LibraryImport(Library, EntryPoint = "getsockopt")]
    private static partial int GetsockoptNative(int fd, int level, int option, void* value, uint* length);

    [LibraryImport(Library, EntryPoint = "send")]
    private static partial nint SendNative(int fd, void* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "recv")]
    private static partial nint ReceiveNative(int fd, void* buffer, nuint length, int flags);

    [LibraryImport(Library, EntryPoint = "ioctl")]
    private static partial int IoctlNative(int fd, nuint request, void* argument);
}
