// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux;

/// <summary>The limit on locked memory (RLIMIT_MEMLOCK), against which a UMEM counts without CAP_IPC_LOCK.</summary>
public static class LockedMemory
{
    /// <summary>Raises the soft limit, and with CAP_SYS_RESOURCE the hard one, so that so many more bytes may be locked.</summary>
    /// <param name="bytes">Bytes about to be locked.</param>
    /// <param name="before">The limit as it was, to be given to <see cref="Restore"/>.</param>
    /// <returns>Whether the limit is now high enough, other locked memory aside.</returns>
    public static bool TryRaise(ulong bytes, out ResourceLimit before)
    {
        if (Libc.GetResourceLimit(Constants.ResourceLockedMemory, out before) < 0)
        {
            return false;
        }

        if (before.Soft >= bytes)
        {
            return true;
        }

        var wanted = new ResourceLimit { Soft = bytes, Hard = before.Hard >= bytes ? before.Hard : bytes };
        return Libc.SetResourceLimit(Constants.ResourceLockedMemory, wanted) == 0;
    }

    /// <summary>Puts the limit back: what is locked stays locked.</summary>
    public static void Restore(in ResourceLimit before) =>
        _ = Libc.SetResourceLimit(Constants.ResourceLockedMemory, before);
}
