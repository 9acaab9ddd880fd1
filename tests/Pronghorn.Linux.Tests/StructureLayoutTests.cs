// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Compares every structure with what the C compiler says of the kernel's headers.</summary>
public sealed class StructureLayoutTests
{
    [Fact]
    public void Structures_ComparedWithTheHeaders_HaveTheSameSizesAndOffsets()
    {
        var expected = new Dictionary<string, int>();
        AddSockets(expected);
        AddXdp(expected);
        AddDevices(expected);
        AddBpf(expected);
        Dictionary<string, int> actual = RunC(expected.Keys);
        Assert.Equal(expected, actual);
    }

    private static void AddSockets(Dictionary<string, int> values)
    {
        values["sizeof(struct pollfd)"] = Unsafe.SizeOf<PollDescriptor>();
        Offset<PollDescriptor>(values, "pollfd", "revents", nameof(PollDescriptor.Returned));
        values["sizeof(struct rlimit64)"] = Unsafe.SizeOf<ResourceLimit>();
        Offset<ResourceLimit>(values, "rlimit64", "rlim_max", nameof(ResourceLimit.Hard));
        values["sizeof(struct timespec)"] = Unsafe.SizeOf<TimeSpecification>();
        values["sizeof(struct sockaddr_nl)"] = Unsafe.SizeOf<NetlinkAddress>();
        Offset<NetlinkAddress>(values, "sockaddr_nl", "nl_groups", nameof(NetlinkAddress.Groups));
        values["__NR_bpf"] = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 321 : 280;
        values["SO_SNDBUFFORCE"] = Constants.SocketSendBufferForce;
        values["SO_RCVBUFFORCE"] = Constants.SocketReceiveBufferForce;
        values["SOCK_CLOEXEC"] = Constants.SocketCloseOnExec;
        values["SOCK_NONBLOCK"] = Constants.SocketNonBlocking;
        values["MADV_DONTFORK"] = Constants.AdviceDontFork;
        values["MAP_ANONYMOUS"] = Constants.MapAnonymous;
        values["MAP_POPULATE"] = Constants.MapPopulate;
        values["F_DUPFD_CLOEXEC"] = Constants.FcntlDuplicateCloseOnExec;
        values["RLIMIT_MEMLOCK"] = Constants.ResourceLockedMemory;
        values["RLIMIT_NOFILE"] = Constants.ResourceOpenFiles;
        values["CLONE_NEWNET"] = Constants.CloneNewNetwork;
        values["MSG_TRUNC"] = Constants.MessageTruncate;
        values["MSG_DONTWAIT"] = Constants.MessageDontWait;
    }

    private static void AddXdp(Dictionary<string, int> values)
    {
        values["sizeof(struct sockaddr_xdp)"] = Unsafe.SizeOf<XdpAddress>();
        Offset<XdpAddress>(values, "sockaddr_xdp", "sxdp_flags", nameof(XdpAddress.Flags));
        Offset<XdpAddress>(values, "sockaddr_xdp", "sxdp_ifindex", nameof(XdpAddress.InterfaceIndex));
        Offset<XdpAddress>(values, "sockaddr_xdp", "sxdp_queue_id", nameof(XdpAddress.QueueId));
        Offset<XdpAddress>(values, "sockaddr_xdp", "sxdp_shared_umem_fd", nameof(XdpAddress.SharedUmemDescriptor));
        values["sizeof(struct xdp_mmap_offsets)"] = Unsafe.SizeOf<MapOffsets>();
        Offset<MapOffsets>(values, "xdp_mmap_offsets", "tx", nameof(MapOffsets.Transmit));
        Offset<MapOffsets>(values, "xdp_mmap_offsets", "fr", nameof(MapOffsets.Fill));
        Offset<MapOffsets>(values, "xdp_mmap_offsets", "cr", nameof(MapOffsets.Completion));
        Offset<RingOffsets>(values, "xdp_ring_offset", "consumer", nameof(RingOffsets.Consumer));
        Offset<RingOffsets>(values, "xdp_ring_offset", "desc", nameof(RingOffsets.Descriptors));
        Offset<RingOffsets>(values, "xdp_ring_offset", "flags", nameof(RingOffsets.Flags));
        Offset<UmemRegistration>(values, "xdp_umem_reg", "chunk_size", nameof(UmemRegistration.ChunkSize));
        Offset<UmemRegistration>(values, "xdp_umem_reg", "headroom", nameof(UmemRegistration.Headroom));
        Offset<UmemRegistration>(values, "xdp_umem_reg", "flags", nameof(UmemRegistration.Flags));
        values["sizeof(struct xdp_desc)"] = Unsafe.SizeOf<XdpDescriptor>();
        Offset<XdpDescriptor>(values, "xdp_desc", "len", nameof(XdpDescriptor.Length));
        values["sizeof(struct xdp_statistics)"] = Unsafe.SizeOf<XskKernelStatistics>();
        Offset<XskKernelStatistics>(
            values, "xdp_statistics", "rx_fill_ring_empty_descs", nameof(XskKernelStatistics.FillRingEmpty));
        Offset<XskKernelStatistics>(
            values, "xdp_statistics", "rx_ring_full", nameof(XskKernelStatistics.ReceiveRingFull));
    }

