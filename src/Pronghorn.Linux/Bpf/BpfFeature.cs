// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// Something that the running kernel may lack. Each is tried, not guessed from the version: distributions add features to old
/// kernels and leave out others of new ones.
/// </summary>
public sealed class BpfFeature
{
    private const ulong ReturnOne = 0x0000_0001_0000_00b7;
    private const ulong ZeroFirstArgument = 0x0000_0000_0000_01b7;
    private const ulong Exit = 0x95;
    private const ulong Call = 0x85;
    private const uint HelperNamespaceCookie = 122;
    private const uint HelperSetReturnValue = 187;
    private const uint LiveFrames = 1u << 1;
    private const uint XdpNative = 1u << 2;

    private readonly Func<int> _probe;

    private BpfFeature(string name, string since, string option, Func<int> probe)
    {
        Name = name;
        Since = since;
        Option = option;
        _probe = probe;
    }

    /// <summary>Hooks at connect(2), sendmsg(2) and recvmsg(2) of a cgroup.</summary>
    public static BpfFeature SocketAddressHooks { get; } = new(
        "hooks at connect, sendmsg and recvmsg",
        "5.2",
        "CONFIG_CGROUP_BPF",
        static () => ProbeSocketAddress(BpfAttachType.ReceiveMessage6));

    /// <summary>Hooks at getpeername(2).</summary>
    public static BpfFeature GetPeerNameHooks { get; } = new(
        "hooks at getpeername", "5.8", "CONFIG_CGROUP_BPF", static () => ProbeSocketAddress(BpfAttachType.GetPeerName6));

    /// <summary>Hooks at bind(2), after the port was chosen.</summary>
    public static BpfFeature PostBindHooks { get; } = new(
        "hooks at bind", "4.17", "CONFIG_CGROUP_BPF", static () => ProbeSocket(BpfAttachType.PostBind6));

    /// <summary>A hook when a socket is closed.</summary>
    public static BpfFeature SocketReleaseHook { get; } = new(
        "a hook at the release of a socket", "5.9", "CONFIG_CGROUP_BPF", static () => ProbeSocket(BpfAttachType.SocketRelease));

    /// <summary>BPF programs know the namespace of a socket (bpf_get_netns_cookie).</summary>
    public static BpfFeature NamespaceCookieHelper { get; } = new(
        "bpf_get_netns_cookie", "5.7", "CONFIG_CGROUP_BPF", static () => ProbeSocketAddress(
            BpfAttachType.Connect4, Call | ((ulong)HelperNamespaceCookie << 32)));

    /// <summary>BPF programs choose the error of a system call (bpf_set_retval).</summary>
    public static BpfFeature SetReturnValue { get; } = new(
        "bpf_set_retval", "5.18", "CONFIG_CGROUP_BPF", static () => ProbeSocketAddress(
            BpfAttachType.Connect4, ZeroFirstArgument, Call | ((ulong)HelperSetReturnValue << 32)));

    /// <summary>User space knows the number of a network namespace (SO_NETNS_COOKIE).</summary>
    public static BpfFeature NamespaceCookieOption { get; } = new(
        "SO_NETNS_COOKIE", "5.14", "CONFIG_NET_NS", static () => NamespaceCookie.TryGet(out _));

    /// <summary>Attachments by links, which can be pinned and replaced in place (cgroups).</summary>
    public static BpfFeature CgroupLinks { get; } = new(
        "BPF links on cgroups", "5.7", "CONFIG_CGROUP_BPF", static () => Expect(
            BpfSyscall.CreateLink(-1, -1, BpfAttachType.Connect4, 0), Errno.BadDescriptor));

    /// <summary>Links of XDP programs.</summary>
    public static BpfFeature XdpLinks { get; } = new(
        "BPF links of XDP programs", "5.9", "CONFIG_BPF_SYSCALL", ProbeXdpLink);

    /// <summary>Traffic-control programs by links (tcx).</summary>
    public static BpfFeature TcxLinks { get; } = new(
        "tcx", "6.6", "CONFIG_NET_XGRESS", ProbeTcxLink);

    /// <summary>Test runs that send real packets (BPF_F_TEST_XDP_LIVE_FRAMES).</summary>
    public static BpfFeature XdpLiveFrames { get; } = new("live frames in test runs", "5.18", "CONFIG_BPF_SYSCALL", ProbeLiveFrames);

    /// <summary>User space can end sockets (SOCK_DESTROY).</summary>
    public static BpfFeature SocketDestruction { get; } = new("SOCK_DESTROY", "4.5", "CONFIG_INET_DIAG_DESTROY", ProbeDestruction);

