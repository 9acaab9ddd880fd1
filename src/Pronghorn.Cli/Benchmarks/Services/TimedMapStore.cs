// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Threading;
using Pronghorn.LoadBalancer.Maps;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Maps that measure how long writing them takes.</summary>
internal sealed class TimedMapStore : IMapStore
{
    private readonly IMapStore _store;
    private long _ticks;

    internal TimedMapStore(IMapStore store) => _store = store;

    /// <summary>Time spent in writing since <see cref="Restart"/>.</summary>
    internal TimeSpan Elapsed => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _ticks));

    /// <summary>Begins to count anew.</summary>
    internal void Restart() => Interlocked.Exchange(ref _ticks, 0);

    /// <inheritdoc/>
    public int CapacityOf(ServiceMap map) => _store.CapacityOf(map);

    /// <inheritdoc/>
    public MapContent Read() => _store.Read();

    /// <inheritdoc/>
    public int Put(ServiceMap map, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, out int done)
    {
        long began = Stopwatch.GetTimestamp();
        int result = _store.Put(map, keys, values, count, out done);
        Add(began);
        return result;
    }

    /// <inheritdoc/>
    public int Delete(ServiceMap map, ReadOnlySpan<byte> keys, int count, out int done)
    {
        long began = Stopwatch.GetTimestamp();
        int result = _store.Delete(map, keys, count, out done);
        Add(began);
        return result;
    }

    /// <inheritdoc/>
    public int PutTable(uint setId, ReadOnlySpan<uint> table)
    {
        long began = Stopwatch.GetTimestamp();
        int result = _store.PutTable(setId, table);
        Add(began);
        return result;
    }

    private void Add(long began) => Interlocked.Add(ref _ticks, Stopwatch.GetTimestamp() - began);
}
