// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

public static unsafe partial class Libc
{
    /// <summary>inotify_init1(2) with IN_CLOEXEC and IN_NONBLOCK.</summary>
    public static int WatchCreate() => Result(WatchCreateNative(Constants.SocketCloseOnExec | Constants.SocketNonBlocking));

    /// <summary>inotify_add_watch(2). The path is zero-terminated.</summary>
    public static int WatchAdd(int fd, ReadOnlySpan<byte> path, uint mask)
    {
        fixed (byte* pointer = path)
        {
            return Result(WatchAddNative(fd, pointer, mask));
        }
    }

    [LibraryImport(Library, EntryPoint = "inotify_init1")]
    private static partial int WatchCreateNative(int flags);

    [LibraryImport(Library, EntryPoint = "inotify_add_watch")]
    private static partial int WatchAddNative(int fd, byte* path, uint mask);
}
