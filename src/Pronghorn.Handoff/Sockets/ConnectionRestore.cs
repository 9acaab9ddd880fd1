// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Sockets;

/// <summary>A new socket in repair, with no connection yet.</summary>
/// <param name="Descriptor">The socket.</param>
/// <param name="Options">Its options as the kernel made them.</param>
public sealed record PreparedSocket(int Descriptor, ImmutableArray<SavedOption> Options);

/// <summary>
/// Makes a socket out of an image: first in repair, silent, so that the move can still be given up; then live. The order of steps
/// is the kernel's: sequence numbers before connect, options before anything is sent.
/// </summary>
public static class ConnectionRestore
{
    private const uint OptionMaximumSegment = 2; // TCPOPT_MSS and the others of RFC 9293, 7323 and 2018
    private const uint OptionWindowScale = 3;
    private const uint OptionSackPermitted = 4;
    private const uint OptionTimestamps = 8;
    private const uint DefaultSegment = 536; // TCP_MSS_DEFAULT
    private const uint TimestampBytes = 12; // of each segment's options; an MSS counts them (RFC 6691)
    private const int SmallestSegment = 88; // TCP_MIN_MSS and MAX_TCP_WINDOW: TCP_MAXSEG is between them
    private const int LargestSegment = 32767;
    private const int LargestUnscaled = 65535; // RFC 9293, 3.1
    private const int SmallestPart = 1024;
    private const int LargestPart = 1 << 20;
    private const int ShutdownWrite = 1;
    private const int MessageNoSignal = 0x4000;
    private const int MessageDontWait = 0x40;

    /// <summary>Makes the socket, in repair: it takes segments and sends none by itself.</summary>
    /// <param name="image">The image.</param>
    /// <param name="local">The end that it has here, which may not be the one that the peer knows.</param>
    /// <param name="fd">The socket, the caller's to close; -1 when refused.</param>
    public static Refusal TryMake(ConnectionImage image, TcpEnd local, out int fd)
    {
        ArgumentNullException.ThrowIfNull(image);
        Refusal refusal = TryPrepare(TcpSocket.Open(image.IsIpv6), out PreparedSocket? prepared);
        fd = prepared?.Descriptor ?? -1;
        if (prepared is null)
        {
            return refusal;
        }

        refusal = TryFill(prepared, image, local);
        if (!refusal.IsNone)
        {
            _ = Libc.Close(fd);
            fd = -1;
        }

        return refusal;
    }

    /// <summary>Does to a new socket what can be done before the connection is known: that nothing waits for it later.</summary>
    /// <param name="fd">The socket, or a negative error number; closed when refused.</param>
    /// <param name="prepared">The socket, in repair; the caller's to close.</param>
    public static Refusal TryPrepare(int fd, out PreparedSocket? prepared)
    {
        prepared = null;
        if (fd < 0)
        {
            return Refusal.FromKernel("making a socket", fd);
        }

        var options = SocketOptions.Save(fd);
        int entered = TcpRepair.Enter(fd);
        if (entered < 0)
        {
            _ = Libc.Close(fd);
            return Refusal.FromKernel("entering repair", entered);
        }

        prepared = new PreparedSocket(fd, options);
        return Refusal.None;
    }

    /// <summary>Ends repair of a socket that may be anywhere in the midst of that: whoever did it was ended.</summary>
    /// <param name="fd">A socket of <see cref="TryMake"/>, to which its application has written nothing yet.</param>
    /// <param name="image">Its image.</param>
    public static Refusal Resume(int fd, ConnectionImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        uint sequence = 0;
        int result = TcpRepair.Enter(fd);
        result = result < 0 ? result : TcpRepair.Select(fd, RepairSide.Send);
        result = result < 0 ? result : TcpRepair.GetSequence(fd, out sequence);
        result = result < 0 ? result : TcpRepair.Select(fd, RepairSide.None);
        if (result < 0)
        {
            return Refusal.FromKernel("reading how much was written", result);
        }

        // A FIN counts as one more.
        uint written = sequence - (image.WriteSequence - (uint)image.Unsent);
        return written <= image.Unsent + 1u
            ? GoLive(fd, image, (int)Math.Min(written, (uint)image.Unsent))
            : new Refusal(RefusalReason.State, "the image is of another connection");
    }

