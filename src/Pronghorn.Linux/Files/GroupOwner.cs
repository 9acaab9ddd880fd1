// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Files;

/// <summary>Gives files to a group of users.</summary>
public static unsafe partial class GroupOwner
{
    private const int BufferLength = 65_536;

    /// <summary>chown(2) with a group alone. Needs CAP_CHOWN, unless the process is in the group.</summary>
    /// <param name="path">The file.</param>
    /// <param name="group">Name of the group.</param>
    /// <returns>0 or a negative error number: -ENOENT without such a group or file.</returns>
    public static int Set(string path, string group)
    {
        // struct group: name, password, number, members; what they point to is in the buffer.
        nint* found = stackalloc nint[4];
        nint entry = 0;
        byte[] buffer = new byte[BufferLength];
        fixed (byte* name = Terminated(group), place = Terminated(path), text = buffer)
        {
            int result = FindGroup(name, found, text, (nuint)buffer.Length, &entry);
            return result != 0 ? -result
                : entry == 0 ? -Errno.NoEntry
                : ChangeOwner(place, uint.MaxValue, (uint)found[2]) < 0 ? -Marshal.GetLastSystemError() : 0;
        }
    }

    private static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');

    [LibraryImport("libc", EntryPoint = "getgrnam_r")]
    private static partial int FindGroup(byte* name, nint* group, byte* buffer, nuint length, nint* found);

    [LibraryImport("libc", EntryPoint = "chown")]
    private static partial int ChangeOwner(byte* path, uint user, uint group);
}
