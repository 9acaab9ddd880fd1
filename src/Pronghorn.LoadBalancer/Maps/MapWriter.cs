// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Threading;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>A write that the kernel refused.</summary>
public sealed class MapWriteException : Exception
{
    /// <summary>Says which.</summary>
    public MapWriteException(MapWrite write, int error, int executed)
        : base($"The map '{ServiceMaps.NameOf(write.Map)}' refused to {write}: {Describe(write.Map, error)}")
    {
        Map = write.Map;
        Error = error;
        Executed = executed;
    }

    /// <summary>Which map.</summary>
    public ServiceMap Map { get; }

    /// <summary>The error number, positive.</summary>
    public int Error { get; }

    /// <summary>How many writes of the plan went before it.</summary>
    public int Executed { get; }

    private static string Describe(ServiceMap map, int error) => error switch
    {
        7 or 28 => $"it is full (error {error}); raise {ServiceMaps.SettingOf(map)} in the configuration.",
        12 => "the kernel has no memory for another entry (ENOMEM).",
        1 => "not permitted (EPERM); the daemon needs CAP_BPF and CAP_NET_ADMIN.",
        _ => $"error {error}.",
    };
}

/// <summary>
/// Executes the writes of plans, neighbours on one map together in one call. Their order holds between calls and within
/// each.
/// </summary>
/// <remarks>One thread at a time.</remarks>
public sealed class MapWriter
{
    /// <summary>Entries a call; what a call locks and copies stays small.</summary>
    private const int BatchSize = 1024;

    private const int NoMemory = 12;

    /// <summary>Times that a write without memory is tried again, a millisecond apart, while none succeeds.</summary>
    internal const int MostWaits = 50;

    private readonly IMapStore _store;
    private readonly byte[] _keys = new byte[BatchSize * 24];
    private readonly byte[] _values = new byte[BatchSize * 48];

    /// <summary>Writes to a store.</summary>
    public MapWriter(IMapStore store) => _store = store;

    /// <summary>Writes executed.</summary>
    public long Writes { get; private set; }

    /// <summary>Calls that they took.</summary>
    public long Calls { get; private set; }

    /// <summary>Executes writes in their order.</summary>
    /// <exception cref="MapWriteException">
    /// One was refused. Those before it are done, those after it are not; what the maps hold is as after a crash.
    /// </exception>
    public void Execute(IReadOnlyList<MapWrite> writes)
    {
        ArgumentNullException.ThrowIfNull(writes);
        int position = 0;
        int waits = 0;
        while (position < writes.Count)
        {
            int count = CountAlike(writes, position);
            int error = ExecuteAlike(writes, position, count, out int done);
            Calls++;
            Writes += done;
            if (error == -NoMemory && waits < MostWaits)
            {
                // The kernel refills its stock for map entries beside us (bpf_mem_alloc): fast writers empty it for a moment.
                waits = done > 0 ? 0 : waits + 1;
                position += done;
                Thread.Sleep(1);
                continue;
            }

            if (error != 0)
            {
                throw new MapWriteException(writes[position + done], -error, position + done);
            }

            position += count;
            waits = 0;
        }
    }

    private static int CountAlike(IReadOnlyList<MapWrite> writes, int start)
    {
        MapWrite first = writes[start];
        bool isSingle = first.Table is not null || first.Map == ServiceMap.Settings;
        int end = start + 1;
        while (!isSingle && end < writes.Count && end - start < BatchSize
            && writes[end].Map == first.Map && writes[end].IsDelete == first.IsDelete)
        {
            end++;
        }

        return end - start;
    }

    private int ExecuteAlike(IReadOnlyList<MapWrite> writes, int start, int count, out int done)
    {
        MapWrite first = writes[start];
        if (first.Table is not null)
        {
            int error = _store.PutTable(first.KeyAs<uint>(), first.Table);
            done = error == 0 ? 1 : 0;
            return error;
        }

        int keySize = ServiceMaps.KeySizeOf(first.Map);
        int valueSize = ServiceMaps.ValueSizeOf(first.Map);
        for (int index = 0; index < count; index++)
        {
            MapWrite write = writes[start + index];
            write.Key.CopyTo(_keys.AsSpan(index * keySize));
            if (!write.IsDelete)
            {
                write.Value.CopyTo(_values.AsSpan(index * valueSize));
            }
        }

        ReadOnlySpan<byte> keys = _keys.AsSpan(0, count * keySize);
        return first.IsDelete
            ? _store.Delete(first.Map, keys, count, out done)
            : _store.Put(first.Map, keys, _values.AsSpan(0, count * valueSize), count, out done);
    }
}
