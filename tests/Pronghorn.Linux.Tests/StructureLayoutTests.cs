// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Compares every structure with what the C compiler says of the kernel's headers.</summary>
public sealed class StructureLayoutTests
{
    [Theory]
    [InlineData(HeaderCheck.X64, Architecture.X64)]
    [InlineData(HeaderCheck.Arm64, Architecture.Arm64)]
    public void Structures_ComparedWithTheHeaders_HaveTheSameSizesAndOffsets(string target, Architecture architecture)
    {
        var stated = new Dictionary<string, long>();
        AddSockets(stated);
        AddFiles(stated, architecture);
        AddTcp(stated);
        AddXdp(stated);
        AddDevices(stated);
        AddBpf(stated);
        Assert.Empty(Compile(target, stated));
    }

    [Fact]
    public void WrongNumber_ComparedWithTheHeaders_IsFound()
    {
        var stated = new Dictionary<string, long> { ["O_NOFOLLOW"] = ArchitectureConstants.OpenNoFollowOn(Architecture.X64) };
        Assert.Contains("O_NOFOLLOW", Assert.Single(Compile(HeaderCheck.Arm64, stated)), StringComparison.Ordinal);
        Assert.Throws<LabException>(() => Compile(HeaderCheck.Arm64, new Dictionary<string, long> { ["NO_SUCH_NAME"] = 1 }));
    }

    private static void AddSockets(Dictionary<string, long> values)
    {
        values["sizeof(struct pollfd)"] = Unsafe.SizeOf<PollDescriptor>();
        Offset<PollDescriptor>(values, "pollfd", "revents", nameof(PollDescriptor.Returned));
        values["sizeof(struct rlimit64)"] = Unsafe.SizeOf<ResourceLimit>();
        Offset<ResourceLimit>(values, "rlimit64", "rlim_max", nameof(ResourceLimit.Hard));
        values["sizeof(struct timespec)"] = Unsafe.SizeOf<TimeSpecification>();
        values["sizeof(struct sockaddr_nl)"] = Unsafe.SizeOf<NetlinkAddress>();
        Offset<NetlinkAddress>(values, "sockaddr_nl", "nl_groups", nameof(NetlinkAddress.Groups));
        values["AF_INET"] = Constants.AddressFamilyInet;
        values["AF_INET6"] = Constants.AddressFamilyInet6;
        values["AF_NETLINK"] = Constants.AddressFamilyNetlink;
        values["AF_XDP"] = Constants.AddressFamilyXdp;
        values["SOCK_DGRAM"] = Constants.SocketDatagram;
        values["SOCK_RAW"] = Constants.SocketRaw;
        values["SOL_SOCKET"] = Constants.SocketLevel;
        values["SO_PREFER_BUSY_POLL"] = Constants.SocketPreferBusyPoll;
        values["SO_SNDBUFFORCE"] = Constants.SocketSendBufferForce;
        values["SO_RCVBUFFORCE"] = Constants.SocketReceiveBufferForce;
        values["SOCK_CLOEXEC"] = Constants.SocketCloseOnExec;
        values["SOCK_NONBLOCK"] = Constants.SocketNonBlocking;
        values["MSG_TRUNC"] = Constants.MessageTruncate;
        values["MSG_DONTWAIT"] = Constants.MessageDontWait;
    }

