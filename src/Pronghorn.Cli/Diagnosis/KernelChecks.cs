// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>Checks of the kernel and of what this process may do with it.</summary>
internal static class KernelChecks
{
    private const int CapabilityNetAdmin = 12;
    private const int CapabilityNetRaw = 13;
    private const int CapabilityIpcLock = 14;
    private const int CapabilitySysAdmin = 21;
    private const int CapabilityPerfmon = 38;
    private const int CapabilityBpf = 39;

    // Frames of one process: 64 MiB is what the default pool of 32768 frames of 2048 bytes locks.
    private const long FramePoolBytes = 64L << 20;

    // BPF links for XDP, which detach by themselves when their owner dies, came with 5.9.
    private static readonly Version s_minimumKernel = new(5, 10);

    internal static IEnumerable<Finding> Run(Machine machine)
    {
        yield return Kernel(machine);
        yield return Rights(machine);
        yield return AfXdp(machine);
        yield return Jit(machine);
        yield return TypeInformation(machine);
        yield return LockedMemory(machine);
        yield return HugePages(machine);
        yield return Processors();
    }

    private static Finding Kernel(Machine machine)
    {
        Version version = machine.KernelVersion;
        string release = machine.Read("proc/sys/kernel/osrelease") ?? "unknown";
        return version >= s_minimumKernel
            ? Finding.Ok("kernel", release)
            : Finding.Fail(
                "kernel", $"{release}; XDP programs that detach when their owner dies need {s_minimumKernel}",
                $"boot a kernel of at least {s_minimumKernel}");
    }

    private static Finding Rights(Machine machine)
    {
        List<string> missing = [];
        bool all = machine.HasCapability(CapabilitySysAdmin);
        Require(CapabilityNetAdmin, "CAP_NET_ADMIN", always: true);
        Require(CapabilityNetRaw, "CAP_NET_RAW", always: true);
        Require(CapabilityBpf, "CAP_BPF", always: false);
        Require(CapabilityPerfmon, "CAP_PERFMON", always: false);
        return missing.Count == 0
            ? Finding.Ok("rights", "may attach XDP programs and open AF_XDP sockets")
            : Finding.Fail(
                "rights", $"{string.Join(", ", missing)} not in effect: neither XDP programs nor AF_XDP sockets are allowed",
                "run as root, or give the program these capabilities (systemd: AmbientCapabilities=)");

        void Require(int number, string name, bool always)
        {
            if (!machine.HasCapability(number) && (always || !all))
            {
                missing.Add(name);
            }
        }
    }

    private static Finding AfXdp(Machine machine) =>
        machine.Lines("proc/net/protocols").Any(line => line.StartsWith("XDP ", StringComparison.Ordinal))
            ? Finding.Ok("AF_XDP", "the kernel has the socket family")
            : Finding.Fail(
                "AF_XDP", "the kernel does not know the socket family",
                "boot a kernel with CONFIG_XDP_SOCKETS=y (every current distribution has it)");

    private static Finding Jit(Machine machine) => machine.Read("proc/sys/net/core/bpf_jit_enable") switch
    {
        "1" or "2" => Finding.Ok("BPF JIT", "on"),
        "0" => Finding.Warn(
            "BPF JIT", "off: the steering program is interpreted, several times slower",
            "sysctl net.core.bpf_jit_enable=1"),
        _ => Finding.Warn("BPF JIT", "cannot be told", "look at /proc/sys/net/core/bpf_jit_enable as root"),
    };

    private static Finding TypeInformation(Machine machine) => machine.Exists("sys/kernel/btf/vmlinux")
        ? Finding.Ok("BTF", "the kernel describes its types")
        : Finding.Warn(
            "BTF", "/sys/kernel/btf/vmlinux is missing; the steering program works without it, bpftool shows less",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y");

    private static Finding LockedMemory(Machine machine)
    {
        const string Check = "locked memory";
        if (machine.HasCapability(CapabilityIpcLock))
        {
            return Finding.Ok(Check, "CAP_IPC_LOCK is in effect: no limit");
        }

        long? limit = machine.LockedMemoryLimit;
        return limit is null or >= FramePoolBytes
            ? Finding.Ok(Check, limit is null ? "no limit" : $"{limit >> 20} MiB allowed")
            : Finding.Fail(
                Check, string.Create(
                    CultureInfo.InvariantCulture,
                    $"{limit >> 20} MiB allowed, frames of one process need {FramePoolBytes >> 20} MiB"),
                "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)");
    }

    private static Finding HugePages(Machine machine)
    {
        string? total = machine.Field("proc/meminfo", "HugePages_Total");
        return total is not null and not "0"
            ? Finding.Ok("huge pages", $"{total} reserved, {machine.Field("proc/meminfo", "HugePages_Free")} free")
            : Finding.Ok("huge pages", "none reserved; they are not required");
    }

    private static Finding Processors() => Environment.ProcessorCount >= 2
        ? Finding.Ok("CPUs", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture))
        : Finding.Warn("CPUs", "one: a program that polls takes it from all others", "give the machine a second CPU");
}
