// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Netlink;

/// <summary>Which XDP program is attached to an interface.</summary>
/// <param name="ProgramId">Its id, as bpftool shows it; 0 when none is attached.</param>
/// <param name="ProgramName">Its name of at most 15 bytes; empty when it has none or may not be read.</param>
public readonly record struct XdpAttachment(uint ProgramId, InterfaceName ProgramName)
{
    private const ushort GetLink = 18;
    private const int LinkHeader = 16;

    /// <summary>Asks the kernel.</summary>
    /// <param name="interfaceIndex">The interface's index.</param>
    /// <param name="attachment">The program, or default when there is none.</param>
    /// <returns>0 or the negative error number.</returns>
    public static int Query(int interfaceIndex, out XdpAttachment attachment)
    {
        attachment = default;
        int fd = Libc.Socket(
            Constants.AddressFamilyNetlink, Constants.SocketRaw | Constants.SocketCloseOnExec, protocol: 0);
        if (fd < 0)
        {
            return fd;
        }

        Span<byte> request = stackalloc byte[NetlinkMessage.HeaderLength + LinkHeader];
        request.Clear();
        RouteMonitor.WriteHeader(request, request.Length, GetLink, NetlinkMessage.FlagRequest, sequence: 1);
        MemoryMarshal.Write(request[(NetlinkMessage.HeaderLength + 4)..], interfaceIndex);
        Span<byte> answer = stackalloc byte[16384];
        long result = Libc.Send(fd, request, flags: 0);
        result = result < 0 ? result : Libc.Receive(fd, answer, flags: 0);
        _ = Libc.Close(fd);
        if (result < 0)
        {
            return (int)result;
        }

        ReadOnlySpan<byte> rest = answer[..(int)result];
        if (!NetlinkMessage.TryTake(ref rest, out NetlinkMessage message)
            || RouteMessageParser.Parse(message, out NetlinkEvent item) != ParseOutcome.Parsed)
        {
            return -Errno.NoDevice;
        }

        InterfaceName name = default;
        uint id = item.Link.XdpProgramId;
        if (id != 0)
        {
            _ = BpfSyscall.GetProgramName(id, out name);
        }

        attachment = new XdpAttachment(id, name);
        return 0;
    }
}
