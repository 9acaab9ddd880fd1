// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Text;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux;

/// <summary>
/// A file mapped by the process that writes it and by those that read it. The owner's forked children do not get the
/// mapping, and the file goes with the owner.
/// </summary>
public sealed unsafe class SharedPage : IDisposable
{
    internal const int OpenReadWrite = 2;
    internal const int OpenCreate = 0x40;
    internal const int OpenTruncate = 0x200;
    private const int FilePermissions = 0x1a4; // 0644
    private const int DirectoryPermissions = 0x1ed; // 0755

    private readonly byte[] _path;
    private readonly bool _owner;
    private byte* _address;

    private SharedPage(byte[] path, bool owner, byte* address, int length)
    {
        _path = path;
        _owner = owner;
        _address = address;
        Length = length;
    }

    /// <summary>Bytes in the page; 0 once disposed.</summary>
    public int Length { get; private set; }

    /// <summary>The bytes. Another process may change them at any time.</summary>
    public Span<byte> Bytes => new(_address, Length);

    /// <summary>Makes the file, and its directory when that is missing, and maps it.</summary>
    /// <param name="path">Absolute path. A file that is there is replaced.</param>
    /// <param name="length">Bytes, more than 0.</param>
    /// <param name="page">The page, or null on an error.</param>
    /// <returns>0 or the negative error number.</returns>
    public static int Create(string path, int length, out SharedPage? page)
    {
        page = null;
        ArgumentNullException.ThrowIfNull(path);
        byte[] terminated = Terminate(path);
        _ = Libc.MakeDirectory(Terminate(Path.GetDirectoryName(path) ?? "/"), DirectoryPermissions);

        // Whatever has this name is from a dead process; a link here would be somebody's trap.
        _ = Libc.Unlink(terminated);
        int fd = Libc.Open(
            terminated,
            OpenReadWrite | OpenCreate | OpenTruncate | ArchitectureConstants.OpenNoFollow | Constants.SocketCloseOnExec,
            FilePermissions);
        if (fd < 0)
        {
            return fd;
        }

        int result = Libc.Truncate(fd, length);
        result = result < 0 ? result : Map(fd, terminated, owner: true, length, out page);
        _ = Libc.Close(fd);
        return result;
    }

    /// <summary>Maps a page that another process owns, for reading and for writing its request word.</summary>
    /// <returns>0 or the negative error number: -ENOENT, -EACCES, -EINVAL when it is shorter than a page should be.</returns>
    public static int Open(string path, out SharedPage? page)
    {
        page = null;
        ArgumentNullException.ThrowIfNull(path);
        byte[] terminated = Terminate(path);
        int fd = Libc.Open(terminated, OpenReadWrite | ArchitectureConstants.OpenNoFollow | Constants.SocketCloseOnExec, 0);
        if (fd < 0)
        {
            return fd;
        }

        long length = new FileInfo(path).Length;
        int result = length is > 0 and <= int.MaxValue
            ? Map(fd, terminated, owner: false, (int)length, out page)
            : -Errno.Invalid;
        _ = Libc.Close(fd);
        return result;
    }

    /// <summary>Unmaps the page; the owner also removes the file.</summary>
    public void Dispose()
    {
        if (_address == null)
        {
            return;
        }

        _ = Libc.Unmap((nint)_address, (nuint)Length);
        _address = null;
        Length = 0;
        if (_owner)
        {
            _ = Libc.Unlink(_path);
        }
    }

    private static int Map(int fd, byte[] path, bool owner, int length, out SharedPage? page)
    {
        page = null;
        nint address = Libc.Map(
            (nuint)length, Constants.ProtectionRead | Constants.ProtectionWrite, Constants.MapShared, fd, 0);
        if (address is < 0 and >= -4095)
        {
            return (int)address;
        }

        if (owner)
        {
            _ = Libc.Advise(address, (nuint)length, Constants.AdviceDontFork);
        }

        page = new SharedPage(path, owner, (byte*)address, length);
        return 0;
    }

    private static byte[] Terminate(string path)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(path) + 1];
        Encoding.UTF8.GetBytes(path, bytes);
        return bytes;
    }
}
