// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

public static unsafe partial class Libc
{
    /// <summary>getpid(2).</summary>
    public static int GetProcessId() => GetpidNative();

    /// <summary>kill(2): 0 or a negative error number, -ESRCH where there is no such process.</summary>
    /// <param name="process">The process; above 0, as others mean many at once.</param>
    /// <param name="signal">The signal's number.</param>
    public static int SendSignal(int process, int signal) => process > 0 ? Result(KillNative(process, signal)) : -Errno.Invalid;

    /// <summary>Nanoseconds of CLOCK_MONOTONIC, read in the process (vDSO) without a system call.</summary>
    public static long MonotonicNanoseconds()
    {
        TimeSpecification time;
        _ = ClockGettimeNative(1, &time);
        return (time.Seconds * 1_000_000_000L) + time.Nanoseconds;
    }

    /// <summary>setns(2) with CLONE_NEWNET: moves the calling thread, and no other, into a network namespace.</summary>
    public static int EnterNetworkNamespace(int fd) => Result(SetnsNative(fd, Constants.CloneNewNetwork));

    /// <summary>sched_setaffinity(2): pins the calling thread to one processor, 0 to 1023.</summary>
    public static int PinThread(int processor)
    {
        if ((uint)processor >= 1024)
        {
            return -Errno.Invalid;
        }

        ulong* mask = stackalloc ulong[16];
        new Span<ulong>(mask, 16).Clear();
        mask[processor / 64] = 1UL << (processor % 64);
        return Result(SchedSetaffinityNative(0, 16 * sizeof(ulong), mask));
    }

    /// <summary>prlimit(2) on the calling process: the soft and hard limit of a resource, in its own unit.</summary>
    public static int GetResourceLimit(int resource, out ResourceLimit limit)
    {
        fixed (ResourceLimit* pointer = &limit)
        {
            return Result(PrlimitNative(0, resource, null, pointer));
        }
    }

    /// <summary>prlimit(2) on the calling process.</summary>
    public static int SetResourceLimit(int resource, in ResourceLimit limit)
    {
        fixed (ResourceLimit* pointer = &limit)
        {
            return Result(PrlimitNative(0, resource, pointer, null));
        }
    }

    /// <summary>mmap(2): the address, or the negative error number.</summary>
    internal static nint Map(nuint length, int protection, int flags, int fd, long offset)
    {
        nint address = MmapNative(null, length, protection, flags, fd, (nint)offset);
        return address == -1 ? -Marshal.GetLastSystemError() : address;
    }

    /// <summary>munmap(2).</summary>
    internal static int Unmap(nint address, nuint length) => Result(MunmapNative((void*)address, length));

    /// <summary>madvise(2).</summary>
    internal static int Advise(nint address, nuint length, int advice) =>
        Result(MadviseNative((void*)address, length, advice));

    /// <summary>bpf(2).</summary>
    internal static long Bpf(long command, void* attributes, int size) =>
        Result(SyscallNative(ArchitectureConstants.Bpf, (nint)command, (nint)attributes, size));

    [LibraryImport(Library, EntryPoint = "getpid")]
    private static partial int GetpidNative();

    [LibraryImport(Library, EntryPoint = "kill")]
    private static partial int KillNative(int process, int signal);

    [LibraryImport(Library, EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static partial int ClockGettimeNative(int clock, TimeSpecification* time);

    [LibraryImport(Library, EntryPoint = "setns")]
    private static partial int SetnsNative(int fd, int type);

    [LibraryImport(Library, EntryPoint = "sched_setaffinity")]
    private static partial int SchedSetaffinityNative(int pid, nuint size, void* mask);

    [LibraryImport(Library, EntryPoint = "prlimit")]
    private static partial int PrlimitNative(int pid, int resource, ResourceLimit* replacement, ResourceLimit* old);

    [LibraryImport(Library, EntryPoint = "mmap")]
    private static partial nint MmapNative(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport(Library, EntryPoint = "munmap")]
    private static partial int MunmapNative(void* address, nuint length);

    [LibraryImport(Library, EntryPoint = "madvise")]
    private static partial int MadviseNative(void* address, nuint length, int advice);

    [LibraryImport(Library, EntryPoint = "syscall")]
    private static partial nint SyscallNative(nint number, nint first, nint second, nint third);
}
