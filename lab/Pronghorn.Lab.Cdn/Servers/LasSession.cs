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

    private readonly LasWorker _worker;
    private readonly LoopDescriptor _client;
    private readonly bool _isTaken;
    private readonly ReadOnlyMemory<byte> _tag;
    private bool _hasAsked;
    private byte[] _buffer;
    private int _start;
    private int _filled;

    /// <summary>Begins one.</summary>
    /// <param name="worker">Whose.</param>
    /// <param name="client">The connection; this closes it.</param>
    /// <param name="consumed">What another node read of it already, a request at least; empty when it was accepted here.</param>
    /// <param name="tag">A <see cref="StreamPlace"/> when it is in the middle of the first request's answer; otherwise empty.</param>
    internal LasSession(
        LasWorker worker, LoopDescriptor client, ReadOnlyMemory<byte> consumed = default, ReadOnlyMemory<byte> tag = default)
    {
        _isTaken = !consumed.IsEmpty;
        _tag = tag;
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
            string text = "there are /file/NAME/BYTES, /live/NAME[/MBIT[/SECONDS]], /media/NAME[/KBIT] and /status";
            await _client.SendAsync(HttpResponse.Whole("404 Not Found", text, request.KeepsAlive, isHead: isHead));
            return request.KeepsAlive;
        }

        return await AnswerAsync(request, path, length);
    }

    private async ValueTask<bool> AnswerAsync(HttpRequest request, ContentPath path, int length)
    {
        bool isFirst = !_hasAsked;
        _hasAsked = true;
        if (isFirst && !_tag.IsEmpty)
        {
            // Its answer has begun elsewhere and goes on here, whoever has the content.
            return await GoOnAsync(request, path, length);
        }

        if (isFirst && !_isTaken && !request.IsRelayed)
        {
            _worker.Counts.AddClient();
        }

        string problem;
        try
        {
            TcpEnd? owner = request.IsRelayed ? null : await _worker.FindOwnerAsync(path.Name);
            if (owner is { } other)
            {
                // The request is read again by the other node, and whatever follows it.
                if (_worker.Options.Way == LasWay.Handoff && await _worker.TryHandOffAsync(_client, other, Unconsumed))
                {
                    return false;
                }

                _start += length;
                _worker.Counts.AddRelayed();
                return await _worker.Relay.PassAsync(request, other, _client, _worker.Options.Way == LasWay.Splice);
            }

            return await AnswerHereAsync(request, path, length);
        }
        catch (UpstreamException failure)
        {
            problem = failure.Message;
        }

        // Nothing of an answer was sent yet.
        await _client.SendAsync(HttpResponse.Whole("502 Bad Gateway", problem, keepsAlive: false));
        return false;
    }

    /// <summary>Whether another request may follow here.</summary>
    /// <exception cref="UpstreamException">The origin does not give it; nothing was sent.</exception>
    private async ValueTask<bool> AnswerHereAsync(HttpRequest request, ContentPath path, int length)
    {
        using SafeFileHandle? media = path.IsMedia ? MediaFolder.TryOpen(_worker.Options.Media, path.Name) : null;
        if (path.IsMedia && media is null)
        {
            _start += length;
            bool isHead = request.Method == "HEAD";
            await _client.SendAsync(HttpResponse.Whole("404 Not Found", "there is no such file", request.KeepsAlive, isHead: isHead));
            return request.KeepsAlive;
        }

        path = media is null ? path : path with { Size = RandomAccess.GetLength(media) };
        if (!path.IsLive)
        {
            _start += length;
            SafeFileHandle file = media ?? await _worker.Cache.GetAsync(path);
            _worker.Counts.AddLocal();
            await SendFileAsync(request, path, file);
            return request.KeepsAlive;
        }

        _worker.Counts.AddLocal();
        string type = path.IsMedia ? MediaFolder.TypeOf(path.Name) : "video/x-flv";
        await _client.SendAsync(HttpResponse.ChunkedHead(request.KeepsAlive, _worker.Options.Node, type));
        if (request.Method == "HEAD")
        {
            _start += length;
            return request.KeepsAlive;
        }

        return await SendStreamAsync(request, path, media, default, length);
    }

    /// <summary>The rest of a stream that has come. Nothing but its bytes may be sent: what fails ends the connection.</summary>
    private async ValueTask<bool> GoOnAsync(HttpRequest request, ContentPath path, int length)
    {
        using SafeFileHandle? media = path.IsMedia ? MediaFolder.TryOpen(_worker.Options.Media, path.Name) : null;
        if (!path.IsLive || (path.IsMedia && media is null) || !StreamPlace.TryRead(_tag.Span, out StreamPlace place))
        {
            throw new IOException("a stream has come that is not here");
        }

        path = media is null ? path : path with { Size = RandomAccess.GetLength(media) };
        return await SendStreamAsync(request, path, media, place, length);
    }

    private async ValueTask<bool> SendStreamAsync(
        HttpRequest request, ContentPath path, SafeFileHandle? media, StreamPlace place, int length)
    {
        // The request stays in front until its answer is whole: the next node reads it again.
        var stream = new LasStream(_worker, _client, path, media);
        bool mayRoam = _worker.Options.Way == LasWay.Handoff && !request.IsRelayed;
        bool isHere = await stream.SendAsync(place, mayRoam ? _worker.Options.Roam : TimeSpan.Zero, Unconsumed);
        _start += length;
        return isHere && request.KeepsAlive;
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
}
