// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>What a link is, as the kernel tells it.</summary>
/// <param name="Id">The kernel's number for the link.</param>
/// <param name="ProgramId">The program that runs.</param>
/// <param name="InterfaceIndex">Of XDP and tcx links; 0 when the interface has gone, or for others.</param>
/// <param name="CgroupId">Of cgroup links; 0 when the cgroup has gone, or for others.</param>
public readonly record struct BpfLinkState(uint Id, uint ProgramId, int InterfaceIndex, ulong CgroupId);

/// <summary>
/// An attachment of a program. It lasts as long as a descriptor of the link is open or the link is pinned, and its program can be replaced
/// without a moment in which none runs.
/// </summary>
public sealed unsafe class BpfLink : BpfHandle
{
    private const uint XdpGeneric = 1u << 1;
    private const uint XdpNative = 1u << 2;
    private const uint TypeCgroup = 3;
    private const uint TypeXdp = 6;
    private const uint TypeTcx = 11;

    private BpfLink(int descriptor)
        : base(descriptor)
    {
    }

    /// <summary>
    /// Attaches to a cgroup (version 2), for the sockets of all processes in it and below. Others may be attached beside (Linux 5.7).
    /// </summary>
    /// <param name="program">A program of the kind that the type wants.</param>
    /// <param name="cgroup">Path of the cgroup's folder.</param>
    /// <param name="type">Where it is called.</param>
    /// <exception cref="BpfException">
    /// EBADF when the folder is not in a cgroup v2 file system, EPERM when another program allows none beside.
    /// </exception>
    public static BpfLink AttachCgroup(BpfProgram program, string cgroup, BpfAttachType type)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentException.ThrowIfNullOrEmpty(cgroup);
        string subject = $"{program.Name} to the cgroup {cgroup} ({type})";
        int folder = Libc.OpenReadOnly(BpfSyscall.Terminated(cgroup));
        BpfException.Check(folder, BpfStep.Attach, subject);
        int result = BpfSyscall.CreateLink(program.Descriptor, folder, type, 0);
        _ = Libc.Close(folder);
        if (result == -Errno.BadDescriptor)
        {
            throw new BpfException(BpfStep.Attach, subject, Errno.BadDescriptor, "the folder is not a cgroup of version 2");
        }

        return new BpfLink(BpfException.Check(result, BpfStep.Attach, subject));
    }

    /// <summary>Attaches an XDP program to an interface (Linux 5.9).</summary>
    /// <param name="program">The program.</param>
    /// <param name="interfaceIndex">The interface, of the calling thread's network namespace.</param>
    /// <param name="mode">Where in the way of a packet. Automatic: in the driver, else generic.</param>
    /// <param name="isGeneric">Whether it became generic.</param>
    /// <exception cref="BpfException">EBUSY or EEXIST when another program is attached, EOPNOTSUPP when the driver has no XDP.</exception>
    public static BpfLink AttachXdp(BpfProgram program, int interfaceIndex, XdpAttachMode mode, out bool isGeneric)
    {
        ArgumentNullException.ThrowIfNull(program);
        int result = -Errno.NotSupported;
        if (mode != XdpAttachMode.Generic)
        {
            result = BpfSyscall.CreateLink(program.Descriptor, interfaceIndex, BpfAttachType.Xdp, XdpNative);
        }

        isGeneric = mode == XdpAttachMode.Generic
            || (mode == XdpAttachMode.Automatic && result is -Errno.NotSupported or -Errno.Invalid);
        if (isGeneric)
        {
            result = BpfSyscall.CreateLink(program.Descriptor, interfaceIndex, BpfAttachType.Xdp, XdpGeneric);
        }

        string subject = $"{program.Name} to interface {interfaceIndex} (XDP)";
        return result is -Errno.Busy or -Errno.Exists
            ? throw new BpfException(BpfStep.Attach, subject, -result, "another XDP program is attached to that interface")
            : new BpfLink(BpfException.Check(result, BpfStep.Attach, subject));
    }

    /// <summary>Attaches a traffic-control program to an interface, behind those that are there (tcx, Linux 6.6).</summary>
    /// <param name="program">The program.</param>
    /// <param name="interfaceIndex">The interface, of the calling thread's network namespace.</param>
    /// <param name="type"><see cref="BpfAttachType.TcxIngress"/> or <see cref="BpfAttachType.TcxEgress"/>.</param>
    /// <exception cref="BpfException">ENODEV without such an interface, EINVAL on a kernel before 6.6.</exception>
    public static BpfLink AttachTcx(BpfProgram program, int interfaceIndex, BpfAttachType type)
    {
        ArgumentNullException.ThrowIfNull(program);
        int result = BpfSyscall.CreateLink(program.Descriptor, interfaceIndex, type, 0);
        return new BpfLink(BpfException.Check(result, BpfStep.Attach, $"{program.Name} to interface {interfaceIndex} ({type})"));
    }

    /// <summary>Opens a pinned link; null when there is no such file.</summary>
    /// <exception cref="BpfException">Anything else is wrong.</exception>
    public static BpfLink? TryOpenPinned(string path)
    {
        int result = OpenPinnedDescriptor(path);
        return result == -Errno.NoEntry ? null : new BpfLink(BpfException.Check(result, BpfStep.Open, path));
    }

    /// <summary>Replaces the program, in place: no event goes unseen.</summary>
    /// <param name="program">The new program.</param>
    /// <param name="expected">The program that must be the one in place, else EPERM; null for any.</param>
    public void Update(BpfProgram program, BpfProgram? expected = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        int result = BpfSyscall.UpdateLink(Descriptor, program.Descriptor, expected?.Descriptor ?? -1);
        BpfException.Check(result, BpfStep.Update, $"a link by {program.Name}");
    }

    /// <summary>Detaches at once, also when the link is pinned or open elsewhere.</summary>
    /// <returns>0 or the negative error number.</returns>
    public int Detach() => BpfSyscall.DetachLink(Descriptor);

    /// <summary>Asks the kernel what the link does now.</summary>
    public BpfLinkState GetState()
    {
        Span<byte> information = stackalloc byte[128];
        BpfException.Check(BpfSyscall.GetInformation(Descriptor, information), BpfStep.Open, "a BPF link");

        // struct bpf_link_info: type, id, prog_id, padding, and a union.
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(information);
        bool isDevice = words[0] is TypeXdp or TypeTcx;
        return new BpfLinkState(
            words[1],
            words[2],
            isDevice ? (int)words[4] : 0,
            words[0] == TypeCgroup ? MemoryMarshal.Read<ulong>(information[16..]) : 0);
    }
}
