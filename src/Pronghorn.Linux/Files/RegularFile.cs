// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Files;

/// <summary>Opens files that others put there: only regular ones, and never waiting for a writer as with a named pipe.</summary>
public static class RegularFile
{
    private const int NonBlocking = 0x800; // O_NONBLOCK, O_RDONLY being 0

    /// <summary>Opens a file to be read; links are followed.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="file">The file; null on failure.</param>
    /// <returns>0, a negative error number, or -EINVAL when it is a pipe, a device, a socket or a directory.</returns>
    public static int TryOpen(string path, out FileStream? file)
    {
        ArgumentNullException.ThrowIfNull(path);
        file = null;
        byte[] name = new byte[Encoding.UTF8.GetByteCount(path) + 1];
        Encoding.UTF8.GetBytes(path, name);
        int descriptor = Libc.Open(name, NonBlocking | Constants.SocketCloseOnExec, 0);
        if (descriptor < 0)
        {
            return descriptor;
        }

        int result = Libc.GetFileStatus(descriptor, default, out FileStatus status);
        if (result < 0 || !status.IsRegular)
        {
            _ = Libc.Close(descriptor);
            return result < 0 ? result : -Errno.Invalid;
        }

        file = new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Read);
        return 0;
    }
}
