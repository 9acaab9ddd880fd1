// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <content>Receiving and sending.</content>
public sealed partial class SocketLayer
{
    // So much waits at most until the program comes back to wait for events.
    private const int UnflushedSendLimit = 32;
    private const int UnflushedByteLimit = 32 << 10;

    private int _unflushedSends;
    private int _unflushedBytes;

    /// <summary>recv(2).</summary>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="destination">Room.</param>
    /// <param name="flags">MSG_*.</param>
    /// <returns>Bytes, a negative error number, or <see cref="SocketResult.Wait"/>.</returns>
    public long Receive(int fd, Span<byte> destination, int flags)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (socket.Kind != SocketKind.Connection)
        {
            return -Error.NotConnected;
        }

        if ((flags & (MessageFlags.OutOfBand | MessageFlags.ErrorQueue | MessageFlags.Truncate)) != 0)
        {
            return ReceiveUnusual(ref socket, destination.Length, flags);
        }

        if (destination.IsEmpty)
        {
            return (_tcp.GetReadiness(socket.Id) & Readiness.In) != 0 ? 0 : WouldBlock(socket, flags);
        }

        _activity++;
        ReceiveFlags how = (flags & MessageFlags.Peek) != 0 ? ReceiveFlags.Peek : ReceiveFlags.None;
        int taken = _tcp.Receive(socket.Id, destination, how, _now, out TcpError error);
        if (taken > 0 || error == TcpError.None)
        {
            return taken;
        }

        if (error != TcpError.WouldBlock)
        {
            return -Error.From(error);
        }

        if (PollForProgress())
        {
            taken = _tcp.Receive(socket.Id, destination, how, _now, out error);
            if (taken > 0 || error == TcpError.None)
            {
                return taken;
            }
        }

        return error == TcpError.WouldBlock ? WouldBlock(socket, flags) : -Error.From(error);
    }

    /// <summary>send(2).</summary>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="data">What to send.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="flush">Whether to send at once: the program does not come back to wait for events.</param>
    /// <returns>Bytes taken, a negative error number, or <see cref="SocketResult.Wait"/>.</returns>
    public long Send(int fd, ReadOnlySpan<byte> data, int flags, bool flush)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (socket.Kind != SocketKind.Connection)
        {
            return -Error.Pipe;
        }

        if ((flags & MessageFlags.OutOfBand) != 0)
        {
            return -Error.NotSupported;
        }

        _activity++;
        _now = _kernel.Now;
        SendFlags how = (flags & MessageFlags.More) != 0 ? SendFlags.More : SendFlags.None;
        int taken = _tcp.Send(socket.Id, data, how, _now, out TcpError error);
        if (error == TcpError.WouldBlock)
        {
            // Sending what is queued and hearing what is acknowledged may make room.
            PollRound round = default;
            Poll(ref round);
            taken = _tcp.Send(socket.Id, data, how, _now, out error);
        }

        if (error != TcpError.None)
        {
            return error == TcpError.WouldBlock ? WouldBlock(socket, flags) : -Error.From(error);
        }

        _unflushedBytes += taken;
        if (flush || !socket.NonBlocking || ++_unflushedSends >= UnflushedSendLimit || _unflushedBytes >= UnflushedByteLimit)
        {
            Flush();
        }

        return taken;
    }

    /// <summary>How long a blocking call may wait.</summary>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="direction">0 receiving, 1 sending, 2 closing (SO_LINGER).</param>
    /// <returns>Nanoseconds, or -1 for ever.</returns>
    public long Timeout(int fd, int direction)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -1;
        }

        ref SocketRecord socket = ref _sockets[index];
        long limit = direction switch
        {
            0 => socket.ReceiveTimeout,
            1 => socket.SendTimeout,
            _ => socket.LingerSeconds * 1_000_000_000L,
        };
        return limit > 0 ? limit : -1;
    }

    private static int WouldBlock(in SocketRecord socket, int flags) =>
        socket.NonBlocking || (flags & MessageFlags.DontWait) != 0 ? -Error.Again : SocketResult.Wait;

    // Urgent data is not supported (its use is discouraged, RFC 6093); MSG_TRUNC throws bytes away (tcp(7)).
    private long ReceiveUnusual(ref SocketRecord socket, int length, int flags)
    {
        if ((flags & MessageFlags.OutOfBand) != 0)
        {
            return -Error.Invalid;
        }

        if ((flags & MessageFlags.ErrorQueue) != 0)
        {
            return -Error.Again;
        }

        _activity++;
        Span<byte> scratch = stackalloc byte[2048];
        long total = 0;
        while (total < length)
        {
            int wanted = (int)Math.Min(scratch.Length, length - total);
            int taken = _tcp.Receive(socket.Id, scratch[..wanted], ReceiveFlags.None, _now, out TcpError error);
            if (taken == 0)
            {
                return total > 0 || error == TcpError.None ? total
                    : error == TcpError.WouldBlock ? WouldBlock(socket, flags) : -Error.From(error);
            }

            total += taken;
        }

        return total;
    }
}
