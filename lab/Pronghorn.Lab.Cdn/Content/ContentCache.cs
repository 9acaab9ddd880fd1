// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Lab.Cdn.Http;
using Pronghorn.Lab.Cdn.Servers;

namespace Pronghorn.Lab.Cdn.Content;

/// <summary>
/// The files that a server has, in memory: a file without a name on tmpfs each, so that sendfile(2) sends them from the page cache. What
/// is missing is fetched from the origin once, however many ask. Shared by all workers.
/// </summary>
public sealed class ContentCache : IDisposable
{
    private const string MemoryFolder = "/dev/shm";
    private const int Step = 1 << 18;

    private readonly ConcurrentDictionary<(string Name, long Size), Lazy<Task<SafeFileHandle>>> _files = new();
    private readonly HttpClient? _origin;
    private readonly long _most;
    private long _used;

    /// <summary>Makes an empty cache.</summary>
    /// <param name="origin">Base address of the origin; null: contents are generated here, as the origin does.</param>
    /// <param name="most">Most bytes; beyond, files are forgotten, and those that are sent go on.</param>
    public ContentCache(Uri? origin, long most = 1L << 30)
    {
        _most = most;
        _origin = origin is null ? null : new HttpClient { BaseAddress = origin, Timeout = TimeSpan.FromSeconds(20) };
    }

    /// <summary>A file.</summary>
    /// <exception cref="UpstreamException">The origin cannot be reached, or has something else.</exception>
    public async ValueTask<SafeFileHandle> GetAsync(ContentPath path)
    {
        ArgumentNullException.ThrowIfNull(path);
        (string, long) key = (path.Name, path.Size);
        Lazy<Task<SafeFileHandle>> file = _files.GetOrAdd(key, _ => new Lazy<Task<SafeFileHandle>>(() => Task.Run(() => MakeAsync(path))));
        try
        {
            return await file.Value;
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or OperationCanceledException)
        {
            _files.TryRemove(new KeyValuePair<(string, long), Lazy<Task<SafeFileHandle>>>(key, file));
            throw new UpstreamException($"the origin does not give /file/{path.Name}: {failure.Message}", failure);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _origin?.Dispose();
        foreach (Lazy<Task<SafeFileHandle>> file in _files.Values)
        {
            if (file is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            {
                file.Value.Result.Dispose();
            }
        }
    }

    private async Task<SafeFileHandle> MakeAsync(ContentPath path)
    {
        Forget(path.Size);
        string name = Path.Combine(Directory.Exists(MemoryFolder) ? MemoryFolder : Path.GetTempPath(), "pronghorn-las-" + Guid.NewGuid());
        SafeFileHandle file = File.OpenHandle(name, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        try
        {
            // It has no name from here on, so that nothing is left behind however this ends.
            File.Delete(name);
            await (_origin is null ? GenerateAsync(path, file) : FetchAsync(path, file));
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void Forget(long size)
    {
        if (Interlocked.Add(ref _used, size) <= _most)
        {
            return;
        }

        // Whoever is just sending one keeps its descriptor open by its own reference: the collector closes it afterwards.
        foreach ((string Name, long Size) key in _files.Keys.Take(_files.Count / 2).ToArray())
        {
            if (_files.TryRemove(key, out _))
            {
                Interlocked.Add(ref _used, -key.Size);
            }
        }
    }

    private async Task FetchAsync(ContentPath path, SafeFileHandle file)
    {
        string where = string.Create(CultureInfo.InvariantCulture, $"/file/{path.Name}/{path.Size}");
        await using Stream stream = await _origin!.GetStreamAsync(where);
        byte[] buffer = new byte[Step];
        long at = 0;
        for (int count; (count = await stream.ReadAsync(buffer)) > 0; at += count)
        {
            RandomAccess.Write(file, buffer.AsSpan(0, count), at);
        }

        if (at != path.Size)
        {
            throw new IOException($"the origin sent {at} of {path.Size} bytes");
        }
    }

    private static Task GenerateAsync(ContentPath path, SafeFileHandle file)
    {
        byte[] buffer = new byte[Step];
        for (long at = 0; at < path.Size; at += Step)
        {
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(Step, path.Size - at));
            GeneratedContent.Fill(path.Name, at, part);
            RandomAccess.Write(file, part, at);
        }

        return Task.CompletedTask;
    }
}
