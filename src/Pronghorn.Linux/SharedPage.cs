// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Text;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux;

/// <summary>
/// A file mapped by the process that writes it; others read it (<see cref="SharedFile"/>). The owner's forked children do
/// not get the mapping, and the file goes with the owner.
/// </summary>
public sealed unsafe class SharedPage : IDisposable
{
    internal const int OpenReadWrite = 2;
    internal const int OpenCreate = 0x40;
    internal const int OpenExclusive = 0x80;
    private const int FilePermissions = 0x1a4; // 0644

    // Somebody who finds the directory empty may remove it between its making and its use.
    private const int MaximumAttempts = 8;

    private readonly byte[] _published;
    private byte[] _path;
    private byte* _address;

    private SharedPage(byte[] path, byte[] published, byte* address, int length)
    {
        _path = path;
        _published = published;
        _address = address;
        Length = length;
    }

    /// <summary>Bytes in the page; 0 once disposed.</summary>
    public int Length { get; private set; }

    /// <summary>The bytes. A reader may change them at any time.</summary>
    public Span<byte> Bytes => new(_address, Length);

    /// <summary>
    /// Makes the file, and its directory when that is missing, and maps it. Nobody sees it by its name before
    /// <see cref="Publish"/>.
    /// </summary>
    /// <param name="path">Absolute path.</param>
    /// <param name="length">Bytes, more than 0.</param>
    /// <param name="directoryMode">
    /// Permissions of the directory, when it is made here or belongs to this user. With S_ISVTX (01777) every user may keep
    /// a file there, and none another's.
    /// </param>
    /// <param name="page">The page, or null on an error.</param>
    /// <returns>
    /// 0 or the negative error number; -EACCES also when the directory is one in which somebody else could replace the file.
    /// </returns>
    public static int Create(string path, int length, int directoryMode, out SharedPage? page)
    {
        page = null;
        ArgumentNullException.ThrowIfNull(path);
        string directory = Path.GetDirectoryName(path) ?? "/";
        byte[] terminated = Terminate(Path.Combine(directory, "." + Path.GetFileName(path)));
        int result;
        int attempts = 0;
        do
        {
            result = PrepareDirectory(Terminate(directory), directoryMode);
            result = result < 0 ? result : Create(terminated, Terminate(path), length, out page);
        }
        while (result == -Errno.NoEntry && ++attempts < MaximumAttempts);

        return result;
    }

    /// <summary>Gives the file its name, in one step; a file of that name that is there is replaced.</summary>
    /// <returns>0 or the negative error number; then the file is as it was.</returns>
    public int Publish()
    {
        int result = Libc.Rename(_path, _published);
        _path = result < 0 ? _path : _published;
        return result;
    }

    private static int Create(byte[] terminated, byte[] published, int length, out SharedPage? page)
    {
        page = null;

        // Whatever has this name is from a dead process; what another user put there stays, and is refused.
        _ = Libc.Unlink(terminated);
        int fd = Libc.Open(
            terminated,
            OpenReadWrite | OpenCreate | OpenExclusive | ArchitectureConstants.OpenNoFollow | Constants.SocketCloseOnExec,
            FilePermissions);
        if (fd < 0)
        {
            return fd;
        }

        int result = Libc.Truncate(fd, length);
        result = result < 0 ? result : Map(fd, terminated, published, length, out page);
        _ = Libc.Close(fd);
        return result;
    }

    /// <summary>Unmaps the page and removes the file.</summary>
    public void Dispose()
    {
        if (_address == null)
        {
            return;
        }

        _ = Libc.Unmap((nint)_address, (nuint)Length);
        _address = null;
        Length = 0;
        _ = Libc.Unlink(_path);
    }

    internal static byte[] Terminate(string path)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(path) + 1];
        Encoding.UTF8.GetBytes(path, bytes);
        return bytes;
    }

    private static int PrepareDirectory(byte[] directory, int mode)
    {
        _ = Libc.MakeDirectory(directory, mode);
        int result = Libc.GetFileStatus(-1, directory, out FileStatus status);
        if (result < 0)
        {
            return result;
        }

        uint user = Libc.GetEffectiveUser();
        if (status.IsDirectory && status.Owner == user)
        {
            // The umask took some away, or an older version made it.
            return Libc.ChangeMode(directory, mode);
        }

        bool safe = status.IsDirectory && status.Owner == 0 && (status.IsSticky || !status.IsWritableByOthers);
        return safe ? 0 : -Errno.AccessDenied;
    }

    private static int Map(int fd, byte[] path, byte[] published, int length, out SharedPage? page)
    {
        page = null;
        nint address = Libc.Map(
            (nuint)length, Constants.ProtectionRead | Constants.ProtectionWrite, Constants.MapShared, fd, 0);
        if (address is < 0 and >= -4095)
        {
            return (int)address;
        }

        _ = Libc.Advise(address, (nuint)length, Constants.AdviceDontFork);
        page = new SharedPage(path, published, (byte*)address, length);
        return 0;
    }
}
