// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
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
/// <param name="control">On which it asks; this disposes of it.</param>
/// <param name="quota">What it may ask for.</param>
/// <param name="ended">Called once, when it is over, by the server's thread.</param>
internal sealed class WorkerSession(Socket control, MoveQuota quota, Action ended) : IDisposable
{
    private const short PollOut = 4;
    private const int LongestReason = 512;

    private readonly Lock _lock = new();
    private readonly Queue<byte[]> _waiting = new();
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

    /// <summary>Gives the worker a connection that is silent still.</summary>
    /// <returns>Why not: the worker has gone, or does not read.</returns>
    internal Refusal TryGive(WorkerMessage message, int fd)
    {
        byte[] bytes = message.ToBytes();
        lock (_lock)
        {
            long sent = _delivery < 0 ? -Errno.BadDescriptor : DescriptorPassing.Send(_delivery, bytes, fd);
            return sent == bytes.Length ? Refusal.None
                : sent is -Errno.TryAgain or -Errno.TooManyReferences
                    ? new Refusal(RefusalReason.Limit, "the worker does not read what it is given")
                    : new Refusal(RefusalReason.NoWorker, "the worker has gone");
        }
    }

    /// <summary>Says what has become of a connection that was given. Where the worker does not read at the moment, that waits.</summary>
    internal void Release(uint sequence, bool isLive)
    {
        byte[] bytes = new WorkerMessage(WorkerMessageKind.Release) { Sequence = sequence, Result = isLive ? 0 : 1 }.ToBytes();
        lock (_lock)
        {
            if (_delivery >= 0 && (_waiting.Count > 0 || DescriptorPassing.Send(_delivery, bytes, -1) == -Errno.TryAgain))
            {
                _waiting.Enqueue(bytes);
            }
        }
    }

    /// <summary>Says what waits, as far as the worker reads.</summary>
    internal void SendWaiting()
    {
        lock (_lock)
        {
            while (_delivery >= 0 && _waiting.TryPeek(out byte[]? next) && DescriptorPassing.Send(_delivery, next, -1) != -Errno.TryAgain)
            {
                _waiting.Dequeue();
            }
        }
    }

    /// <summary>Begins to move a connection of the worker's.</summary>
    /// <param name="most">Most that it may have under way.</param>
    /// <returns>None, or which limit it has reached.</returns>
    internal Refusal BeginHandoff(int most)
    {
        if (!quota.TryTake(Stopwatch.GetTimestamp()))
        {
            return new Refusal(
                RefusalReason.Limit, $"this worker has had {quota.PerSecond} connections moved in a second (worker_moves_per_second)");
        }

        if (TryBegin(most))
        {
            return Refusal.None;
        }

        return new Refusal(RefusalReason.Limit, $"{most} connections of this worker are being moved already");
    }

    /// <summary>Begins to end a move of a former daemon's: it has counted for the worker's quota already.</summary>
    /// <param name="most">Most that the session may have under way.</param>
    internal bool TryBeginRecovery(int most) => TryBegin(most);

    /// <summary>A move has ended, or was recovered.</summary>
    internal void EndHandoff() => Interlocked.Decrement(ref _handoffs);

    private bool TryBegin(int most)
    {
        if (Interlocked.Increment(ref _handoffs) <= most)
        {
            return true;
        }

        EndHandoff();
        return false;
    }

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
        }

        ended();
    }
}
