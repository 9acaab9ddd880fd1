// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Handoff.Workers;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Http;
using Pronghorn.Lab.Cdn.Events;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>A client's connection: requests one after another, each answered here, relayed, or taken along to another node.</summary>
internal sealed class LasSession
{
    private const int BufferLength = 2 * HttpRequest.MaximumLength;
    private const int MoreComes = 0x8000; // MSG_MORE
    private const int StreamPeriodMilliseconds = 40;

    private readonly LasWorker _worker;
    private readonly LoopDescriptor _client;
    private byte[] _buffer;
    private int _start;
    private int _filled;

    /// <summary>Begins one.</summary>
    /// <param name="worker">Whose.</param>
    /// <param name="client">The connection; this closes it.</param>
    /// <param name="consumed">What another node read of it already.</param>
    internal LasSession(LasWorker worker, LoopDescriptor client, ReadOnlyMemory<byte> consumed)
    {
        _worker = worker;
        _client = client;
        _buffer = new byte[Math.Max(BufferLength, consumed.Length)];
        consumed.CopyTo(_buffer);
        _filled = consumed.Length;
    }

    private ReadOnlyMemory<byte> Unconsumed => _buffer.AsMemory(_start, _filled - _start);

    internal void Close() => _client.Dispose();

    /// <summary>Serves until the client or this ends the connection, or it has moved.</summary>
    internal async Task RunAsync()
    {
        bool goesOn = true;
        while (goesOn)
        {
            RequestState state = HttpRequest.TryRead(Unconsumed.Span, out HttpRequest? request, out int length);
            if (state == RequestState.Complete)
            {
                goesOn = await AnswerAsync(request!, length);
            }
            else if (state == RequestState.Bad)
            {
                await _client.SendAsync(HttpResponse.Whole("400 Bad Request", "this is no request of HTTP/1.1", keepsAlive: false));
                return;
            }
            else
            {
                goesOn = await ReceiveAsync();
            }
        }
    }

    private async ValueTask<bool> ReceiveAsync()
    {
        _buffer.AsSpan(_start, _filled - _start).CopyTo(_buffer);
        _filled -= _start;
        _start = 0;
        if (_filled == _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Min(WorkerMessage.MaximumContent, 2 * _buffer.Length));
        }

