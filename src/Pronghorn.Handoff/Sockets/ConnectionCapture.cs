// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using System.Text;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Sockets;

/// <summary>What of a connection does not change while its application waits for its move.</summary>
/// <param name="State">Its state, which may be another by the time that it is read out.</param>
/// <param name="Local">The end that it has here.</param>
/// <param name="Remote">The peer.</param>
/// <param name="IsIpv6">Whether its socket is one of IPv6.</param>
/// <param name="Options">Its options: some read differently in repair.</param>
public sealed record InspectedConnection(
    KernelTcpState State, TcpEnd Local, TcpEnd Remote, bool IsIpv6, ImmutableArray<SavedOption> Options);

/// <summary>Reads a connection out of its socket. The socket stays in repair until it is let go of, one way or the other.</summary>
/// <remarks>
/// In repair a socket still takes segments from the wire, so the steering must hold the peer's segments before
/// <see cref="TryTake(int, out ConnectionImage?)"/>, and drop what the socket's own timers send.
/// </remarks>
public static class ConnectionCapture
{
    private const int MaximumSegmentClamp = 0xffff;
    private const int MostReadings = 8;
    private const int MessageOutOfBand = 1; // MSG_OOB
    private const int MessagePeek = 2;
    private const int MessageDontWait = 0x40;
    private const int SocketLevel = 1;
    private const int TcpLevel = 6;
    private const int OptionUpperLayer = 31; // TCP_ULP
    private const int UpperLayerNameLength = 16; // TCP_ULP_NAME_MAX
    private const int OptionUrgentInline = 10; // SO_OOBINLINE

    /// <summary>Whether a connection could be moved now, before anything is held for it.</summary>
    public static Refusal Examine(int fd, out TcpInformation information, out TcpEnd local, out TcpEnd remote, out bool isIpv6)
    {
        remote = default;
        information = default;
        if (TcpSocket.GetLocal(fd, out local, out isIpv6) < 0 || TcpInformation.Query(fd, out information) < 0)
        {
            return new Refusal(RefusalReason.NotAConnection, "the descriptor is no TCP socket");
        }

        if (information.State is not (KernelTcpState.Established or KernelTcpState.CloseWait or KernelTcpState.FinWait1)
            || TcpSocket.GetRemote(fd, out remote) < 0)
        {
            return new Refusal(RefusalReason.State, $"the connection is in {information.State}");
        }

        return (information.Negotiated & TcpNegotiated.Ecn) != 0
            ? new Refusal(RefusalReason.Ecn, "the connection uses ECN; set net.ipv4.tcp_ecn=0 where it is accepted")
            : Refusal.None;
    }

    /// <summary>Puts the socket into repair and reads everything that TCP_REPAIR tells.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="image">The image, without what the application adds; null when refused.</param>
    /// <returns>None, or why not: the socket is out of repair again then, and works on.</returns>
    public static Refusal TryTake(int fd, out ConnectionImage? image)
    {
        image = null;
        Refusal refusal = TryInspect(fd, out InspectedConnection? inspected);
        return inspected is null ? refusal : TryTake(fd, inspected, out image);
    }

    /// <summary>Whether a connection could be moved now, and what of it does not change until it is.</summary>
    public static Refusal TryInspect(int fd, out InspectedConnection? inspected)
    {
        Refusal refusal = Examine(fd, out TcpInformation information, out TcpEnd local, out TcpEnd remote, out bool isIpv6);
        refusal = refusal.IsNone ? ExamineUpperLayer(fd) : refusal;
        inspected = refusal.IsNone ? new InspectedConnection(information.State, local, remote, isIpv6, SocketOptions.Save(fd)) : null;
        return refusal;
    }

    /// <summary>As the other, after what could be read before.</summary>
    public static Refusal TryTake(int fd, InspectedConnection inspected, out ConnectionImage? image)
    {
        ArgumentNullException.ThrowIfNull(inspected);
        image = null;
        int entered = TcpRepair.Enter(fd);
        if (entered < 0)
        {
            return Refusal.FromKernel("entering repair", entered);
        }

        Refusal refusal = ReadSettled(fd, inspected.State, out image);
        if (image is null)
        {
            GiveBack(fd, inspected.Options);
            return refusal;
        }

        image = image with
        {
            IsIpv6 = inspected.IsIpv6, Local = inspected.Local, Remote = inspected.Remote, Options = inspected.Options,
        };
        return Refusal.None;
    }

