// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Files;

/// <summary>
/// Watches one directory with inotify(7). Unlike FileSystemWatcher it tells of a file when its writer has closed it, so that
/// nobody reads half of one.
/// </summary>
/// <remarks>One thread at a time, except <see cref="Wake"/>.</remarks>
public sealed class DirectoryWatch : IDisposable
{
    private const uint CloseWrite = 0x8;
    private const uint MovedFrom = 0x40;
    private const uint MovedTo = 0x80;
    private const uint Created = 0x100;
    private const uint Deleted = 0x200;
    private const uint DeletedSelf = 0x400;
    private const uint MovedSelf = 0x800;
    private const uint Unmounted = 0x2000;
    private const uint QueueOverflow = 0x4000;
    private const uint WatchIgnored = 0x8000;
    private const uint OnlyDirectory = 0x0100_0000;
    private const uint IsDirectory = 0x4000_0000;
    private const int HeaderLength = 16;
    private const short PollIn = 1;

    private readonly byte[] _buffer = new byte[65536];
    private int _inotify;
    private int _wake;

    private DirectoryWatch(int inotify, int wake)
    {
        _inotify = inotify;
        _wake = wake;
    }

    /// <summary>Begins to watch. Look at the directory afterwards: what comes meanwhile is told twice, never missed.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="watch">The watch, or null on an error.</param>
    /// <returns>0, or the negative error number: ENOENT, ENOTDIR, EACCES, EMFILE, ENOSPC (fs.inotify.max_user_watches).</returns>
    public static int Open(string path, out DirectoryWatch? watch)
    {
        watch = null;
        int inotify = Libc.WatchCreate();
        if (inotify < 0)
        {
            return inotify;
        }

        const uint Mask = CloseWrite | MovedFrom | MovedTo | Created | Deleted | DeletedSelf | MovedSelf | OnlyDirectory;
        int result = Libc.WatchAdd(inotify, Encoding.UTF8.GetBytes(path + "\0"), Mask);
        int wake = result < 0 ? result : Libc.EventDescriptor(0, Constants.SocketNonBlocking | Constants.SocketCloseOnExec);
        if (wake < 0)
        {
            _ = Libc.Close(inotify);
            return wake;
        }

        watch = new DirectoryWatch(inotify, wake);
        return 0;
    }

    /// <summary>Waits for events and takes them.</summary>
    /// <param name="events">Takes them, in order.</param>
    /// <param name="timeoutMilliseconds">How long to wait at most; below 0: until there is one or <see cref="Wake"/>.</param>
    /// <returns>0, or the negative error number.</returns>
    public int Wait(List<DirectoryEvent> events, int timeoutMilliseconds = -1)
    {
        ArgumentNullException.ThrowIfNull(events);
        Span<PollDescriptor> waiting =
        [
            new PollDescriptor { Descriptor = _inotify, Events = PollIn },
            new PollDescriptor { Descriptor = _wake, Events = PollIn },
        ];
        int ready = Libc.Poll(waiting, timeoutMilliseconds);
        if (ready < 0)
        {
            return ready == -Errno.Interrupted ? 0 : ready;
        }

        long length = Libc.Read(_inotify, _buffer);
        while (length > 0)
        {
            Parse(_buffer.AsSpan(0, (int)length), events);
            length = Libc.Read(_inotify, _buffer);
        }

        return length is 0 or -Errno.TryAgain ? 0 : (int)length;
    }

    /// <summary>Ends a <see cref="Wait"/>, this one or the next. May be called from any thread.</summary>
    public void Wake()
    {
        Span<byte> one = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(one, 1);
        _ = Libc.Write(_wake, BitConverter.IsLittleEndian ? one : [0, 0, 0, 0, 0, 0, 0, 1]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_inotify >= 0)
        {
            _ = Libc.Close(_inotify);
            _ = Libc.Close(_wake);
            _inotify = -1;
            _wake = -1;
        }
    }

    /// <summary>struct inotify_event: wd, mask, cookie, length of the padded name, name.</summary>
    private static void Parse(ReadOnlySpan<byte> records, List<DirectoryEvent> events)
    {
        while (records.Length >= HeaderLength)
        {
            uint mask = BitConverter.ToUInt32(records[4..]);
            int nameLength = (int)BitConverter.ToUInt32(records[12..]);
            ReadOnlySpan<byte> name = records.Slice(HeaderLength, nameLength).TrimEnd((byte)0);
            if (Classify(mask) is DirectoryEventKind kind)
            {
                events.Add(new DirectoryEvent(kind, Encoding.UTF8.GetString(name)));
            }

            records = records[(HeaderLength + nameLength)..];
        }
    }

    private static DirectoryEventKind? Classify(uint mask)
    {
        if ((mask & (DeletedSelf | MovedSelf | Unmounted | WatchIgnored)) != 0)
        {
            return DirectoryEventKind.DirectoryGone;
        }

        if ((mask & (QueueOverflow | IsDirectory)) != 0)
        {
            return DirectoryEventKind.Unclear;
        }

        if ((mask & (CloseWrite | MovedTo)) != 0)
        {
            return DirectoryEventKind.Written;
        }

        return (mask & Created) != 0 ? DirectoryEventKind.Created : DirectoryEventKind.Removed;
    }
}