    private static void AddDevices(Dictionary<string, int> values)
    {
        values["sizeof(struct ifreq)"] = Unsafe.SizeOf<InterfaceRequest>();
        Offset<InterfaceRequest>(values, "ifreq", "ifr_mtu", nameof(InterfaceRequest.Integer));
        Offset<InterfaceRequest>(values, "ifreq", "ifr_flags", nameof(InterfaceRequest.Flags));
        Offset<InterfaceRequest>(values, "ifreq", "ifr_hwaddr.sa_data", nameof(InterfaceRequest.Hardware));
        Offset<InterfaceRequest>(values, "ifreq", "ifr_data", nameof(InterfaceRequest.Pointer));
        values["sizeof(struct ethtool_drvinfo)"] = Unsafe.SizeOf<DriverInformation>();
        Offset<DriverInformation>(values, "ethtool_drvinfo", "driver", nameof(DriverInformation.Driver));
        values["sizeof(struct ethtool_channels)"] = Unsafe.SizeOf<DeviceChannels>();
        Offset<DeviceChannels>(values, "ethtool_channels", "rx_count", nameof(DeviceChannels.Receive));
        Offset<DeviceChannels>(values, "ethtool_channels", "combined_count", nameof(DeviceChannels.Combined));
        values["SIOCGIFINDEX"] = (int)Constants.IoctlGetIndex;
        values["SIOCGIFMTU"] = (int)Constants.IoctlGetMtu;
        values["SIOCGIFFLAGS"] = (int)Constants.IoctlGetFlags;
        values["SIOCGIFHWADDR"] = (int)Constants.IoctlGetHardwareAddress;
        values["SIOCETHTOOL"] = (int)Constants.IoctlEthtool;
    }

    private static void AddBpf(Dictionary<string, int> values)
    {
        values["sizeof(struct owned_key)"] = Unsafe.SizeOf<OwnedKey>();
        Offset<OwnedKey>(values, "owned_key", "port", nameof(OwnedKey.Port));
        Offset<OwnedKey>(values, "owned_key", "address", nameof(OwnedKey.Address));
        values["COUNTER_COUNT"] = SteeringCounters.Count;
        values["COUNTER_REDIRECTED"] = (int)SteeringCounter.Redirected;
        values["COUNTER_PASSED"] = (int)SteeringCounter.Passed;
        values["COUNTER_PASSED_KERNEL_SOCKET"] = (int)SteeringCounter.PassedKernelSocket;
        values["COUNTER_MALFORMED"] = (int)SteeringCounter.Malformed;
        values["COUNTER_ICMP_REDIRECTED"] = (int)SteeringCounter.IcmpRedirected;
        values["COUNTER_FRAGMENT_REDIRECTED"] = (int)SteeringCounter.FragmentRedirected;
        values["COUNTER_FRAGMENT_PASSED"] = (int)SteeringCounter.FragmentPassed;
        values["COUNTER_NO_SOCKET"] = (int)SteeringCounter.NoSocket;
        values["OWNED_CHECK_KERNEL"] = (int)SteeringOptions.CheckKernel;
        values["offsetof(struct bpf_prog_info, name)"] = BpfSyscall.NameOffset;
        values["offsetof(struct bpf_prog_info, jited_prog_len)"] = BpfSyscall.CompiledLengthOffset;
        values["offsetof(struct bpf_prog_info, xlated_prog_len)"] = BpfSyscall.TranslatedLengthOffset;
        values["BPF_XDP"] = BpfSyscall.AttachTypeXdp;
    }

    private static void Offset<T>(Dictionary<string, int> values, string structure, string cField, string field)
        where T : unmanaged =>
        values[$"offsetof(struct {structure}, {cField})"] = (int)Marshal.OffsetOf<T>(field);

    private static Dictionary<string, int> RunC(IEnumerable<string> expressions)
    {
        var source = new StringBuilder();
        source.AppendLine("#define _GNU_SOURCE");
        foreach (string header in (string[])["fcntl.h", "poll.h", "sched.h", "stddef.h", "stdio.h", "time.h", "sys/mman.h",
            "sys/resource.h", "sys/socket.h", "sys/syscall.h", "net/if.h", "linux/bpf.h", "linux/ethtool.h",
            "linux/if_xdp.h", "linux/netlink.h", "linux/sockios.h"])
        {
            source.AppendLine($"#include <{header}>");
        }

        source.AppendLine("#define SEC(name)").AppendLine("#define __uint(name, value) int (*name)[value]");
        source.AppendLine("#define __type(name, value) __typeof__(value) *name");
        source.AppendLine("#define __always_inline inline");
        source.AppendLine("static void *bpf_map_lookup_elem(void *map, const void *key) { return key ? map : 0; }");
        source.AppendLine("#include \"maps_without_helpers.h\"").AppendLine("int main(void) {");
        foreach (string expression in expressions)
        {
            source.AppendLine($"printf(\"%d\\t{expression}\\n\", (int)({expression}));");
        }

        source.AppendLine("}");
        return Compile(source.ToString());
    }

    private static Dictionary<string, int> Compile(string source)
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-layout-");
        try
        {
            string common = Path.Combine(TreeRoot(), "bpf", "common");
            string maps = File.ReadAllText(Path.Combine(common, "maps.h"))
                .Replace("#include <bpf/bpf_helpers.h>", string.Empty, StringComparison.Ordinal);
            File.WriteAllText(Path.Combine(directory.FullName, "maps_without_helpers.h"), maps);
            string file = Path.Combine(directory.FullName, "layout");
            File.WriteAllText(file + ".c", source);
            LabCommand.Run("gcc", "-w", "-I", directory.FullName, "-I", common, file + ".c", "-o", file);
            var values = new Dictionary<string, int>();
            foreach (string line in LabCommand.Run(file).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                string[] parts = line.Split('\t');
                values[parts[1]] = int.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture);
            }

            return values;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    // Upward from the assembly: a deterministic build puts no real path of the source into it.
    private static string TreeRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "Pronghorn.slnx")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new DirectoryNotFoundException("no Pronghorn.slnx above " + AppContext.BaseDirectory);
    }
}
