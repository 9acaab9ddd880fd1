// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>Reads the events of a watch: one JSON document a line.</summary>
internal static class WatchLines
{
    /// <summary>Bytes of one event. Kubernetes refuses objects above 1.5 MiB or so (etcd's request limit).</summary>
    private const int MaximumLineBytes = 16 << 20;

    /// <summary>Yields events until the server ends the answer.</summary>
    /// <param name="body">Body of the answer.</param>
    /// <param name="silence">How long nothing may come before the connection counts as dead.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">The connection broke, went silent, or sent too long a line.</exception>
    /// <exception cref="JsonException">A line is not an event.</exception>
    public static async IAsyncEnumerable<ApiWatchEvent> ReadAsync(
        Stream body, TimeSpan silence, [EnumeratorCancellation] CancellationToken cancellation)
    {
        PipeReader reader = PipeReader.Create(body);
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        while (true)
        {
            timer.CancelAfter(silence);
            ReadResult result = await ReadAsync(reader, timer.Token, cancellation);
            ReadOnlySequence<byte> buffer = result.Buffer;
            while (TryReadLine(ref buffer, out ReadOnlySequence<byte> line))
            {
                if (Parse(line) is ApiWatchEvent item)
                {
                    yield return item;
                }
            }

            if (buffer.Length > MaximumLineBytes)
            {
                throw new IOException($"an event of more than {MaximumLineBytes} bytes");
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                yield break;
            }
        }
    }

    private static async System.Threading.Tasks.Task<ReadResult> ReadAsync(
        PipeReader reader, CancellationToken silence, CancellationToken cancellation)
    {
        try
        {
            return await reader.ReadAsync(silence);
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException("the server has been silent for too long", exception);
        }
    }

    private static bool TryReadLine(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> line)
    {
        if (buffer.PositionOf((byte)'\n') is not SequencePosition end)
        {
            line = default;
            return false;
        }

        line = buffer.Slice(0, end);
        buffer = buffer.Slice(buffer.GetPosition(1, end));
        return true;
    }

    private static ApiWatchEvent? Parse(ReadOnlySequence<byte> line)
    {
        if (line.IsEmpty)
        {
            return null;
        }

        var json = new Utf8JsonReader(line);
        return JsonSerializer.Deserialize(ref json, ApiJson.Default.ApiWatchEvent);
    }
}