    /// <summary>All that is known here.</summary>
    public static ImmutableArray<BpfFeature> All { get; } =
    [
        SocketAddressHooks, GetPeerNameHooks, PostBindHooks, SocketReleaseHook, NamespaceCookieHelper, SetReturnValue,
        NamespaceCookieOption, CgroupLinks, XdpLinks, TcxLinks, XdpLiveFrames, SocketDestruction,
    ];

    /// <summary>What it is, in a few words.</summary>
    public string Name { get; }

    /// <summary>The Linux version that has it.</summary>
    public string Since { get; }

    /// <summary>The option of the kernel's configuration that it needs.</summary>
    public string Option { get; }

    /// <summary>Throws when the kernel lacks any of some features; the message names all that are missing.</summary>
    /// <param name="features">What is needed.</param>
    /// <exception cref="BpfException">Something is missing, or the privilege to find out.</exception>
    public static void Require(params IReadOnlyList<BpfFeature> features)
    {
        ArgumentNullException.ThrowIfNull(features);
        List<string> missing = [];
        foreach (BpfFeature feature in features)
        {
            int result = feature.Probe();
            if (result == -Errno.OperationNotPermitted)
            {
                throw new BpfException(
                    "not permitted to use BPF: this needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN (for the namespaces)");
            }

            if (result < 0)
            {
                missing.Add(feature.Explain(result));
            }
        }

        if (missing.Count > 0)
        {
            throw new BpfException(string.Join('\n', missing));
        }
    }

    /// <summary>Tries it.</summary>
    /// <returns>0 when the kernel has it, else the negative error number that it gave; -EPERM also without the privilege.</returns>
    public int Probe() => _probe();

    private static string KernelRelease => File.ReadAllText("/proc/sys/kernel/osrelease").Trim();

    /// <summary>A sentence for a kernel that lacks it.</summary>
    internal string Explain(int error) =>
        $"{Name} needs Linux {Since} with {Option}; this is {KernelRelease} (errno {-error})";

    /// <summary>A call that cannot succeed: the right error shows that the kernel looked at it.</summary>
    private static int Expect(int result, int error) => result == -error ? 0 : Math.Min(result, -1);

    private static int ProbeSocketAddress(BpfAttachType type, params ReadOnlySpan<ulong> code) =>
        TryLoad(BpfProgramType.CgroupSocketAddress, type, [.. code, ReturnOne, Exit]);

    private static int ProbeSocket(BpfAttachType type) => TryLoad(BpfProgramType.CgroupSocket, type, [ReturnOne, Exit]);

    private static int TryLoad(BpfProgramType type, BpfAttachType attachType, ReadOnlySpan<ulong> code)
    {
        int program = BpfSyscall.LoadProgram(type, attachType, code);
        if (program >= 0)
        {
            _ = Libc.Close(program);
        }

        return Math.Min(program, 0);
    }

    // Interface 1 is the loopback of every namespace, and has no XDP in its driver.
    private static int ProbeXdpLink() =>
        ProbeLink(BpfProgramType.Xdp, 1, BpfAttachType.Xdp, XdpNative, Errno.NotSupported);

    // There is no interface 0.
    private static int ProbeTcxLink() =>
        ProbeLink(BpfProgramType.TrafficClassifier, 0, BpfAttachType.TcxIngress, 0, Errno.NoDevice);

    private static int ProbeLink(BpfProgramType type, int interfaceIndex, BpfAttachType attachType, uint flags, int expected)
    {
        int program = BpfSyscall.LoadProgram(type, BpfAttachType.None, [ReturnOne, Exit]);
        if (program < 0)
        {
            return program;
        }

        int result = BpfSyscall.CreateLink(program, interfaceIndex, attachType, flags);
        _ = Libc.Close(program);
        return Expect(result, expected);
    }

    private static int ProbeLiveFrames()
    {
        int program = BpfSyscall.LoadProgram(BpfProgramType.Xdp, BpfAttachType.None, [ReturnOne, Exit]);
        if (program < 0)
        {
            return program;
        }

        // More frames a batch than allowed.
        var attributes = new BpfSyscall.TestRunAttributes { Program = (uint)program, Flags = LiveFrames, BatchSize = 100_000 };
        int result = BpfSyscall.RunTest(ref attributes);
        _ = Libc.Close(program);
        return Expect(result, Errno.TooBig);
    }

    private static int ProbeDestruction()
    {
        int result = SocketDiagnostics.Open(out SocketDiagnostics? diagnostics);
        if (diagnostics is null)
        {
            return result;
        }

        using (diagnostics)
        {
            // No socket has this identity.
            return Expect(
                diagnostics.Destroy(new DiagnosedSocket { Protocol = Wire.IpProtocol.Tcp, Cookie = ulong.MaxValue - 1 }), Errno.NoEntry);
        }
    }
}
