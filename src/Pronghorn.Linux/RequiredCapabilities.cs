// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.Linux;

/// <summary>
/// The capabilities (capabilities(7)) that a program on the stack needs in effect. CAP_PERFMON because the verifier refuses the
/// pointer arithmetic that compilers make of the steering program without it (bpf_allow_ptr_leaks in kernel/bpf/verifier.c).
/// Locked memory is apart: CAP_IPC_LOCK, or RLIMIT_MEMLOCK for the frames.
/// </summary>
public static class RequiredCapabilities
{
    /// <summary>All of them, for a message.</summary>
    public const string Names = "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON";

    /// <summary>CAP_IPC_LOCK: memory is locked without limit.</summary>
    public const int LockMemory = 14;

    /// <summary>CAP_SYS_ADMIN, which stands in for those that were split off it.</summary>
    public const int SystemAdministration = 21;

    /// <summary>CAP_SYS_RESOURCE: limits may be raised by whoever needs it.</summary>
    public const int SystemResources = 24;

    /// <summary>Each by number and name, and whether CAP_SYS_ADMIN stands in for it.</summary>
    public static IEnumerable<(int Number, string Name, bool HasStandIn)> All =>
    [
        (12, "CAP_NET_ADMIN", false),
        (13, "CAP_NET_RAW", false),
        (39, "CAP_BPF", true),
        (38, "CAP_PERFMON", true),
    ];
}
