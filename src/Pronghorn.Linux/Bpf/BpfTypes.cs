// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Linux.Bpf;

/// <summary>enum bpf_map_type of linux/bpf.h, as far as used.</summary>
public enum BpfMapType : uint
{
    /// <summary>BPF_MAP_TYPE_HASH.</summary>
    Hash = 1,

    /// <summary>BPF_MAP_TYPE_ARRAY.</summary>
    Array = 2,

    /// <summary>BPF_MAP_TYPE_PROG_ARRAY.</summary>
    ProgramArray = 3,

    /// <summary>BPF_MAP_TYPE_PERCPU_HASH.</summary>
    PerProcessorHash = 5,

    /// <summary>BPF_MAP_TYPE_PERCPU_ARRAY.</summary>
    PerProcessorArray = 6,

    /// <summary>BPF_MAP_TYPE_LRU_HASH.</summary>
    LruHash = 9,

    /// <summary>BPF_MAP_TYPE_LRU_PERCPU_HASH.</summary>
    LruPerProcessorHash = 10,

    /// <summary>BPF_MAP_TYPE_LPM_TRIE.</summary>
    LpmTrie = 11,

    /// <summary>BPF_MAP_TYPE_ARRAY_OF_MAPS.</summary>
    ArrayOfMaps = 12,

    /// <summary>BPF_MAP_TYPE_HASH_OF_MAPS.</summary>
    HashOfMaps = 13,

    /// <summary>BPF_MAP_TYPE_DEVMAP.</summary>
    DeviceMap = 14,

    /// <summary>BPF_MAP_TYPE_SK_STORAGE.</summary>
    SocketStorage = 24,

    /// <summary>BPF_MAP_TYPE_RINGBUF.</summary>
    RingBuffer = 27,
}

/// <summary>enum bpf_prog_type of linux/bpf.h, as far as used.</summary>
public enum BpfProgramType : uint
{
    /// <summary>BPF_PROG_TYPE_SCHED_CLS.</summary>
    TrafficClassifier = 3,

    /// <summary>BPF_PROG_TYPE_XDP.</summary>
    Xdp = 6,

    /// <summary>BPF_PROG_TYPE_CGROUP_SOCK.</summary>
    CgroupSocket = 9,

    /// <summary>BPF_PROG_TYPE_CGROUP_SOCK_ADDR.</summary>
    CgroupSocketAddress = 18,
}

/// <summary>enum bpf_attach_type of linux/bpf.h, as far as used.</summary>
public enum BpfAttachType : uint
{
    /// <summary>None is given.</summary>
    None = 0,

    /// <summary>BPF_CGROUP_INET4_CONNECT.</summary>
    Connect4 = 10,

    /// <summary>BPF_CGROUP_INET6_CONNECT.</summary>
    Connect6 = 11,

    /// <summary>BPF_CGROUP_INET4_POST_BIND.</summary>
    PostBind4 = 12,

    /// <summary>BPF_CGROUP_INET6_POST_BIND.</summary>
    PostBind6 = 13,

    /// <summary>BPF_CGROUP_UDP4_SENDMSG.</summary>
    SendMessage4 = 14,

    /// <summary>BPF_CGROUP_UDP6_SENDMSG.</summary>
    SendMessage6 = 15,

    /// <summary>BPF_CGROUP_UDP4_RECVMSG.</summary>
    ReceiveMessage4 = 19,

    /// <summary>BPF_CGROUP_UDP6_RECVMSG.</summary>
    ReceiveMessage6 = 20,

    /// <summary>BPF_CGROUP_INET4_GETPEERNAME.</summary>
    GetPeerName4 = 29,

    /// <summary>BPF_CGROUP_INET6_GETPEERNAME.</summary>
    GetPeerName6 = 30,

    /// <summary>BPF_CGROUP_INET_SOCK_RELEASE.</summary>
    SocketRelease = 34,

    /// <summary>BPF_XDP.</summary>
    Xdp = 37,

    /// <summary>BPF_TCX_INGRESS.</summary>
    TcxIngress = 46,

    /// <summary>BPF_TCX_EGRESS.</summary>
    TcxEgress = 47,
}

/// <summary>Whether an update of a map may make or replace an element.</summary>
public enum BpfUpdateMode : uint
{
    /// <summary>BPF_ANY: both.</summary>
    Any,

    /// <summary>BPF_NOEXIST: only make; -EEXIST otherwise.</summary>
    Add,

    /// <summary>BPF_EXIST: only replace; -ENOENT otherwise.</summary>
    Replace,
}
