// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>Compares what is given to bpf(2), libbpf and sock_diag(7) with what the C compiler says of their headers.</summary>
public sealed class BpfLayoutTests
{
    private const string Prologue =
        """
        #define _GNU_SOURCE
        #include <stddef.h>
        #include <sys/socket.h>
        #include <linux/bpf.h>
        #include <linux/inet_diag.h>
        #include <linux/sock_diag.h>
        #include <linux/netlink.h>
        #include <bpf/libbpf.h>

        """;

    [Theory]
    [InlineData(HeaderCheck.X64)]
    [InlineData(HeaderCheck.Arm64)]
    public void NumbersAndLayouts_ComparedWithTheHeaders_AreTheSame(string target)
    {
        var stated = new Dictionary<string, long>();
        AddNumbers(stated);
        AddAttributes(stated);
        AddLibrary(stated);
        AddDiagnostics(stated);
        Assert.Empty(HeaderCheck.Mismatches(target, Prologue, [], stated));
    }

    private static void AddNumbers(Dictionary<string, long> values)
    {
        values["BPF_MAP_TYPE_PERCPU_HASH"] = (long)BpfMapType.PerProcessorHash;
        values["BPF_MAP_TYPE_LRU_PERCPU_HASH"] = (long)BpfMapType.LruPerProcessorHash;
        values["BPF_MAP_TYPE_LRU_HASH"] = (long)BpfMapType.LruHash;
        values["BPF_MAP_TYPE_LPM_TRIE"] = (long)BpfMapType.LpmTrie;
        values["BPF_MAP_TYPE_HASH_OF_MAPS"] = (long)BpfMapType.HashOfMaps;
        values["BPF_MAP_TYPE_ARRAY_OF_MAPS"] = (long)BpfMapType.ArrayOfMaps;
        values["BPF_MAP_TYPE_DEVMAP"] = (long)BpfMapType.DeviceMap;
        values["BPF_MAP_TYPE_SK_STORAGE"] = (long)BpfMapType.SocketStorage;
        values["BPF_MAP_TYPE_RINGBUF"] = (long)BpfMapType.RingBuffer;
        values["BPF_MAP_TYPE_PROG_ARRAY"] = (long)BpfMapType.ProgramArray;
        values["BPF_PROG_TYPE_SCHED_CLS"] = (long)BpfProgramType.TrafficClassifier;
        values["BPF_PROG_TYPE_XDP"] = (long)BpfProgramType.Xdp;
        values["BPF_PROG_TYPE_CGROUP_SOCK"] = (long)BpfProgramType.CgroupSocket;
        values["BPF_PROG_TYPE_CGROUP_SOCK_ADDR"] = (long)BpfProgramType.CgroupSocketAddress;
        values["BPF_CGROUP_INET4_CONNECT"] = (long)BpfAttachType.Connect4;
        values["BPF_CGROUP_INET6_CONNECT"] = (long)BpfAttachType.Connect6;
        values["BPF_CGROUP_INET4_POST_BIND"] = (long)BpfAttachType.PostBind4;
        values["BPF_CGROUP_INET6_POST_BIND"] = (long)BpfAttachType.PostBind6;
        values["BPF_CGROUP_UDP4_SENDMSG"] = (long)BpfAttachType.SendMessage4;
        values["BPF_CGROUP_UDP6_SENDMSG"] = (long)BpfAttachType.SendMessage6;
        values["BPF_CGROUP_UDP4_RECVMSG"] = (long)BpfAttachType.ReceiveMessage4;
        values["BPF_CGROUP_UDP6_RECVMSG"] = (long)BpfAttachType.ReceiveMessage6;
        values["BPF_CGROUP_INET4_GETPEERNAME"] = (long)BpfAttachType.GetPeerName4;
        values["BPF_CGROUP_INET6_GETPEERNAME"] = (long)BpfAttachType.GetPeerName6;
        values["BPF_CGROUP_INET_SOCK_RELEASE"] = (long)BpfAttachType.SocketRelease;
        values["BPF_XDP"] = (long)BpfAttachType.Xdp;
        values["BPF_NOEXIST"] = (long)BpfUpdateMode.Add;
        values["BPF_EXIST"] = (long)BpfUpdateMode.Replace;
        values["BPF_MAP_LOOKUP_BATCH"] = BpfSyscall.LookupBatch;
        values["BPF_MAP_UPDATE_BATCH"] = BpfSyscall.UpdateBatch;
        values["BPF_MAP_DELETE_BATCH"] = BpfSyscall.DeleteBatch;
        values["SO_NETNS_COOKIE"] = Constants.SocketNamespaceCookie;
    }