    /// <summary>Ends repair: the connection is this node's from now on.</summary>
    /// <param name="fd">A socket of <see cref="TryMake"/>.</param>
    /// <param name="image">Its image.</param>
    /// <param name="alreadyWritten">Of the bytes that were not sent, how many the socket has.</param>
    public static Refusal GoLive(int fd, ConnectionImage image, int alreadyWritten = 0)
    {
        ArgumentNullException.ThrowIfNull(image);
        int left = TcpRepair.Leave(fd);
        if (left < 0)
        {
            return Refusal.FromKernel("leaving repair", left);
        }

        SocketOptions.RestoreAfterRepair(fd, image.Options);

        // It may have sent something from here on: there is no way back, and what cannot go on is reset.
        if (!TryWrite(fd, image.SendQueue.Span[^(image.Unsent - alreadyWritten)..])
            || (image.State == KernelTcpState.FinWait1 && Libc.Shutdown(fd, ShutdownWrite) < 0))
        {
            _ = TcpSocket.Disconnect(fd);
        }

        return Refusal.None;
    }

    /// <summary>What was never sent is sent as if it were written now, into as much room as it needs.</summary>
    private static bool TryWrite(int fd, ReadOnlySpan<byte> unsent)
    {
        if (unsent.IsEmpty)
        {
            return true;
        }

        int limit = SocketOptions.LiftNotSentLimit(fd);
        while (unsent.Length > 0)
        {
            long written = Libc.Send(fd, unsent, MessageDontWait | MessageNoSignal);
            if (written == -Errno.TryAgain && SocketOptions.TryDoubleSendBuffer(fd))
            {
                continue;
            }

            if (written <= 0)
            {
                return false;
            }

            unsent = unsent[(int)written..];
        }

        SocketOptions.SetNotSentLimit(fd, limit);
        return true;
    }

    /// <summary>Fills a socket of the image's family. Closing it afterwards makes no packet.</summary>
    /// <param name="prepared">The socket, the caller's to close.</param>
    /// <param name="image">The image.</param>
    /// <param name="local">The end that it has here.</param>
    public static Refusal TryFill(PreparedSocket prepared, ConnectionImage image, TcpEnd local)
    {
        ArgumentNullException.ThrowIfNull(prepared);
        ArgumentNullException.ThrowIfNull(image);
        int fd = prepared.Descriptor;

        // The peer's FIN has no byte in the queue: it is given to the socket as a segment, later.
        uint fin = image.State == KernelTcpState.CloseWait ? 1u : 0u;
        uint received = image.RcvNxt - fin;
        if (image.SendQueue.Length + image.ReceiveQueue.Length > 0)
        {
            SocketOptions.MakeRoom(fd, image.SendQueue.Length + SmallestPart, image.ReceiveQueue.Length + SmallestPart);
        }

        if (image.IsIpv6)
        {
            SocketOptions.RestoreBeforeBind(fd, image.Options);
        }

        int result;
        if ((result = TcpSocket.Bind(fd, local, image.IsIpv6)) < 0)
        {
            return Refusal.FromKernel($"binding {local}", result);
        }

        if ((result = SetSequence(fd, RepairSide.Receive, received - (uint)image.ReceiveQueue.Length)) < 0
            || (result = SetSequence(fd, RepairSide.Send, image.WriteSequence - (uint)image.SendQueue.Length)) < 0)
        {
            return Refusal.FromKernel("setting sequence numbers", result);
        }

        SocketOptions.RestoreBeforeConnect(fd, image.Options, prepared.Options);
        if ((result = Connect(fd, image)) < 0)
        {
            return Refusal.FromKernel($"connecting {local} to {image.Remote}", result);
        }

        if ((result = SetOptions(fd, image)) < 0)
        {
            return Refusal.FromKernel("setting negotiated options", result);
        }

        SocketOptions.Restore(fd, image.Options, prepared.Options);
        long filled;
        if ((filled = FillQueue(fd, RepairSide.Receive, image.ReceiveQueue.Span)) < 0
            || (filled = FillQueue(fd, RepairSide.Send, image.SendQueue.Span[..^image.Unsent])) < 0)
        {
            return Refusal.FromKernel("filling the queues", filled);
        }

        TcpRepairWindow window = image.Window;
        window.RcvWup -= fin;
        window.RcvWnd += fin;
        if ((result = TcpRepair.SetWindow(fd, window)) < 0 || (result = TcpRepair.Select(fd, RepairSide.None)) < 0)
        {
            return Refusal.FromKernel("setting the window", result);
        }

        return Refusal.None;
    }

