// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.Devices;
using Pronghorn.Linux;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>Checks of the kernel and of what this process may do with it.</summary>
internal static class KernelChecks
{
    // BPF links for XDP, which detach by themselves when their owner dies, came with 5.9.
    private static readonly Version s_minimumKernel = new(5, 10);

    /// <param name="machine">What the kernel says in files.</param>
    /// <param name="isCompiled">Whether the kernel compiles BPF programs; null where trying is not allowed.</param>
    internal static IEnumerable<Finding> Run(Machine machine, Func<bool?> isCompiled)
    {
        yield return Kernel(machine);
        yield return Rights(machine);
        yield return AfXdp(machine);
        yield return Jit(machine, isCompiled());
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
        bool all = machine.HasCapability(RequiredCapabilities.SystemAdministration);
        List<string> missing =
        [
            .. RequiredCapabilities.All
                .Where(wanted => !machine.HasCapability(wanted.Number) && !(wanted.HasStandIn && all))
                .Select(wanted => wanted.Name),
        ];
        return missing.Count == 0
            ? Finding.Ok("rights", "may attach XDP programs and open AF_XDP sockets")
            : Finding.Fail(
                "rights", $"{string.Join(", ", missing)} not in effect: neither XDP programs nor AF_XDP sockets are allowed",
                $"run as root, or give the program {RequiredCapabilities.Names} (systemd: AmbientCapabilities=)");
    }

    private static Finding AfXdp(Machine machine) =>
        machine.Lines("proc/net/protocols").Any(line => line.StartsWith("XDP ", StringComparison.Ordinal))
            ? Finding.Ok("AF_XDP", "the kernel has the socket family")
            : Finding.Fail(
                "AF_XDP", "the kernel does not know the socket family",
                "boot a kernel with CONFIG_XDP_SOCKETS=y (every current distribution has it)");

    // The sysctl is for where a program may not be loaded to see; in other network namespaces than the first it does not exist.
    private static Finding Jit(Machine machine, bool? isCompiled)
    {
        isCompiled ??= machine.Read("proc/sys/net/core/bpf_jit_enable") switch
        {
            "1" or "2" => true,
            "0" => false,
            _ => null,
        };
        return isCompiled switch
        {
            true => Finding.Ok("BPF JIT", "on"),
            false => Finding.Warn(
                "BPF JIT", "off: the steering program is interpreted, several times slower",
                "sysctl net.core.bpf_jit_enable=1, in the host's own network namespace"),
            _ => Finding.Warn("BPF JIT", "cannot be told without CAP_BPF", "run pronghorn doctor as root"),
        };
    }

    private static Finding TypeInformation(Machine machine) => machine.Exists("sys/kernel/btf/vmlinux")
        ? Finding.Ok("BTF", "the kernel describes its types")
        : Finding.Warn(
            "BTF", "/sys/kernel/btf/vmlinux is missing; the steering program works without it, bpftool shows less",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y");

    private static Finding LockedMemory(Machine machine)
    {
        const string Check = "locked memory";
        string? right = machine.HasCapability(RequiredCapabilities.LockMemory) ? "CAP_IPC_LOCK"
            : machine.HasCapability(RequiredCapabilities.SystemResources) ? "CAP_SYS_RESOURCE"
            : null;
        if (right is not null)
        {
            return Finding.Ok(Check, $"{right} is in effect: no limit");
        }

        int frames = machine.FrameCount;
        long needed = (long)frames * XdpDeviceOptions.DefaultFrameSize;

        // A program raises its soft limit by itself while it opens the device; the hard one is what counts.
        long? limit = machine.LockedMemoryLimit;
        return limit is null || limit >= needed
            ? Finding.Ok(Check, limit is null ? "no limit" : $"{limit >> 10} KiB allowed, {needed >> 10} KiB needed for {frames} frames")
            : Finding.Fail(
                Check, string.Create(
                    CultureInfo.InvariantCulture,
                    $"{limit >> 10} KiB allowed, the {frames} frames of one process need {needed >> 10} KiB"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"ulimit -l {needed >> 10} (systemd: LimitMEMLOCK=infinity), CAP_IPC_LOCK, or fewer frames: ")
                + string.Create(
                    CultureInfo.InvariantCulture,
                    $"{XdpDeviceOptions.FrameCountVariable}={limit / XdpDeviceOptions.DefaultFrameSize}"));
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