    private static void AddTcp(Dictionary<string, long> values)
    {
        values["sizeof(struct msghdr)"] = Unsafe.SizeOf<MessageHeader>();
        Offset<MessageHeader>(values, "msghdr", "msg_control", nameof(MessageHeader.Control));
        Offset<MessageHeader>(values, "msghdr", "msg_flags", nameof(MessageHeader.Flags));
        values["sizeof(struct iovec)"] = Unsafe.SizeOf<IoVector>();
        values["sizeof(struct cmsghdr)"] = 16;
        values["sizeof(struct sockaddr_in6)"] = Unsafe.SizeOf<InternetAddress>();
        values["sizeof(struct sockaddr_in)"] = InternetAddress.Ipv4Length;
        values["sizeof(struct tcp_repair_window)"] = TcpRepairWindow.Length;
        Offset<TcpRepairWindow>(values, "tcp_repair_window", "snd_wnd", nameof(TcpRepairWindow.SndWnd));
        Offset<TcpRepairWindow>(values, "tcp_repair_window", "rcv_wup", nameof(TcpRepairWindow.RcvWup));
        values["TCP_REPAIR"] = TcpRepair.OptionRepair;
        values["TCP_REPAIR_QUEUE"] = TcpRepair.OptionRepairQueue;
        values["TCP_QUEUE_SEQ"] = TcpRepair.OptionQueueSequence;
        values["TCP_REPAIR_OPTIONS"] = TcpRepair.OptionRepairOptions;
        values["TCP_TIMESTAMP"] = TcpRepair.OptionTimestamp;
        values["TCP_REPAIR_WINDOW"] = TcpRepair.OptionRepairWindow;
        values["TCP_MAXSEG"] = TcpRepair.OptionMaximumSegment;
        values["TCP_REPAIR_OFF_NO_WP"] = TcpRepair.RepairOffNoProbe;
        values["TCP_RECV_QUEUE"] = (long)RepairSide.Receive;
        values["TCP_SEND_QUEUE"] = (long)RepairSide.Send;
        values["SIOCOUTQ"] = (long)TcpRepair.OutputQueue;
        values["SIOCOUTQNSD"] = (long)TcpRepair.OutputQueueNotSent;
        values["SIOCINQ"] = (long)TcpRepair.InputQueue;
        values["MSG_PEEK"] = TcpRepair.MessagePeek;
        values["offsetof(struct tcp_info, tcpi_rto)"] = TcpInformation.OffsetOfRetransmissionTimeout;
        values["offsetof(struct tcp_info, tcpi_snd_cwnd)"] = TcpInformation.OffsetOfCongestionWindow;
        values["offsetof(struct tcp_info, tcpi_total_retrans)"] = TcpInformation.OffsetOfRetransmissions;
        values["TCP_INFO"] = TcpInformation.Option;
        values["TCPI_OPT_ECN"] = (long)TcpNegotiated.Ecn;
        values["TUNSETIFF"] = (long)TapDevice.SetInterface;
        values["SIOCSIFFLAGS"] = (long)TapDevice.SetFlags;
        values["SIOCSIFMTU"] = (long)TapDevice.SetMtu;
        values["SIOCSIFTXQLEN"] = (long)TapDevice.SetQueueLength;
        values["IFF_TAP"] = TapDevice.Tap;
        values["IFF_NO_PI"] = TapDevice.NoInformation;
    }

    private static void AddFiles(Dictionary<string, long> values, Architecture architecture)
    {
        values["__NR_bpf"] = ArchitectureConstants.BpfOn(architecture);
        values["O_NOFOLLOW"] = ArchitectureConstants.OpenNoFollowOn(architecture);
        values["sizeof(struct epoll_event)"] = ArchitectureConstants.EpollEventSizeOn(architecture);
        values["O_RDWR"] = SharedPage.OpenReadWrite;
        values["O_CREAT"] = SharedPage.OpenCreate;
        values["O_EXCL"] = SharedPage.OpenExclusive;
        values["O_CLOEXEC"] = Constants.SocketCloseOnExec;
        values["PROT_READ"] = Constants.ProtectionRead;
        values["PROT_WRITE"] = Constants.ProtectionWrite;
        values["MAP_SHARED"] = Constants.MapShared;
        values["IFF_UP"] = Constants.InterfaceUp;
        values["MADV_DONTFORK"] = Constants.AdviceDontFork;
        values["MAP_ANONYMOUS"] = Constants.MapAnonymous;
        values["MAP_POPULATE"] = Constants.MapPopulate;
        values["F_DUPFD_CLOEXEC"] = Constants.FcntlDuplicateCloseOnExec;
        values["RLIMIT_MEMLOCK"] = Constants.ResourceLockedMemory;
        values["RLIMIT_NOFILE"] = Constants.ResourceOpenFiles;
        values["CLONE_NEWNET"] = Constants.CloneNewNetwork;
        AddErrors(values);
    }

