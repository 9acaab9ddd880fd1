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

    /// <summary>rename(2). Paths are zero-terminated.</summary>
    internal static int Rename(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        fixed (byte* source = from)
        fixed (byte* target = to)
        {
            return Result(RenameNative(source, target));
        }
    }

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

    /// <summary>chmod(2). The path is zero-terminated.</summary>
    internal static int ChangeMode(ReadOnlySpan<byte> path, int mode)
    {
        fixed (byte* pointer = path)
        {
            return Result(ChmodNative(pointer, (uint)mode));
        }
    }

    /// <summary>geteuid(2): the user that the process acts as.</summary>
    public static uint GetEffectiveUser() => GeteuidNative();

    /// <summary>statx(2) of an open file, or of a path (zero-terminated) without following a link at its end.</summary>
    internal static int GetFileStatus(int fd, ReadOnlySpan<byte> path, out FileStatus status)
    {
        const int CurrentDirectory = -100; // AT_FDCWD
        const int NoFollow = 0x100; // AT_SYMLINK_NOFOLLOW
        const int EmptyPath = 0x1000; // AT_EMPTY_PATH
        const uint Basic = 0x7ff; // STATX_BASIC_STATS
        bool ofDescriptor = fd >= 0;
        status = default;
        fixed (byte* pointer = ofDescriptor ? "\0"u8 : path)
        fixed (FileStatus* result = &status)
        {
            return Result(StatxNative(
                ofDescriptor ? fd : CurrentDirectory, pointer, ofDescriptor ? EmptyPath : NoFollow, Basic, result));
        }
    }

    [LibraryImport(Library, EntryPoint = "chmod")]
    private static partial int ChmodNative(byte* path, uint mode);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    private static partial uint GeteuidNative();

    [LibraryImport(Library, EntryPoint = "statx")]
    private static partial int StatxNative(int directory, byte* path, int flags, uint mask, FileStatus* status);

    [LibraryImport(Library, EntryPoint = "ftruncate")]
    private static partial int FtruncateNative(int fd, nint length);

    [LibraryImport(Library, EntryPoint = "rename")]
    private static partial int RenameNative(byte* from, byte* to);

    [LibraryImport(Library, EntryPoint = "unlink")]
    private static partial int UnlinkNative(byte* path);

    [LibraryImport(Library, EntryPoint = "mkdir")]
    private static partial int MkdirNative(byte* path, int mode);
}
