// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <content>Files that two processes map.</content>
public static unsafe partial class Libc
{
    /// <summary>open(2). The path is zero-terminated.</summary>
    internal static int Open(ReadOnlySpan<byte> path, int flags, int mode)
    {
        fixed (byte* pointer = path)
        {
            return Result(OpenNative(pointer, flags, mode));
        }
    }

    /// <summary>ftruncate(2).</summary>
    internal static int Truncate(int fd, long length) => Result(FtruncateNative(fd, (nint)length));

    /// <summary>unlink(2). The path is zero-terminated.</summary>
    internal static int Unlink(ReadOnlySpan<byte> path)
    {
        fixed (byte* pointer = path)
        {
            return Result(UnlinkNative(pointer));
        }
    }

    /// <summary>mkdir(2). The path is zero-terminated.</summary>
    internal static int MakeDirectory(ReadOnlySpan<byte> path, int mode)
    {
        fixed (byte* pointer = path)
        {
            return Result(MkdirNative(pointer, mode));
        }
    }

    [LibraryImport(Library, EntryPoint = "ftruncate")]
    private static partial int FtruncateNative(int fd, nint length);

    [LibraryImport(Library, EntryPoint = "unlink")]
    private static partial int UnlinkNative(byte* path);

    [LibraryImport(Library, EntryPoint = "mkdir")]
    private static partial int MkdirNative(byte* path, int mode);
}