    private static void AddAttributes(Dictionary<string, long> values)
    {
        Offset<BpfSyscall.BatchAttributes>(values, "union bpf_attr", "batch.out_batch", nameof(BpfSyscall.BatchAttributes.To));
        Offset<BpfSyscall.BatchAttributes>(values, "union bpf_attr", "batch.values", nameof(BpfSyscall.BatchAttributes.Values));
        Offset<BpfSyscall.BatchAttributes>(values, "union bpf_attr", "batch.count", nameof(BpfSyscall.BatchAttributes.Count));
        Offset<BpfSyscall.BatchAttributes>(values, "union bpf_attr", "batch.map_fd", nameof(BpfSyscall.BatchAttributes.Map));
        Offset<BpfSyscall.BatchAttributes>(values, "union bpf_attr", "batch.elem_flags", nameof(BpfSyscall.BatchAttributes.ElementFlags));
        Offset<BpfSyscall.TestRunAttributes>(values, "union bpf_attr", "test.ctx_in", nameof(BpfSyscall.TestRunAttributes.Context));
        Offset<BpfSyscall.TestRunAttributes>(values, "union bpf_attr", "test.flags", nameof(BpfSyscall.TestRunAttributes.Flags));
        Offset<BpfSyscall.TestRunAttributes>(values, "union bpf_attr", "test.batch_size", nameof(BpfSyscall.TestRunAttributes.BatchSize));
    }

    private static void AddLibrary(Dictionary<string, long> values)
    {
        Offset<LibBpf.OpenOptions>(values, "struct bpf_object_open_opts", "object_name", nameof(LibBpf.OpenOptions.ObjectName));
        Offset<LibBpf.OpenOptions>(values, "struct bpf_object_open_opts", "pin_root_path", nameof(LibBpf.OpenOptions.PinRootPath));
        Offset<LibBpf.OpenOptions>(values, "struct bpf_object_open_opts", "kernel_log_buf", nameof(LibBpf.OpenOptions.KernelLog));
        Offset<LibBpf.OpenOptions>(values, "struct bpf_object_open_opts", "kernel_log_size", nameof(LibBpf.OpenOptions.KernelLogSize));
        Offset<LibBpf.OpenOptions>(values, "struct bpf_object_open_opts", "kernel_log_level", nameof(LibBpf.OpenOptions.KernelLogLevel));
        values["sizeof(struct bpf_object_open_opts)"] = Unsafe.SizeOf<LibBpf.OpenOptions>();

        // Read at these places by BpfMap, BpfProgram and BpfLink.
        values["offsetof(struct bpf_map_info, max_entries)"] = 16;
        values["offsetof(struct bpf_map_info, map_flags)"] = 20;
        values["offsetof(struct bpf_map_info, name)"] = 24;
        values["offsetof(struct bpf_prog_info, tag)"] = 8;
        values["offsetof(struct bpf_prog_info, name)"] = 64;
        values["offsetof(struct bpf_link_info, prog_id)"] = 8;
        values["offsetof(struct bpf_link_info, cgroup.cgroup_id)"] = 16;
        values["offsetof(struct bpf_link_info, xdp.ifindex)"] = 16;
    }

    private static void AddDiagnostics(Dictionary<string, long> values)
    {
        values["SOCK_DIAG_BY_FAMILY"] = 20;
        values["SOCK_DESTROY"] = 21;
        values["NETLINK_SOCK_DIAG"] = 4;
        values["sizeof(struct inet_diag_req_v2)"] = 56;
        values["offsetof(struct inet_diag_req_v2, id)"] = 8;
        values["offsetof(struct inet_diag_sockid, idiag_dst)"] = 20;
        values["offsetof(struct inet_diag_sockid, idiag_if)"] = 36;
        values["offsetof(struct inet_diag_sockid, idiag_cookie)"] = 40;
        values["sizeof(struct inet_diag_msg)"] = 72;
        values["offsetof(struct inet_diag_msg, id)"] = 4;
    }

    private static void Offset<T>(Dictionary<string, long> values, string structure, string cField, string field)
        where T : unmanaged =>
        values[$"offsetof({structure}, {cField})"] = (int)Marshal.OffsetOf<T>(field);
}
