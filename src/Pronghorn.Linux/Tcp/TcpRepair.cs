// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Tcp;

/// <summary>A queue of a connection (enum TCP_*_QUEUE of linux/tcp.h).</summary>
public enum RepairSide
{
    /// <summary>None: sends and receives mean what they always do.</summary>
    None = 0,

    /// <summary>What has arrived and was not read.</summary>
    Receive = 1,

    /// <summary>What was written and not acknowledged.</summary>
    Send = 2,
}

/// <summary>struct tcp_repair_window of linux/tcp.h as Linux 4.8 to 6.18 have it: sequence numbers and bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct TcpRepairWindow
{
    /// <summary>Bytes of the structure; kernels refuse any other length.</summary>
    public const int Length = 20;

    /// <summary>SND.WL1 of RFC 9293.</summary>
    public uint SndWl1;

    /// <summary>SND.WND, not scaled.</summary>
    public uint SndWnd;

    /// <summary>The largest window that the peer has offered.</summary>
    public uint MaxWindow;

    /// <summary>RCV.WND, not scaled.</summary>
    public uint RcvWnd;

    /// <summary>RCV.NXT when the window was last sent.</summary>
    public uint RcvWup;
}

/// <summary>
/// TCP_REPAIR: a connection's state is read out of a socket, and written into one, without a packet (tcp(7) does not describe
/// it; net/ipv4/tcp.c and CRIU's soccr do). Needs CAP_NET_ADMIN in the user namespace that owns the socket's network namespace.
/// </summary>
/// <remarks>Every method returns 0 or more, or a negative error number.</remarks>
public static class TcpRepair
{
    /// <summary>IPPROTO_TCP, the level of all options here.</summary>
    public const int Level = 6;

    internal const int OptionRepair = 19;
    internal const int OptionRepairQueue = 20;
    internal const int OptionQueueSequence = 21;
    internal const int OptionRepairOptions = 22;
    internal const int OptionTimestamp = 24;
    internal const int OptionRepairWindow = 29;
    internal const int OptionMaximumSegment = 2;
    internal const int OptionWindowClamp = 10;
    internal const nuint OutputQueue = 0x5411; // SIOCOUTQ
    internal const nuint OutputQueueNotSent = 0x894b; // SIOCOUTQNSD
    internal const nuint InputQueue = 0x541b; // SIOCINQ
    internal const int MessagePeek = 2;

    // Without a window probe, which would be a packet of the old owner's.
    internal const int RepairOffNoProbe = -1;

    /// <summary>Puts a socket into repair: close and connect make no packet from now on.</summary>
    public static int Enter(int fd) => Libc.SetSocketOption(fd, Level, OptionRepair, 1);

    /// <summary>Ends repair without a packet. The window must have been set.</summary>
    public static int Leave(int fd) => Libc.SetSocketOption(fd, Level, OptionRepair, RepairOffNoProbe);

    /// <summary>Whether a socket is in repair.</summary>
    public static bool IsEntered(int fd) => Libc.GetSocketOption(fd, Level, OptionRepair, out int value, out _) == 0 && value != 0;

    /// <summary>Chooses the queue that sequence numbers, sends and receives are about.</summary>
    public static int Select(int fd, RepairSide side) => Libc.SetSocketOption(fd, Level, OptionRepairQueue, (int)side);

    /// <summary>The number behind the selected queue's last byte: of Send write_seq, of Receive RCV.NXT.</summary>
    public static int GetSequence(int fd, out uint sequence) =>
        Libc.GetSocketOption(fd, Level, OptionQueueSequence, out sequence, out _);

    /// <summary>Sets the number of the selected queue's next byte; on a socket that is not connected only.</summary>
    public static int SetSequence(int fd, uint sequence) => Libc.SetSocketOption(fd, Level, OptionQueueSequence, sequence);

    /// <summary>Reads the window.</summary>
    public static int GetWindow(int fd, out TcpRepairWindow window)
    {
        int result = Libc.GetSocketOption(fd, Level, OptionRepairWindow, out window, out int length);
        return result < 0 || length == TcpRepairWindow.Length ? result : -Errno.Invalid;
    }

    /// <summary>Sets the window.</summary>
    public static int SetWindow(int fd, in TcpRepairWindow window) =>
        Libc.SetSocketOption(fd, Level, OptionRepairWindow, window);

    /// <summary>
    /// Says which options were negotiated: struct tcp_repair_opt, pairs of code and value. Once, before anything is sent.
    /// </summary>
    public static int SetOptions(int fd, ReadOnlySpan<uint> pairs) =>
        Libc.SetSocketOption(fd, Level, OptionRepairOptions, MemoryMarshal.AsBytes(pairs));

    /// <summary>The socket's clock of RFC 7323 timestamps.</summary>
    public static int GetTimestamp(int fd, out uint timestamp) =>
        Libc.GetSocketOption(fd, Level, OptionTimestamp, out timestamp, out _);

    /// <summary>Sets the clock of timestamps, so that they go on from there.</summary>
    public static int SetTimestamp(int fd, uint timestamp) => Libc.SetSocketOption(fd, Level, OptionTimestamp, timestamp);

    /// <summary>The MSS that the peer announced, clamped; it says so in repair only.</summary>
    public static int GetMaximumSegment(int fd, out int bytes) =>
        Libc.GetSocketOption(fd, Level, OptionMaximumSegment, out bytes, out _);

    /// <summary>
    /// Most bytes of data in a segment, as an application sets it (TCP_MAXSEG): before a connect it is what the kernel takes for the
    /// peer's MSS. 0 for none.
    /// </summary>
    public static int SetMaximumSegment(int fd, int bytes) => Libc.SetSocketOption(fd, Level, OptionMaximumSegment, bytes);

    /// <summary>
    /// The largest window that is offered (TCP_WINDOW_CLAMP), bytes: before a connect it bounds the scale that the kernel chooses.
    /// </summary>
    public static int SetWindowClamp(int fd, int bytes) => Libc.SetSocketOption(fd, Level, OptionWindowClamp, bytes);

    /// <summary>Bytes written and not acknowledged.</summary>
    public static int GetUnacknowledged(int fd) => Libc.GetNumber(fd, OutputQueue);

    /// <summary>Bytes written and not sent.</summary>
    public static int GetUnsent(int fd) => Libc.GetNumber(fd, OutputQueueNotSent);

    /// <summary>Bytes received and not read.</summary>
    public static int GetUnread(int fd) => Libc.GetNumber(fd, InputQueue);

    /// <summary>Copies the selected queue's content without taking it out.</summary>
    /// <returns>Bytes copied, or a negative error number; -EAGAIN when it is empty.</returns>
    public static long Peek(int fd, Span<byte> buffer) =>
        Libc.Receive(fd, buffer, MessagePeek | Constants.MessageDontWait);
}
