// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Linux.Xdp;

/// <summary>How frames get between the device and the UMEM.</summary>
public enum XskCopyMode : byte
{
    /// <summary>Zero-copy where the driver has it, else copy. On veth always copy.</summary>
    Automatic,

    /// <summary>The kernel copies each frame.</summary>
    Copy,

    /// <summary>The device reads and writes the UMEM; an error where the driver cannot.</summary>
    ZeroCopy,
}

/// <summary>Sizes of the rings of an AF_XDP socket, in entries: powers of two, 64 to 32768.</summary>
/// <param name="Fill">Frames that wait for packets; at least <paramref name="Receive"/>.</param>
/// <param name="Receive">Packets received that wait to be read.</param>
/// <param name="Transmit">Packets that wait to be sent.</param>
/// <param name="Completion">Frames sent that wait to be reaped; at least <paramref name="Transmit"/>.</param>
public readonly record struct XskRingSizes(int Fill, int Receive, int Transmit, int Completion)
{
    /// <summary>
    /// 16384 to receive, or fewer where there are fewer frames, and 2048 to send. A burst of answers to pipelined requests is
    /// thousands of frames, and the program takes none of them while it works on those before; see
    /// <see cref="XskSocket.Refill()"/> for how many are posted.
    /// </summary>
    public static XskRingSizes Default => new(16384, 16384, 2048, 2048);

    /// <summary>Whether each size is a power of two in range and the pairs fit.</summary>
    public bool IsValid =>
        IsRingSize(Fill) && IsRingSize(Receive) && IsRingSize(Transmit) && IsRingSize(Completion)
        && Fill >= Receive && Completion >= Transmit;

    private static bool IsRingSize(int size) => size is >= 64 and <= 32768 && (size & (size - 1)) == 0;
}

/// <summary>Which call of opening an AF_XDP socket failed.</summary>
public enum XskStep : byte
{
    /// <summary>None failed.</summary>
    None,

    /// <summary>socket(2): EAFNOSUPPORT without AF_XDP, EPERM without CAP_NET_RAW.</summary>
    Socket,

    /// <summary>XDP_UMEM_REG: ENOBUFS when the memory may not be locked.</summary>
    RegisterMemory,

    /// <summary>Making or mapping one of the four rings.</summary>
    Rings,

    /// <summary>bind(2): EBUSY when another socket has the queue, EINVAL when there is no such queue.</summary>
    Bind,
}

/// <summary>Where to open an AF_XDP socket.</summary>
/// <param name="InterfaceIndex">The interface's index.</param>
/// <param name="Queue">The receive queue, from 0.</param>
/// <param name="Rings">Sizes of the rings.</param>
/// <param name="Mode">Copying.</param>
public readonly record struct XskBinding(int InterfaceIndex, int Queue, XskRingSizes Rings, XskCopyMode Mode);

/// <summary>What one AF_XDP socket has seen, from the program's side.</summary>
public struct XskStatistics
{
    /// <summary>Packets read from the receive ring.</summary>
    public long Received;

    /// <summary>Packets put into the transmit ring.</summary>
    public long Transmitted;

    /// <summary>Frames reaped from the completion ring.</summary>
    public long Completed;

    /// <summary>Times that the fill ring began to run short because the pool had no free frame.</summary>
    public long FillStarved;

    /// <summary>Packets not taken because the transmit ring was full.</summary>
    public long TransmitRingFull;

    /// <summary>System calls that told the kernel to transmit.</summary>
    public long Kicks;

    /// <summary>Of them, answered EAGAIN: more is left than one call sends, or the send buffer is full.</summary>
    public long KickAgain;

    /// <summary>Of them, answered EBUSY: the device's queue was full and has dropped or put off a packet.</summary>
    public long KickBusy;

    /// <summary>Of them, answered ENOBUFS: no memory for a packet, or the completion ring is full.</summary>
    public long KickNoBuffers;

    /// <summary>Of them, failed otherwise, as when the interface is down.</summary>
    public long KickFailed;

    /// <summary>Descriptors from the kernel that did not name a held frame inside the UMEM; their packets are dropped.</summary>
    public long InvalidDescriptors;
}