        int received = await _client.ReceiveAsync(_buffer.AsMemory(_filled));
        _filled += received;
        return received > 0;
    }

    /// <summary>Whether another request may follow here.</summary>
    private async ValueTask<bool> AnswerAsync(HttpRequest request, int length)
    {
        bool isHead = request.Method == "HEAD";
        if (request.ContentLength != 0)
        {
            // What follows is a body: where the next request begins is not looked for.
            await _client.SendAsync(HttpResponse.Whole("413 Content Too Large", "a request has no body here", keepsAlive: false));
            return false;
        }

        if (request.Method is not ("GET" or "HEAD"))
        {
            _start += length;
            await _client.SendAsync(HttpResponse.Whole(
                "405 Method Not Allowed", "GET and HEAD are served", request.KeepsAlive, "Allow: GET, HEAD\r\n"));
            return request.KeepsAlive;
        }

        if (request.Path == "/status")
        {
            _start += length;
            string status = JsonSerializer.Serialize(_worker.Counts.Read(_worker.Options), CdnJson.Default.LasStatus);
            await _client.SendAsync(HttpResponse.Whole("200 OK", status, request.KeepsAlive, isHead: isHead));
            return request.KeepsAlive;
        }

        if (ContentPath.Read(request.Path) is not { } path)
        {
            _start += length;
            string text = "there are /file/NAME/BYTES, /live/NAME[/MBIT[/SECONDS]] and /status";
            await _client.SendAsync(HttpResponse.Whole("404 Not Found", text, request.KeepsAlive, isHead: isHead));
            return request.KeepsAlive;
        }

        return await AnswerAsync(request, path, length);
    }

    private async ValueTask<bool> AnswerAsync(HttpRequest request, ContentPath path, int length)
    {
        string problem;
        try
        {
            TcpEnd? owner = request.IsRelayed ? null : await _worker.FindOwnerAsync(path.Name);
            if (owner is { } other)
            {
                if (_worker.Options.Way == LasWay.Handoff && await TryHandOffAsync(other))
                {
                    return false;
                }

                _start += length;
                _worker.Counts.AddRelayed();
                return await _worker.Relay.PassAsync(request, other, _client, _worker.Options.Way == LasWay.Splice);
            }

            _start += length;
            SafeFileHandle? file = path.IsLive ? null : await _worker.Cache.GetAsync(path);
            _worker.Counts.AddLocal();
            await (file is null ? SendStreamAsync(request, path) : SendFileAsync(request, path, file));
            return request.KeepsAlive;
        }
        catch (UpstreamException failure)
        {
            problem = failure.Message;
        }

        // Nothing of an answer was sent yet.
        await _client.SendAsync(HttpResponse.Whole("502 Bad Gateway", problem, keepsAlive: false));
        return false;
    }

    /// <summary>The request is read again by the other node, and whatever follows it.</summary>
    private async ValueTask<bool> TryHandOffAsync(TcpEnd owner)
    {
        string? reason = await _worker.TryHandOffAsync(_client, owner, Unconsumed);
        if (reason is null)
        {
            _worker.Counts.AddGiven();
            return true;
        }

        _worker.Counts.AddStayed(reason);
        return false;
    }

    private async ValueTask SendFileAsync(HttpRequest request, ContentPath path, SafeFileHandle file)
    {
        string node = $"X-Cdn-Node: {_worker.Options.Node}\r\nAccept-Ranges: bytes\r\n";
        string status = "200 OK";
        if (ByteRange.TryRead(request.Range, path.Size, out ByteRange range, out bool isSatisfiable))
        {
            if (!isSatisfiable)
            {
                string whole = string.Create(CultureInfo.InvariantCulture, $"Content-Range: bytes */{path.Size}\r\n");
                await _client.SendAsync(HttpResponse.Whole(
                    "416 Range Not Satisfiable", "the range begins behind the end", request.KeepsAlive, node + whole));
                return;
            }

            status = "206 Partial Content";
            long last = range.Offset + range.Length - 1;
            node += string.Create(CultureInfo.InvariantCulture, $"Content-Range: bytes {range.Offset}-{last}/{path.Size}\r\n");
        }

        bool hasBody = request.Method != "HEAD" && range.Length > 0;
        await _client.SendAsync(HttpResponse.Head(status, range.Length, request.KeepsAlive, node), hasBody ? MoreComes : 0);
        if (hasBody)
        {
            await _client.SendFileAsync(file, range.Offset, range.Length);
        }
    }

    /// <summary>Chunks of a period each, not earlier than they would be made.</summary>
    private async ValueTask SendStreamAsync(HttpRequest request, ContentPath path)
    {
        await _client.SendAsync(HttpResponse.ChunkedHead(request.KeepsAlive, _worker.Options.Node));
        if (request.Method == "HEAD")
        {
            return;
        }

        int size = path.Megabits * 1_000_000 / 8 * StreamPeriodMilliseconds / 1000;
        byte[] prefix = Encoding.ASCII.GetBytes(size.ToString("x", CultureInfo.InvariantCulture) + "\r\n");
        byte[] chunk = new byte[prefix.Length + size + 2];
        prefix.CopyTo(chunk, 0);
        "\r\n"u8.CopyTo(chunk.AsSpan(chunk.Length - 2));
        long began = Environment.TickCount64;
        long count = path.Seconds * 1000L / StreamPeriodMilliseconds;
        for (long i = 0; i < count; i++)
        {
            long early = began + (i * StreamPeriodMilliseconds) - Environment.TickCount64;
            if (early > 0)
            {
                await Task.Delay((int)early);
            }

            GeneratedContent.Fill(path.Name, i * size, chunk.AsSpan(prefix.Length, size));
            await _client.SendAsync(chunk);
        }

        await _client.SendAsync("0\r\n\r\n"u8.ToArray());
    }
}
