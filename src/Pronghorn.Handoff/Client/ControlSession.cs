// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Handoff.Client;

/// <summary>
/// The socket by which a worker asks its daemon. Any number of questions may be under way at once, by any threads; none blocks one.
/// </summary>
internal sealed class ControlSession : IAsyncDisposable
{
    private const short PollOut = 4;
    private const int RoomPollMilliseconds = 100;

    private readonly Socket _socket;
    private readonly string _path;
    private readonly ConcurrentDictionary<uint, TaskCompletionSource<WorkerMessage>> _asked = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _reading;
    private uint _lastSequence;
    private int _isDisposed;

    private ControlSession(Socket socket, string path)
    {
        _socket = socket;
        _path = path;
        _reading = ReadAnswersAsync();
    }

    /// <summary>Completes when the daemon has gone, or this is disposed.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>Questions that are not answered yet.</summary>
    internal int OutstandingCount => _asked.Count;

    /// <summary>Connects to the daemon.</summary>
    /// <exception cref="SocketException">None answers there.</exception>
    /// <exception cref="ArgumentException">The path cannot be one of a Unix socket.</exception>
    internal static async Task<ControlSession> ConnectAsync(string path, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
            return new ControlSession(socket, path);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks, and waits for the answer.</summary>
    /// <param name="question">The question; its number is given here.</param>
    /// <param name="descriptor">What goes along; it stays the caller's. Null: nothing.</param>
    /// <param name="cancellation">Ends the waiting, not what was asked for.</param>
    /// <exception cref="IOException">The daemon has gone.</exception>
    /// <exception cref="ObjectDisposedException">This was closed before.</exception>
    internal async Task<HandoffResult> AskAsync(WorkerMessage question, SafeHandle? descriptor, CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        uint sequence = Interlocked.Increment(ref _lastSequence);
        byte[] bytes = (question with { Sequence = sequence }).ToBytes();
        var answered = new TaskCompletionSource<WorkerMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked[sequence] = answered;
        try
        {
            await SendAsync(bytes, descriptor, cancellation).ConfigureAwait(false);
            if (_ended.Task.IsCompleted)
            {
                throw Gone();
            }

            WorkerMessage answer = await answered.Task.WaitAsync(cancellation).ConfigureAwait(false);
            return new HandoffResult((RefusalReason)answer.Result, Encoding.UTF8.GetString(answer.Tag.Span));
        }
        finally
        {
            _asked.TryRemove(sequence, out _);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            // Not the semaphore: a call may still be about to release it. It has no handle to free.
            _socket.Dispose();
            await _reading.ConfigureAwait(false);
        }
    }

    /// <summary>The descriptor is the kernel's copy once the message is sent, whatever its owner does then.</summary>
    private async Task SendAsync(byte[] bytes, SafeHandle? descriptor, CancellationToken cancellation)
    {
        await _sending.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            while (!TrySend(bytes, descriptor))
            {
                // Rare: the daemon has hundreds of kilobytes to read. One thread waits for all.
                await Task.Run(WaitForRoom, cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            _sending.Release();
        }
    }

    private bool TrySend(byte[] bytes, SafeHandle? descriptor)
    {
        bool holdsDescriptor = false;
        bool holdsSocket = false;
        try
        {
            descriptor?.DangerousAddRef(ref holdsDescriptor);
            _socket.SafeHandle.DangerousAddRef(ref holdsSocket);
            int fd = descriptor is null ? -1 : (int)descriptor.DangerousGetHandle();
            long sent = DescriptorPassing.Send((int)_socket.SafeHandle.DangerousGetHandle(), bytes, fd);
            return sent switch
            {
                >= 0 => true,
                -Errno.TryAgain => false,
                -Errno.BadDescriptor when fd >= 0 => throw new IOException("what was to be handed to the daemon is no open descriptor"),
                _ => throw Gone(),
            };
        }
        catch (ObjectDisposedException) when (_isDisposed != 0)
        {
            throw Gone();
        }
        finally
        {
            if (holdsSocket)
            {
                _socket.SafeHandle.DangerousRelease();
            }

            if (holdsDescriptor)
            {
                descriptor!.DangerousRelease();
            }
        }
    }

    private void WaitForRoom()
    {
        Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = (int)_socket.Handle, Events = PollOut }];
        _ = Libc.Poll(wait, RoomPollMilliseconds);
    }

    private async Task ReadAnswersAsync()
    {
        byte[] buffer = new byte[WorkerMessage.MaximumLength];
        try
        {
            while (true)
            {
                int length = await _socket.ReceiveAsync(buffer).ConfigureAwait(false);
                if (length == 0)
                {
                    break;
                }

                var answer = WorkerMessage.Read(buffer.AsSpan(0, length));
                if (_asked.TryGetValue(answer.Sequence, out TaskCompletionSource<WorkerMessage>? asked))
                {
                    asked.TrySetResult(answer);
                }
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException or ImageFormatException)
        {
            // The end, however it came.
        }

        _ended.TrySetResult();
        foreach (TaskCompletionSource<WorkerMessage> asked in _asked.Values)
        {
            asked.TrySetException(Gone());
        }
    }

    private IOException Gone() => new(_isDisposed != 0
        ? $"{_path}: this worker's connection to its daemon was closed"
        : $"{_path}: the handoff daemon has gone; connections stay where they are");
}
