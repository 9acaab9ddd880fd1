// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Workers;

/// <summary>A worker's two sockets: on one it asks and is answered, on the other it gets connections.</summary>
internal sealed class WorkerSession(Socket control) : IDisposable
{
    private const short PollOut = 4;
    private const int LongestReason = 512;

    private readonly Lock _lock = new();
    private readonly Queue<(byte[] Bytes, int Fd)> _waiting = new();
    private int _delivery = -1;
    private int _handoffs;
    private bool _isDisposed;

    /// <summary>The socket that is to be read.</summary>
    internal int Control { get; } = (int)control.Handle;

    /// <summary>What the worker has registered; the server's thread alone uses it.</summary>
    internal HashSet<(TcpEnd Listener, uint Worker)> Registered { get; } = [];

    internal bool HasDelivery
    {
        get
        {
            lock (_lock)
            {
                return _delivery >= 0;
            }
        }
    }

    /// <summary>Whether the worker is there and takes what it is given.</summary>
    internal bool CanTake
    {
        get
        {
            lock (_lock)
            {
                Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = _delivery, Events = PollOut }];
                return _delivery >= 0 && _waiting.Count == 0 && Libc.Poll(wait, 0) == 1 && wait[0].Returned == PollOut;
            }
        }
    }

    /// <summary>Reads one message. False when the worker has gone, or does not keep to the protocol.</summary>
    internal bool TryReceive(byte[] buffer, out WorkerMessage? message, out int fd)
    {
        message = null;
        long length = DescriptorPassing.Receive(Control, buffer, out fd);
        try
        {
            if (length > 0 && length < buffer.Length)
            {
                message = WorkerMessage.Read(buffer.AsSpan(0, (int)length));
                return true;
            }
        }
        catch (ImageFormatException)
        {
            // It has another version of the library; it sees that the socket ends.
        }

        if (fd >= 0)
        {
            _ = Libc.Close(fd);
        }

        return false;
    }

    /// <summary>Takes the descriptor to which connections are given. False when there is none, or one already.</summary>
    internal bool TryOpenDelivery(int fd)
    {
        lock (_lock)
        {
            if (fd >= 0 && _delivery < 0)
            {
                _delivery = fd;
                return true;
            }
        }

        if (fd >= 0)
        {
            _ = Libc.Close(fd);
        }

        return false;
    }

    /// <summary>Connections that wait until the worker reads.</summary>
    internal int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>
    /// Gives the worker a connection, and lets go of the descriptor. Where it does not read at the moment, the connection waits: more
    /// were asked for at once than its socket takes, and there is no way back for them.
    /// </summary>
    /// <returns>False when the worker has gone: the descriptor is still the caller's.</returns>
    internal bool TryDeliver(WorkerMessage message, int fd)
    {
        byte[] bytes = message.ToBytes();
        lock (_lock)
        {
            if (_delivery < 0)
            {
                return false;
            }

            if (_waiting.Count == 0)
            {
                long sent = DescriptorPassing.Send(_delivery, bytes, fd);
                if (sent == bytes.Length)
                {
                    _ = Libc.Close(fd);
                    return true;
                }

                if (sent is not -Errno.TryAgain and not -Errno.TooManyReferences)
                {
                    return false;
                }
            }

            _waiting.Enqueue((bytes, fd));
            return true;
        }
    }

    /// <summary>Gives the worker what waits, as far as it reads.</summary>
    internal void DeliverWaiting()
    {
        lock (_lock)
        {
            while (_delivery >= 0 && _waiting.TryPeek(out (byte[] Bytes, int Fd) next)
                && DescriptorPassing.Send(_delivery, next.Bytes, next.Fd) == next.Bytes.Length)
            {
                _waiting.Dequeue();
                _ = Libc.Close(next.Fd);
            }
        }
    }

    /// <summary>Begins to move a connection of the worker's. False when it has too many under way.</summary>
    internal bool TryBeginHandoff(int most)
    {
        if (Interlocked.Increment(ref _handoffs) <= most)
        {
            return true;
        }

        EndHandoff();
        return false;
    }

    /// <summary>A move has ended.</summary>
    internal void EndHandoff() => Interlocked.Decrement(ref _handoffs);

    /// <summary>Answers. False when the worker does not read its answers.</summary>
    internal bool TryAnswer(WorkerMessage question, Refusal refusal)
    {
        byte[] text = refusal.IsNone ? [] : Encoding.UTF8.GetBytes(refusal.ToString());
        byte[] bytes = new WorkerMessage(WorkerMessageKind.Result)
        {
            Sequence = question.Sequence,
            Result = (int)refusal.Reason,
            Worker = question.Worker,
            End = question.End,
            Tag = text.AsMemory(0, Math.Min(text.Length, LongestReason)),
        }.ToBytes();
        lock (_lock)
        {
            return !_isDisposed && DescriptorPassing.Send(Control, bytes, -1) == bytes.Length;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            control.Dispose();
            if (_delivery >= 0)
            {
                _ = Libc.Close(_delivery);
                _delivery = -1;
            }

            // Nobody will ever answer: a reset tells the peer at once.
            while (_waiting.TryDequeue(out (byte[] Bytes, int Fd) left))
            {
                _ = TcpSocket.Disconnect(left.Fd);
                _ = Libc.Close(left.Fd);
            }
        }
    }
}
