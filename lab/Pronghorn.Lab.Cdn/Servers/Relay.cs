// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Http;
using Pronghorn.Lab.Cdn.Events;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>An answer that could not be got from another server; nothing of it was sent to the client.</summary>
public sealed class UpstreamException : Exception
{
    /// <summary>Says why.</summary>
    public UpstreamException(string message)
        : base(message)
    {
    }

    /// <summary>Says why, with the cause.</summary>
    public UpstreamException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Says nothing.</summary>
    public UpstreamException()
    {
    }
}

/// <summary>Passes requests on to other nodes and their answers back, over connections that are kept. One for each worker.</summary>
internal sealed class Relay(EventLoop loop) : IDisposable
{
    private const int BufferLength = 1 << 18;
    private const int PipeLength = 1 << 20;
    private const int SetPipeSize = 1031; // F_SETPIPE_SZ
    private const uint MoveWithoutWaiting = 3; // SPLICE_F_MOVE | SPLICE_F_NONBLOCK
    private const uint MoreComes = 4; // SPLICE_F_MORE
    private const int MoreFlag = 0x8000; // MSG_MORE

    private readonly Dictionary<TcpEnd, Stack<LoopDescriptor>> _idle = [];
    private readonly Stack<byte[]> _buffers = new();
    private readonly Stack<(int Read, int Write)> _pipes = new();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Stack<LoopDescriptor> connections in _idle.Values)
        {
            foreach (LoopDescriptor connection in connections)
            {
                connection.Dispose();
            }
        }

        foreach ((int Read, int Write) pipe in _pipes)
        {
            Close(pipe);
        }
    }

    /// <summary>Passes a request on and its answer back. Whether another request may follow.</summary>
    /// <exception cref="UpstreamException">The other node does not answer; nothing was sent to the client.</exception>
    /// <exception cref="IOException">One of both broke off in the middle.</exception>
    internal async ValueTask<bool> PassAsync(HttpRequest request, TcpEnd owner, LoopDescriptor client, bool splices)
    {
        byte[] buffer = _buffers.TryPop(out byte[]? free) ? free : new byte[BufferLength];
        LoopDescriptor? upstream = null;
        try
        {
            (upstream, int filled, int head) = await AskAsync(request, owner, buffer);
            long? length = request.Method == "HEAD" ? 0 : HttpResponse.ReadLength(buffer.AsSpan(0, head));
            long left = (length ?? long.MaxValue) - (filled - head);
            await client.SendAsync(buffer.AsMemory(0, filled), left > 0 && length is not null ? MoreFlag : 0);
            await (splices && left > 0 ? SpliceAsync(upstream, client, left) : CopyAsync(upstream, client, left, buffer));
            if (length is not null)
            {
                Keep(owner, upstream);
                upstream = null;
            }

            return length is not null && request.KeepsAlive;
        }
        finally
        {
            upstream?.Dispose();
            _buffers.Push(buffer);
        }
    }

    /// <summary>Asks over a connection that was kept, or when that has ended meanwhile over a new one; reads the answer's head.</summary>
    private async ValueTask<(LoopDescriptor Upstream, int Filled, int Head)> AskAsync(HttpRequest request, TcpEnd owner, byte[] buffer)
    {
        bool isLive = ContentPath.Read(request.Path) is { IsLive: true };
        byte[] question = Encoding.ASCII.GetBytes(
            $"{request.Method} {request.Path} HTTP/1.1\r\nHost: {owner}\r\n{HttpRequest.RelayField}: 1\r\n"
            + (request.Range is null ? "" : $"Range: {request.Range}\r\n") + (isLive ? "Connection: close\r\n\r\n" : "\r\n"));
        while (true)
        {
            bool isKept = _idle.TryGetValue(owner, out Stack<LoopDescriptor>? kept) && kept.Count > 0;
            LoopDescriptor? upstream = isKept ? kept!.Pop() : null;
            try
            {
                upstream ??= await LoopDescriptor.ConnectAsync(loop, owner);
                await upstream.SendAsync(question);
                (int filled, int head) = await ReadHeadAsync(upstream, buffer);
                return (upstream, filled, head);
            }
            catch (IOException) when (isKept)
            {
                upstream!.Dispose();
            }
            catch (IOException failure)
            {
                upstream?.Dispose();
                throw new UpstreamException($"{owner} does not answer: {failure.Message}", failure);
            }
        }
    }

    private static async ValueTask<(int Filled, int Head)> ReadHeadAsync(LoopDescriptor upstream, byte[] buffer)
    {
        int filled = 0;
        while (filled < HttpRequest.MaximumLength)
        {
            int received = await upstream.ReceiveAsync(buffer.AsMemory(filled, HttpRequest.MaximumLength - filled));
            filled += received;
            int head = HttpResponse.FindEnd(buffer.AsSpan(0, filled));
            if (head >= 0)
            {
                return (filled, head);
            }

            if (received == 0)
            {
                break;
            }
        }

        throw new IOException("it ended before its answer did");
    }

    private static async ValueTask CopyAsync(LoopDescriptor from, LoopDescriptor to, long left, byte[] buffer)
    {
        while (left > 0)
        {
            int received = await from.ReceiveAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)));
            if (received == 0)
            {
                EnsureEndless(left);
                return;
            }

            left -= received;
            await to.SendAsync(buffer.AsMemory(0, received));
        }
    }

    private async ValueTask SpliceAsync(LoopDescriptor from, LoopDescriptor to, long left)
    {
        (int Read, int Write) pipe = _pipes.TryPop(out (int Read, int Write) free) ? free : MakePipe();
        bool isEmpty = false;
        try
        {
            while (left > 0)
            {
                long got = Libc.Splice(from.Number, pipe.Write, Math.Min(left, PipeLength), MoveWithoutWaiting);
                if (got < 0)
                {
                    await from.AwaitAsync(got, "splice", isWrite: false);
                    continue;
                }

                if (got == 0)
                {
                    EnsureEndless(left);
                    break;
                }

                left -= got;
                await EmptyAsync(pipe.Read, to, got, left > 0 && left < long.MaxValue / 2);
            }

            isEmpty = true;
        }
        finally
        {
            if (isEmpty)
            {
                _pipes.Push(pipe);
            }
            else
            {
                Close(pipe);
            }
        }
    }

    private static async ValueTask EmptyAsync(int pipe, LoopDescriptor to, long left, bool moreComes)
    {
        while (left > 0)
        {
            long sent = Libc.Splice(pipe, to.Number, left, MoveWithoutWaiting | (moreComes ? MoreComes : 0));
            if (sent > 0)
            {
                left -= sent;
            }
            else
            {
                await to.AwaitAsync(sent, "splice", isWrite: true);
            }
        }
    }

    private static (int Read, int Write) MakePipe()
    {
        int result = Libc.Pipe(EventLoop.DescriptorFlags, out int read, out int write);
        if (result < 0)
        {
            throw new IOException($"pipe2: {Errno.Describe(result)}");
        }

        // The default of 16 pages does where a user's share of memory for pipes is used up.
        _ = Libc.FileControl(write, SetPipeSize, PipeLength);
        return (read, write);
    }

    private static void Close((int Read, int Write) pipe)
    {
        _ = Libc.Close(pipe.Read);
        _ = Libc.Close(pipe.Write);
    }

    private static void EnsureEndless(long left)
    {
        if (left < long.MaxValue / 2)
        {
            throw new IOException("the other node ended in the middle of its answer");
        }
    }

    private void Keep(TcpEnd owner, LoopDescriptor connection)
    {
        if (!_idle.TryGetValue(owner, out Stack<LoopDescriptor>? kept))
        {
            _idle.Add(owner, kept = new Stack<LoopDescriptor>());
        }

        kept.Push(connection);
    }
}
