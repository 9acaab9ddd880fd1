// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Linux.Interop;

/// <content>File systems; text of libraries.</content>
public static unsafe partial class Libc
{
    /// <summary>mount(2) of a file system without a device and without options.</summary>
    internal static int Mount(string type, string target)
    {
        fixed (byte* typeName = BpfSyscall.Terminated(type), targetName = BpfSyscall.Terminated(target))
        {
            return Result(MountNative(typeName, targetName, typeName, 0, null));
        }
    }

    /// <summary>statfs(2): the magic number of the file system that a file is in, or the negative error number.</summary>
    internal static long GetFileSystemType(string path)
    {
        // struct statfs has 120 bytes on the 64-bit architectures, and begins with the type.
        long* status = stackalloc long[32];
        fixed (byte* name = BpfSyscall.Terminated(path))
        {
            int result = Result(StatfsNative(name, status));
            return result < 0 ? result : (uint)status[0];
        }
    }

    /// <summary>vsnprintf(3): the length that the whole text has.</summary>
    internal static int FormatText(byte* buffer, nuint size, byte* format, nint arguments) =>
        VsnprintfNative(buffer, size, format, arguments);

    [LibraryImport(Library, EntryPoint = "mount")]
    private static partial int MountNative(byte* source, byte* target, byte* type, nuint flags, void* data);

    [LibraryImport(Library, EntryPoint = "statfs")]
    private static partial int StatfsNative(byte* path, void* status);

    [LibraryImport(Library, EntryPoint = "vsnprintf")]
    private static partial int VsnprintfNative(byte* buffer, nuint size, byte* format, nint arguments);
}
