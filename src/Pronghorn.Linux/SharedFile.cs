// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux;

/// <summary>
/// Another process's <see cref="SharedPage"/>, read without trust: it is copied and not mapped, so that an owner who cuts it
/// short does not kill the reader, and neither a link nor anything but a plain file is opened.
/// </summary>
public sealed class SharedFile : IDisposable
{
    private const int OpenReadWrite = 2;
    private const int OpenNonBlocking = 0x800;

    private readonly SafeFileHandle _handle;

    private SharedFile(SafeFileHandle handle, bool canWrite, in FileStatus status)
    {
        _handle = handle;
        CanWrite = canWrite;
        Owner = status.Owner;
        Length = (long)status.Size;
    }

    /// <summary>Whether this process may write to it.</summary>
    public bool CanWrite { get; }

    /// <summary>The user that the file belongs to.</summary>
    public uint Owner { get; }

    /// <summary>Bytes when it was opened.</summary>
    public long Length { get; }

    /// <summary>Opens a file for reading, and for writing where that is allowed.</summary>
    /// <returns>
    /// 0 or the negative error number: -ENOENT, -EACCES, -ELOOP for a link, -EPERM for anything that its owner's group or
    /// everybody could change, that has a second name, or that is no plain file.
    /// </returns>
    public static int Open(string path, out SharedFile? file)
    {
        ArgumentNullException.ThrowIfNull(path);
        file = null;
        byte[] terminated = SharedPage.Terminate(path);

        // Non-blocking: a pipe that nobody writes to would hold the reader.
        int flags = ArchitectureConstants.OpenNoFollow | OpenNonBlocking | Constants.SocketCloseOnExec;
        int fd = Libc.Open(terminated, OpenReadWrite | flags, 0);
        bool canWrite = fd >= 0;
        fd = fd is -Errno.AccessDenied or -Errno.OperationNotPermitted ? Libc.Open(terminated, flags, 0) : fd;
        if (fd < 0)
        {
            return fd;
        }

        int result = Libc.GetFileStatus(fd, default, out FileStatus status);
        bool sound = result == 0 && status.IsRegular && !status.IsWritableByOthers && status.Links == 1;
        if (!sound)
        {
            _ = Libc.Close(fd);
            return result < 0 ? result : -Errno.OperationNotPermitted;
        }

        file = new SharedFile(new SafeFileHandle(fd, ownsHandle: true), canWrite, status);
        return 0;
    }

    /// <summary>Copies bytes as they are now.</summary>
    /// <returns>Whether all of them were there.</returns>
    public bool TryRead(long offset, Span<byte> destination)
    {
        try
        {
            while (!destination.IsEmpty)
            {
                int count = RandomAccess.Read(_handle, destination, offset);
                if (count <= 0)
                {
                    return false;
                }

                destination = destination[count..];
                offset += count;
            }

            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Writes bytes.</summary>
    /// <returns>Whether they were written.</returns>
    public bool TryWrite(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_handle, bytes, offset);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();
}
