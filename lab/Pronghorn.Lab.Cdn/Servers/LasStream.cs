// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Events;
using Pronghorn.Lab.Cdn.Http;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>The body of a stream: chunks of a period each, none of them sent earlier than it would be made.</summary>
/// <param name="worker">Whose.</param>
/// <param name="client">The connection.</param>
/// <param name="path">What is streamed.</param>
/// <param name="media">Its file; null where it is generated.</param>
internal sealed class LasStream(LasWorker worker, LoopDescriptor client, ContentPath path, SafeFileHandle? media)
{
    // Digits of a chunk's length, its end of line, and that after the chunk.
    private const int FrameLength = 12;

    private readonly byte[] _chunk = new byte[path.Step + FrameLength];

    /// <summary>Sends it to its end, or until the connection has moved. Whether it is still here.</summary>
    /// <param name="place">Where to begin.</param>
    /// <param name="roam">How long it stays here; zero: to its end.</param>
    /// <param name="request">What was read and is not answered, which goes along.</param>
    /// <exception cref="IOException">The connection is broken, or the file shorter than it was.</exception>
    internal async ValueTask<bool> SendAsync(StreamPlace place, TimeSpan roam, ReadOnlyMemory<byte> request)
    {
        long began = Environment.TickCount64 - place.Elapsed;
        long stay = roam > TimeSpan.Zero ? (long)roam.TotalMilliseconds : int.MaxValue;
        long leaves = Environment.TickCount64 + stay;
        for (long at = place.Position; at < path.Size;)
        {
            long early = began + (at / path.Step * ContentPath.PeriodMilliseconds) - Environment.TickCount64;
            if (early > 0)
            {
                await Task.Delay((int)early);
            }

            long now = Environment.TickCount64;
            if (now >= leaves)
            {
                if (await TryMoveAsync(new StreamPlace(at, now - began), request))
                {
                    return false;
                }

                leaves = now + stay;
            }

            at += await SendChunkAsync(at);
        }

        await client.SendAsync("0\r\n\r\n"u8.ToArray());
        return true;
    }

    private async ValueTask<int> SendChunkAsync(long at)
    {
        int count = (int)Math.Min(path.Step, path.Size - at);
        _ = count.TryFormat(_chunk, out int filled, "x", CultureInfo.InvariantCulture);
        Add("\r\n"u8, ref filled);
        Span<byte> content = _chunk.AsSpan(filled, count);
        if (media is null)
        {
            GeneratedContent.Fill(path.Name, at, content);
        }
        else if (RandomAccess.Read(media, content, at) != count)
        {
            throw new IOException("the file is shorter than it was");
        }

        filled += count;
        Add("\r\n"u8, ref filled);
        await client.SendAsync(_chunk.AsMemory(0, filled));
        return count;
    }

    private void Add(ReadOnlySpan<byte> bytes, ref int filled)
    {
        bytes.CopyTo(_chunk.AsSpan(filled));
        filled += bytes.Length;
    }

    private async ValueTask<bool> TryMoveAsync(StreamPlace place, ReadOnlyMemory<byte> request)
    {
        try
        {
            return await worker.FindNextAsync() is { } next && await worker.TryHandOffAsync(client, next, request, place.ToTag());
        }
        catch (UpstreamException failure)
        {
            // The answer is under way: it goes on here.
            worker.Counts.AddStayed(failure.Message);
            return false;
        }
    }
}
