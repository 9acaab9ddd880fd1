// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Handoff.Peers;

/// <summary>
/// The bytes of a connection to another daemon. Reading waits in the calling thread, which must be one for this stream alone; writing
/// never does. A message wakes that one thread then, not one that waits for all sockets and after it one of a pool: while a connection
/// is frozen, both sides wait for each wake-up (figures in docs/handoff.md).
/// </summary>
/// <param name="socket">The connection, used by nobody else; this disposes of it.</param>
internal sealed class PeerSocketStream(Socket socket) : Stream
{
    private const short PollIn = 1;
    private const short PollOut = 4;
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;
    private const int ShutdownBoth = 2;
    private const int WaitMilliseconds = 1000;

    private readonly SafeSocketHandle _handle = socket.SafeHandle;
    private volatile bool _isDisposed;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        bool isHeld = false;
        try
        {
            // So that the number is nobody else's while this waits.
            _handle.DangerousAddRef(ref isHeld);
            int fd = (int)_handle.DangerousGetHandle();
            while (true)
            {
                long got = Libc.Receive(fd, buffer, DontWait);
                if (got != -Errno.TryAgain)
                {
                    return _isDisposed ? 0 : got < 0 ? throw new IOException($"reading failed (error {-got})") : (int)got;
                }

                Wait(fd, PollIn);
            }
        }
        finally
        {
            if (isHeld)
            {
                _handle.DangerousRelease();
            }
        }
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <summary>As <see cref="Read(Span{byte})"/>: waits in the calling thread. Disposing of the stream ends it, no token.</summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        new(Read(buffer.Span));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        bool isHeld = false;
        try
        {
            _handle.DangerousAddRef(ref isHeld);
            int fd = (int)_handle.DangerousGetHandle();
            while (!(buffer = buffer[Send(fd, buffer)..]).IsEmpty)
            {
                Wait(fd, PollOut);
            }
        }
        finally
        {
            if (isHeld)
            {
                _handle.DangerousRelease();
            }
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Writes; what the socket has no room for is written by another thread.</summary>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        bool isHeld = false;
        try
        {
            _handle.DangerousAddRef(ref isHeld);
            ReadOnlyMemory<byte> left = buffer[Send((int)_handle.DangerousGetHandle(), buffer.Span)..];
            return left.IsEmpty ? ValueTask.CompletedTask : new ValueTask(Task.Run(() => Write(left.Span), CancellationToken.None));
        }
        finally
        {
            if (isHeld)
            {
                _handle.DangerousRelease();
            }
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        // Nothing is kept here.
    }

    /// <summary>As <see cref="Flush"/>: the base class would have a thread of the pool call it.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_isDisposed)
        {
            _isDisposed = true;
            bool isHeld = false;
            try
            {
                // Whoever waits wakes by it, and lets go of the descriptor.
                _handle.DangerousAddRef(ref isHeld);
                _ = Libc.Shutdown((int)_handle.DangerousGetHandle(), ShutdownBoth);
            }
            catch (ObjectDisposedException)
            {
                // It is closed already.
            }
            finally
            {
                if (isHeld)
                {
                    _handle.DangerousRelease();
                }
            }

            socket.Dispose();
        }

        base.Dispose(disposing);
    }

    // All that there is room for.
    private static int Send(int fd, ReadOnlySpan<byte> buffer)
    {
        int sent = 0;
        while (sent < buffer.Length)
        {
            long result = Libc.Send(fd, buffer[sent..], DontWait | NoSignal);
            if (result == -Errno.TryAgain)
            {
                break;
            }

            sent += result < 0 ? throw new IOException($"writing failed (error {-result})") : (int)result;
        }

        return sent;
    }

    // With an end: a stream that was disposed of between a look and this is noticed.
    private void Wait(int fd, short events)
    {
        Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = fd, Events = events }];
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        _ = Libc.Poll(wait, WaitMilliseconds);
    }
}