    private static void AddErrors(Dictionary<string, long> values)
    {
        values["EPERM"] = Errno.OperationNotPermitted;
        values["ENOENT"] = Errno.NoEntry;
        values["EINTR"] = Errno.Interrupted;
        values["ENXIO"] = Errno.NoDeviceOrAddress;
        values["E2BIG"] = Errno.TooBig;
        values["EBADF"] = Errno.BadDescriptor;
        values["EAGAIN"] = Errno.TryAgain;
        values["ENOMEM"] = Errno.NoMemory;
        values["EACCES"] = Errno.AccessDenied;
        values["EFAULT"] = Errno.BadAddress;
        values["EBUSY"] = Errno.Busy;
        values["EEXIST"] = Errno.Exists;
        values["ENODEV"] = Errno.NoDevice;
        values["EINVAL"] = Errno.Invalid;
        values["ENOSPC"] = Errno.NoSpace;
        values["ERANGE"] = Errno.Range;
        values["ENOSYS"] = Errno.NotImplemented;
        values["EPROTONOSUPPORT"] = Errno.ProtocolNotSupported;
        values["EOPNOTSUPP"] = Errno.NotSupported;
        values["EAFNOSUPPORT"] = Errno.AddressFamilyNotSupported;
        values["ENOPROTOOPT"] = Errno.NoProtocolOption;
        values["ENETDOWN"] = Errno.NetworkDown;
        values["ENOBUFS"] = Errno.NoBuffers;
    }

    private static void AddXdp(Dictionary<string, long> values)
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

    private static void AddDevices(Dictionary<string, long> values)
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

    private static void AddBpf(Dictionary<string, long> values)
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

    private static void Offset<T>(Dictionary<string, long> values, string structure, string cField, string field)
        where T : unmanaged =>
        values[$"offsetof(struct {structure}, {cField})"] = (int)Marshal.OffsetOf<T>(field);

    private static IReadOnlyList<string> Compile(string target, Dictionary<string, long> stated)
    {
        var prologue = new StringBuilder();
        prologue.AppendLine("#define _GNU_SOURCE");
        foreach (string header in (string[])["errno.h", "fcntl.h", "poll.h", "sched.h", "stddef.h", "time.h", "sys/epoll.h", "sys/mman.h",
            "sys/ioctl.h", "sys/resource.h", "sys/socket.h", "sys/syscall.h", "net/if.h", "linux/bpf.h", "linux/ethtool.h",
            "linux/if_xdp.h", "linux/netlink.h", "linux/sockios.h", "netinet/in.h", "linux/tcp.h", "linux/if_tun.h"])
        {
            prologue.AppendLine($"#include <{header}>");
        }

        prologue.AppendLine("#define SEC(name)").AppendLine("#define __uint(name, value) int (*name)[value]");
        prologue.AppendLine("#define __type(name, value) __typeof__(value) *name");
        prologue.AppendLine("#define __always_inline inline");
        prologue.AppendLine("static void *bpf_map_lookup_elem(void *map, const void *key) { return key ? map : 0; }");
        string common = Path.Combine(TreeRoot(), "bpf", "common");
        prologue.AppendLine(File.ReadAllText(Path.Combine(common, "maps.h"))
            .Replace("#include <bpf/bpf_helpers.h>", string.Empty, StringComparison.Ordinal));
        return HeaderCheck.Mismatches(target, prologue.ToString(), [common], stated);
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
