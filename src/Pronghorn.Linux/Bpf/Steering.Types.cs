// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Bpf;

/// <summary>How an owned local end is steered (struct owned_value in bpf/common/maps.h).</summary>
[Flags]
public enum SteeringOptions : uint
{
    /// <summary>Everything to that end is ours.</summary>
    None = 0,

    /// <summary>
    /// The kernel may still hold connections of this port: it is asked for each segment, and keeps its own. To be cleared
    /// when the last one is gone, because it costs a lookup for each packet.
    /// </summary>
    CheckKernel = 1,

    /// <summary>
    /// We do not listen there, only what was begun goes on: where the kernel listens, new connections are its own. With
    /// <see cref="CheckKernel"/>, or what follows on the SYN would come to us.
    /// </summary>
    Lingering = 2,
}

/// <summary>How the steering program is attached.</summary>
public enum XdpAttachMode : byte
{
    /// <summary>In the driver if it can, else generic.</summary>
    Automatic,

    /// <summary>In the driver (XDP_FLAGS_DRV_MODE).</summary>
    Native,

    /// <summary>On socket buffers, behind the driver (XDP_FLAGS_SKB_MODE).</summary>
    Generic,
}

/// <summary>What the steering program counts. The order is that of enum counter in bpf/common/maps.h.</summary>
public enum SteeringCounter
{
    /// <summary>Packets given to user space.</summary>
    Redirected,

    /// <summary>Packets that are not ours, left to the kernel.</summary>
    Passed,

    /// <summary>Packets of an owned port left to the kernel, which holds their connection.</summary>
    PassedKernelSocket,

    /// <summary>Packets too short or with a bad header, left to the kernel to judge.</summary>
    Malformed,

    /// <summary>ICMP errors about our packets given to user space.</summary>
    IcmpRedirected,

    /// <summary>First fragments given to user space.</summary>
    FragmentRedirected,

    /// <summary>Later fragments, left to the kernel.</summary>
    FragmentPassed,

    /// <summary>Owned packets left to the kernel because no socket is bound to their queue.</summary>
    NoSocket,
}

/// <summary>One value for each <see cref="SteeringCounter"/>, summed over all processors.</summary>
[InlineArray(Count)]
public struct SteeringCounters
{
    /// <summary>Number of counters.</summary>
    public const int Count = 8;

    private ulong _first;

    /// <summary>The value of one counter.</summary>
    public readonly ulong this[SteeringCounter counter] => ((ReadOnlySpan<ulong>)this)[(int)counter];
}

/// <summary>Which step of loading and attaching failed.</summary>
public enum SteeringStep : byte
{
    /// <summary>None failed.</summary>
    None,

    /// <summary>libbpf.so.1 is not installed.</summary>
    FindLibrary,

    /// <summary>Reading the object file.</summary>
    OpenObject,

    /// <summary>Making the maps and verifying the program: EPERM without CAP_BPF and CAP_NET_ADMIN.</summary>
    Load,

    /// <summary>Attaching: EBUSY or EEXIST when another program is attached.</summary>
    Attach,
}

/// <summary>struct owned_key of bpf/common/maps.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct OwnedKey
{
    public byte Protocol;
    public byte Reserved;
    public fixed byte Port[2];
    public fixed byte Address[16];
}
