// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Xdp;

/// <summary>
/// Zeroed, page-aligned memory for frames. A forked child does not get it (MADV_DONTFORK): the device's pages must
/// never become copy-on-write under the kernel's hands.
/// </summary>
public sealed class UmemRegion : IDisposable
{
    private UmemRegion(nint address, long length)
    {
        Address = address;
        Length = length;
    }

    /// <summary>Start of the region; 0 once disposed.</summary>
    public nint Address { get; private set; }

    /// <summary>Bytes in the region.</summary>
    public long Length { get; }

    /// <summary>Maps a region.</summary>
    /// <param name="length">Bytes, more than 0; rounded up to a page by the kernel.</param>
    /// <param name="region">The region, or null on an error.</param>
    /// <returns>0, or the negative error number of mmap(2) or madvise(2).</returns>
    public static int Create(long length, out UmemRegion? region)
    {
        region = null;
        nint address = Libc.Map(
            (nuint)length,
            Constants.ProtectionRead | Constants.ProtectionWrite,
            Constants.MapShared | Constants.MapAnonymous,
            fd: -1,
            offset: 0);
        if (IsError(address))
        {
            return (int)address;
        }

        int advised = Libc.Advise(address, (nuint)length, Constants.AdviceDontFork);
        if (advised < 0)
        {
            _ = Libc.Unmap(address, (nuint)length);
            return advised;
        }

        region = new UmemRegion(address, length);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Address != 0)
        {
            _ = Libc.Unmap(Address, (nuint)Length);
            Address = 0;
        }
    }

    /// <summary>Whether a mapping call returned an error number instead of an address.</summary>
    internal static bool IsError(nint address) => address is < 0 and > -4096;
}