    /// <summary>
    /// What the kernel reckons while it connects it does not reckon again when it is told of the peer's options, in repair, afterwards.
    /// </summary>
    private static int Connect(int fd, ConnectionImage image)
    {
        // It takes the smallest MSS that there is (RFC 9293, 3.7.1) for the peer's: a moved connection would send 536 bytes at a time.
        _ = TcpRepair.SetMaximumSegment(fd, SegmentOf(image));
        if ((image.Negotiated & TcpNegotiated.WindowScale) == 0)
        {
            // And chooses a scale: a peer that does not scale would see a window of some hundred bytes.
            _ = TcpRepair.SetWindowClamp(fd, LargestUnscaled);
        }

        int result = TcpSocket.Connect(fd, image.Remote, image.IsIpv6);
        _ = result < 0 ? 0 : TcpRepair.SetMaximumSegment(fd, 0);
        return result;
    }

    // Linux sends no segment that is larger than half of the largest window (tcp_bound_to_half_wnd of net/ipv4/tcp.h): it would wait for
    // the persist timer where the window is never as large again. That bound, too, is reckoned before the window is known.
    private static int SegmentOf(ConnectionImage image)
    {
        uint window = image.Window.MaxWindow;
        uint bound = (window > DefaultSegment ? window / 2 : window) + TimestampBytes;
        return (int)Math.Clamp(Math.Min(image.MaximumSegment, bound), SmallestSegment, LargestSegment);
    }

    private static int SetSequence(int fd, RepairSide side, uint sequence)
    {
        int result = TcpRepair.Select(fd, side);
        return result < 0 ? result : TcpRepair.SetSequence(fd, sequence);
    }

    private static int SetOptions(int fd, ConnectionImage image)
    {
        Span<uint> pairs = stackalloc uint[8];
        int count = 0;
        Add(pairs, ref count, OptionMaximumSegment, image.MaximumSegment);
        if ((image.Negotiated & TcpNegotiated.WindowScale) != 0)
        {
            Add(pairs, ref count, OptionWindowScale, image.SendScale | ((uint)image.ReceiveScale << 16));
        }

        if ((image.Negotiated & TcpNegotiated.Sack) != 0)
        {
            Add(pairs, ref count, OptionSackPermitted, 0);
        }

        bool hasTimestamps = (image.Negotiated & TcpNegotiated.Timestamps) != 0;
        if (hasTimestamps)
        {
            Add(pairs, ref count, OptionTimestamps, 0);
        }

        int result = TcpRepair.SetOptions(fd, pairs[..count]);
        return result < 0 || !hasTimestamps ? result : TcpRepair.SetTimestamp(fd, image.Timestamp);
    }

    private static void Add(Span<uint> pairs, ref int count, uint code, uint value)
    {
        pairs[count++] = code;
        pairs[count++] = value;
    }

    // A large write into a queue can find no memory where smaller ones do.
    private static long FillQueue(int fd, RepairSide side, ReadOnlySpan<byte> content)
    {
        if (content.IsEmpty)
        {
            return 0;
        }

        int result = TcpRepair.Select(fd, side);
        if (result < 0)
        {
            return result;
        }

        int part = LargestPart;
        while (content.Length > 0)
        {
            long written = Libc.Send(fd, content[..Math.Min(part, content.Length)], MessageNoSignal);
            if (written == -Errno.NoMemory && part > SmallestPart)
            {
                part /= 2;
            }
            else if (written == -Errno.TryAgain && side == RepairSide.Send && SocketOptions.TryDoubleSendBuffer(fd))
            {
                // Small segments need many times their length.
            }
            else if (written <= 0)
            {
                return written == 0 ? -Errno.NoBuffers : written;
            }
            else
            {
                content = content[(int)written..];
            }
        }

        return 0;
    }
}
