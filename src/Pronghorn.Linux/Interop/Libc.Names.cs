// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Linux.Interop;

/// <content>Who is at the other end; which file it is.</content>
public static unsafe partial class Libc
{
    /// <summary>getpeername(2) into a socket address structure.</summary>
    public static int GetPeerName<T>(int fd, out T address)
        where T : unmanaged
    {
        address = default;
        uint length = (uint)sizeof(T);
        fixed (T* pointer = &address)
        {
            return Result(GetpeernameNative(fd, pointer, &length));
        }
    }

    /// <summary>The inode number of a file, or the negative error number.</summary>
    public static long GetInode(string path)
    {
        // struct stat has st_dev and st_ino, of 8 bytes each, first on all 64-bit architectures.
        ulong* status = stackalloc ulong[32];
        fixed (byte* name = BpfSyscall.Terminated(path))
        {
            int result = Result(StatNative(name, status));
            return result < 0 ? result : (long)status[1];
        }
    }

    [LibraryImport(Library, EntryPoint = "getpeername")]
    private static partial int GetpeernameNative(int fd, void* address, uint* length);

    [LibraryImport(Library, EntryPoint = "stat")]
    private static partial int StatNative(byte* path, void* status);
}