    /// <summary>Gives the connection back to its application, as if nothing had been.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="options">The options that it had before; none where that is not known.</param>
    public static void GiveBack(int fd, ImmutableArray<SavedOption> options = default)
    {
        TcpRepair.Select(fd, RepairSide.None);
        TcpRepair.Leave(fd);
        SocketOptions.RestoreAfterRepair(fd, options);
    }

    /// <summary>
    /// The connection is somebody else's: the socket has none any more, without a packet. Whoever still has a descriptor of it reads
    /// ECONNABORTED.
    /// </summary>
    public static int Discard(int fd)
    {
        int result = TcpSocket.Disconnect(fd);

        // In repair, which outlives the connection, every read of the socket would be EPERM.
        _ = TcpRepair.Leave(fd);
        SocketOptions.RestoreAfterRepair(fd, default);
        return result;
    }

    /// <summary>
    /// What lies over TCP in the kernel has keys and records of its own, as that of TLS has (Documentation/networking/tls.rst): the bytes
    /// of the queues are not those of the application.
    /// </summary>
    private static Refusal ExamineUpperLayer(int fd)
    {
        Span<byte> name = stackalloc byte[UpperLayerNameLength];
        int length = Libc.GetSocketOption(fd, TcpLevel, OptionUpperLayer, name);
        return length <= 0 || name[0] == 0
            ? Refusal.None
            : new Refusal(
                RefusalReason.State, $"\"{Encoding.ASCII.GetString(name[..length]).TrimEnd('\0')}\" lies over TCP in the kernel (TCP_ULP)");
    }

    /// <summary>
    /// Neither the mark nor the byte can be restored, and the kernel tells of what has come only up to the mark (tcp_inq of
    /// include/net/tcp.h): what is behind it would be lost.
    /// </summary>
    private static bool HasUrgentData(int fd)
    {
        Span<byte> one = stackalloc byte[1];
        if (Libc.Receive(fd, one, MessageOutOfBand | MessagePeek | MessageDontWait) != -Errno.Invalid)
        {
            return true;
        }

        // With SO_OOBINLINE it tells of all, and reading stops at the mark, which is found out there. All first: more may come meanwhile.
        if (Libc.GetSocketOption(fd, SocketLevel, OptionUrgentInline, out int isInline, out _) < 0 || isInline != 0)
        {
            return false;
        }

        _ = Libc.SetSocketOption(fd, SocketLevel, OptionUrgentInline, 1);
        int all = TcpRepair.GetUnread(fd);
        _ = Libc.SetSocketOption(fd, SocketLevel, OptionUrgentInline, 0);
        return TcpRepair.GetUnread(fd) < all;
    }

    /// <summary>
    /// A segment that was past the steering when it began to hold may enter the socket between one number and the next: counted as
    /// received, and with bytes that were not read. Such a reading counts for nothing; the next has all of it.
    /// </summary>
    private static Refusal ReadSettled(int fd, KernelTcpState before, out ConnectionImage? image)
    {
        Refusal refusal = default;
        for (int i = 0; i < MostReadings; i++)
        {
            image = null;
            refusal = HasUrgentData(fd)
                ? new Refusal(RefusalReason.State, "urgent data has come (MSG_OOB) that the application is not past yet")
                : Read(fd, before, out image);
            if (image is not null && IsStill(fd, image))
            {
                return Refusal.None;
            }
        }

        image = null;
        return refusal.IsNone
            ? new Refusal(RefusalReason.Busy, "segments enter the socket, which nothing holds, while it is read") : refusal;
    }

    // What has come only ever grows: what is as it was at the end was so all the time.
    private static bool IsStill(int fd, ConnectionImage image)
    {
        uint next = 0;
        return TcpRepair.GetUnread(fd) == image.ReceiveQueue.Length
            && TcpRepair.Select(fd, RepairSide.Receive) == 0
            && TcpRepair.GetSequence(fd, out next) == 0
            && TcpRepair.Select(fd, RepairSide.None) == 0
            && next == image.RcvNxt
            && TcpInformation.Query(fd, out TcpInformation now) == 0
            && now.State == image.State;
    }

