// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading.Tasks;
using System.Threading.Tasks.Sources;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Events;

/// <summary>
/// A non-blocking descriptor on a loop: the system call first, and where it would block, a wait that allocates nothing. One reader and one
/// writer at a time, on the loop's thread.
/// </summary>
public sealed class LoopDescriptor : IDisposable
{
    private const int NoSignal = 0x4000; // MSG_NOSIGNAL
    private const int InProgress = 115; // EINPROGRESS
    private const int SocketLevel = 1;
    private const int OptionError = 4; // SO_ERROR
    private const int ProtocolTcp = 6;
    private const int OptionNoDelay = 1; // TCP_NODELAY

    private readonly EventLoop _loop;
    private readonly SafeFileHandle _handle;
    private readonly ulong _watch;
    private readonly Readiness _readable = new();
    private readonly Readiness _writable = new();
    private bool _isDisposed;

    /// <summary>Takes a descriptor, which this closes.</summary>
    public LoopDescriptor(EventLoop loop, int number)
    {
        ArgumentNullException.ThrowIfNull(loop);
        _loop = loop;
        _handle = new SafeFileHandle(number, ownsHandle: true);
        Number = number;
        _watch = loop.Watch(this);
    }

    /// <summary>The descriptor.</summary>
    public int Number { get; }

    /// <summary>The same as a handle; it stays this one's.</summary>
    public SafeFileHandle Handle => _handle;

    /// <summary>Connects to a server.</summary>
    /// <exception cref="IOException">It is not to be had.</exception>
    public static async ValueTask<LoopDescriptor> ConnectAsync(EventLoop loop, TcpEnd end)
    {
        int fd = TcpSocket.Open(!end.Address.IsIpv4);
        if (fd < 0)
        {
            throw Failure("socket", fd);
        }

        var made = new LoopDescriptor(loop, fd);
        try
        {
            int result = TcpSocket.Connect(fd, end, !end.Address.IsIpv4);
            if (result == -InProgress)
            {
                await made.WritableAsync();
                _ = Libc.GetSocketOption(fd, SocketLevel, OptionError, out result, out _);
                result = -result;
            }

            if (result < 0)
            {
                throw Failure($"connect to {end}", result);
            }

            made.SetNoDelay();
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Sends what is written at once.</summary>
    public void SetNoDelay() => _ = Libc.SetSocketOption(Number, ProtocolTcp, OptionNoDelay, 1);

    /// <summary>Receives; 0 at the end.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, int flags = 0)
    {
        while (true)
        {
            long received = Libc.Receive(Number, buffer.Span, flags);
            if (received >= 0)
            {
                return (int)received;
            }

            await AwaitAsync(received, "recv", isWrite: false);
        }
    }

    /// <summary>Sends all of it. Flags: MSG_MORE 0x8000.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, int flags = 0)
    {
        while (!bytes.IsEmpty)
        {
            long sent = Libc.Send(Number, bytes.Span, flags | NoSignal);
            if (sent >= 0)
            {
                bytes = bytes[(int)sent..];
            }
            else
            {
                await AwaitAsync(sent, "send", isWrite: true);
            }
        }
    }

    /// <summary>Sends a part of a file, from the page cache.</summary>
    /// <exception cref="IOException">The connection is broken.</exception>
    public async ValueTask SendFileAsync(SafeFileHandle file, long offset, long length)
    {
        const long Turn = 1 << 20;
        ArgumentNullException.ThrowIfNull(file);
        while (length > 0)
        {
            long sent = Libc.SendFile(Number, (int)file.DangerousGetHandle(), ref offset, Math.Min(length, Turn));
            if (sent > 0)
            {
                length -= sent;
                if (sent == Turn)
                {
                    await _loop.YieldAsync();
                }
            }
            else if (sent == 0)
            {
                throw new IOException("the file is shorter than it was");
            }
            else
            {
                await AwaitAsync(sent, "sendfile", isWrite: true);
            }
        }
    }

    /// <summary>Accepts the next connection.</summary>
    public async ValueTask<LoopDescriptor> AcceptAsync()
    {
        while (true)
        {
            int accepted = Libc.Accept(Number, EventLoop.DescriptorFlags);
            if (accepted >= 0)
            {
                var made = new LoopDescriptor(_loop, accepted);
                made.SetNoDelay();
                return made;
            }

            const int Aborted = 103; // ECONNABORTED
            if (accepted != -Aborted)
            {
                await AwaitAsync(accepted, "accept4", isWrite: false);
            }
        }
    }

    /// <summary>Waits until a call that would have blocked may be tried again; throws for other errors.</summary>
    public async ValueTask AwaitAsync(long result, string call, bool isWrite)
    {
        if (result == -Errno.TryAgain)
        {
            await (isWrite ? WritableAsync() : ReadableAsync());

            // The number may be another's by now.
            ObjectDisposedException.ThrowIf(_isDisposed, this);
        }
        else if (result != -Errno.Interrupted)
        {
            throw Failure(call, result);
        }
    }

    /// <summary>Waits until there is something to read, or the end.</summary>
    public ValueTask ReadableAsync() => _readable.WaitAsync();

    /// <summary>Waits until there is room to write.</summary>
    public ValueTask WritableAsync() => _writable.WaitAsync();

    /// <summary>Closes it; whoever waits is told that it is over.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _loop.Forget(this, _watch);
            _handle.Dispose();
            _readable.Set();
            _writable.Set();
        }
    }

    internal void Signal(bool isReadable, bool isWritable)
    {
        if (isReadable)
        {
            _readable.Set();
        }

        if (isWritable)
        {
            _writable.Set();
        }
    }

    private static IOException Failure(string call, long result) => new($"{call}: {Errno.Describe(result)}");

    /// <summary>An event that is taken by waiting for it.</summary>
    private sealed class Readiness : IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _source;
        private bool _isSet;
        private bool _isAwaited;

        public ValueTask WaitAsync()
        {
            if (_isSet)
            {
                _isSet = false;
                return ValueTask.CompletedTask;
            }

            _source.Reset();
            _isAwaited = true;
            return new ValueTask(this, _source.Version);
        }

        public void Set()
        {
            if (_isAwaited)
            {
                _isAwaited = false;
                _source.SetResult(true);
            }
            else
            {
                _isSet = true;
            }
        }

        public void GetResult(short token) => _source.GetResult(token);

        public ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            _source.OnCompleted(continuation, state, token, flags);
    }
}
