// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Execution;

/// <summary>Gives up capabilities (capabilities(7)) for the program that is executed next.</summary>
/// <remarks>
/// Capabilities are each thread's own, and the runtime has threads before the first line of a program runs: what one thread gives up
/// the others keep. execve(2) ends all threads but the calling one, and the new program's have what that one had. So this is followed
/// by <see cref="ProcessImage.Replace"/>.
/// </remarks>
public static unsafe partial class Privileges
{
    /// <summary>CAP_NET_BIND_SERVICE: ports below 1024.</summary>
    public const int BindService = 10;

    /// <summary>CAP_NET_ADMIN.</summary>
    public const int NetworkAdministration = 12;

    private const int Capabilities = 64;
    private const uint Version3 = 0x20080522; // _LINUX_CAPABILITY_VERSION_3
    private const int BoundingDrop = 24; // PR_CAPBSET_DROP
    private const int BoundingRead = 23; // PR_CAPBSET_READ
    private const int NoNewPrivileges = 38; // PR_SET_NO_NEW_PRIVS
    private const int Ambient = 47; // PR_CAP_AMBIENT
    private const int AmbientRaise = 2;
    private const int AmbientClear = 4;

    /// <summary>
    /// Leaves the program that the calling thread executes next with these capabilities alone, as far as the thread has them, and
    /// without a way to others.
    /// </summary>
    /// <param name="kept">Their numbers.</param>
    /// <returns>0 or a negative error number.</returns>
    public static int KeepForNextProgram(ReadOnlySpan<int> kept)
    {
        ulong mask = 0;
        foreach (int capability in kept)
        {
            mask |= 1UL << capability;
        }

        int result = Get(out ulong permitted);
        if (result < 0)
        {
            return result;
        }

        // No set-user-id program gives more than what is there now, and neither does it to root that a program is executed.
        result = Result(PrctlNative(NoNewPrivileges, 1, 0, 0, 0));
        if (result < 0)
        {
            return result;
        }

        DropBounding(mask);
        _ = PrctlNative(Ambient, AmbientClear, 0, 0, 0);
        mask &= permitted;

        // To root an executed program gives all that is permitted; to another user what is ambient.
        bool isRoot = GetEffectiveUser() == 0;
        result = Set(mask, isRoot ? 0 : mask);
        for (int capability = 0; !isRoot && result == 0 && capability < Capabilities; capability++)
        {
            if ((mask & (1UL << capability)) != 0)
            {
                result = Result(PrctlNative(Ambient, AmbientRaise, (nuint)capability, 0, 0));
            }
        }

        return result;
    }

    // Needs CAP_SETPCAP. Without it what is not permitted cannot be had again either: no_new_privs is set.
    private static void DropBounding(ulong mask)
    {
        for (int capability = 0; capability < Capabilities; capability++)
        {
            if ((mask & (1UL << capability)) == 0 && PrctlNative(BoundingRead, (nuint)capability, 0, 0, 0) == 1)
            {
                _ = PrctlNative(BoundingDrop, (nuint)capability, 0, 0, 0);
            }
        }
    }

    private static int Get(out ulong permitted)
    {
        var header = new CapabilityHeader { Version = Version3 };
        CapabilitySets* sets = stackalloc CapabilitySets[2];
        int result = Result(CapgetNative(&header, sets));
        permitted = sets[0].Permitted | ((ulong)sets[1].Permitted << 32);
        return result;
    }

    private static int Set(ulong permitted, ulong inheritable)
    {
        var header = new CapabilityHeader { Version = Version3 };
        CapabilitySets* sets = stackalloc CapabilitySets[2];
        for (int half = 0; half < 2; half++)
        {
            sets[half].Permitted = sets[half].Effective = (uint)(permitted >> (half * 32));
            sets[half].Inheritable = (uint)(inheritable >> (half * 32));
        }

        return Result(CapsetNative(&header, sets));
    }

    private static int Result(int result) => result < 0 ? -Marshal.GetLastSystemError() : result;

    [LibraryImport("libc", EntryPoint = "prctl")]
    private static partial int PrctlNative(int option, nuint second, nuint third, nuint fourth, nuint fifth);

    [LibraryImport("libc", EntryPoint = "capget")]
    private static partial int CapgetNative(CapabilityHeader* header, CapabilitySets* sets);

    [LibraryImport("libc", EntryPoint = "capset")]
    private static partial int CapsetNative(CapabilityHeader* header, CapabilitySets* sets);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUser();

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilityHeader
    {
        internal uint Version;
        internal int Process;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilitySets
    {
        internal uint Effective;
        internal uint Permitted;
        internal uint Inheritable;
    }
}