    private static Refusal Read(int fd, KernelTcpState before, out ConnectionImage? image)
    {
        image = null;

        // Between the first look and repair the peer may have gone on.
        int result = TcpInformation.Query(fd, out TcpInformation now);
        if (result < 0 || now.State is not (KernelTcpState.Established or KernelTcpState.CloseWait or KernelTcpState.FinWait1))
        {
            return new Refusal(RefusalReason.State, $"the connection went from {before} to {now.State}");
        }

        uint timestamp = 0;
        int segment = 0;
        TcpRepairWindow window = default;
        if ((result = TcpRepair.GetMaximumSegment(fd, out segment)) < 0
            || (result = TcpRepair.GetTimestamp(fd, out timestamp)) < 0
            || (result = TcpRepair.GetWindow(fd, out window)) < 0)
        {
            return Refusal.FromKernel("reading the connection's numbers", result);
        }

        int unacknowledged = TcpRepair.GetUnacknowledged(fd);
        int unsent = TcpRepair.GetUnsent(fd);
        int unread = TcpRepair.GetUnread(fd);

        // A FIN of ours counts as a byte that was written, and is none that can be read.
        int own = now.State == KernelTcpState.FinWait1 ? 1 : 0;
        int queued = Math.Max(0, unacknowledged - own);
        if (queued > ImageCodec.MaximumQueue || unread > ImageCodec.MaximumQueue)
        {
            return new Refusal(RefusalReason.QueueTooLong, "a queue is longer than an image may be");
        }

        Refusal refusal = ReadQueue(fd, RepairSide.Send, queued, out byte[] send, out uint write);
        if (!refusal.IsNone)
        {
            return refusal;
        }

        refusal = ReadQueue(fd, RepairSide.Receive, unread, out byte[] receive, out uint next);
        if (!refusal.IsNone)
        {
            return refusal;
        }

        TcpRepair.Select(fd, RepairSide.None);
        image = new ConnectionImage
        {
            IsIpv6 = false,
            Local = default,
            Remote = default,
            State = now.State,
            WriteSequence = write - (uint)own,
            RcvNxt = next,
            SendQueue = send,
            Unsent = Math.Clamp(unsent - own, 0, send.Length),
            ReceiveQueue = receive,
            Negotiated = now.Negotiated & (TcpNegotiated.Timestamps | TcpNegotiated.Sack | TcpNegotiated.WindowScale),
            MaximumSegment = (ushort)Math.Clamp(segment, 1, MaximumSegmentClamp),
            SendScale = (byte)now.SendScale,
            ReceiveScale = (byte)now.ReceiveScale,
            Timestamp = NotBeforeTheLastSent(timestamp, now.Negotiated),
            Window = window,
        };
        return Refusal.None;
    }

    /// <summary>
    /// Since Linux 6.7 the lowest bit of the clock that repair tells is no part of it, but says whether it counts microseconds
    /// (TCP_TIMESTAMP in do_tcp_getsockopt of net/ipv4/tcp.c): one of milliseconds may be one less than what was sent last. Kernels before
    /// that tell odd numbers, too, for which others would count microseconds.
    /// </summary>
    private static uint NotBeforeTheLastSent(uint timestamp, TcpNegotiated negotiated) =>
        (negotiated & TcpNegotiated.MicrosecondTimestamps) != 0 ? timestamp : (timestamp + 2) & ~1u;

    private static Refusal ReadQueue(int fd, RepairSide side, int length, out byte[] content, out uint sequence)
    {
        content = [];
        sequence = 0;
        int result = TcpRepair.Select(fd, side);
        result = result < 0 ? result : TcpRepair.GetSequence(fd, out sequence);
        if (result < 0)
        {
            return Refusal.FromKernel($"reading the {side} queue's number", result);
        }

        if (length == 0)
        {
            return Refusal.None;
        }

        content = GC.AllocateUninitializedArray<byte>(length);
        long copied = TcpRepair.Peek(fd, content);
        return copied == length
            ? Refusal.None
            : copied < 0 && copied != -Errno.TryAgain
                ? Refusal.FromKernel($"reading the {side} queue", copied)
                : new Refusal(RefusalReason.Kernel, $"the {side} queue has {length} bytes and gave {copied}");
    }
}
