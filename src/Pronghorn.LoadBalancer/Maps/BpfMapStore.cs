// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.DataPlane;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>The maps of an instance in the kernel.</summary>
public sealed class BpfMapStore : IMapStore, IDisposable
{
    private readonly BpfMap[] _maps = new BpfMap[ServiceMaps.Count];
    private readonly int _tableSize;

    /// <summary>Opens the pinned maps.</summary>
    /// <param name="pins">Where they are pinned.</param>
    /// <param name="maglevSize">Entries of a Maglev table.</param>
    /// <exception cref="BpfException">A map is not there, or cannot be opened.</exception>
    public BpfMapStore(PinLayout pins, int maglevSize)
    {
        ArgumentNullException.ThrowIfNull(pins);
        _tableSize = maglevSize;
        try
        {
            for (ServiceMap map = 0; (int)map < ServiceMaps.Count; map++)
            {
                _maps[(int)map] = BpfMap.OpenPinned(pins.Map(ServiceMaps.NameOf(map)));
            }
        }
        catch (BpfException)
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int CapacityOf(ServiceMap map) => (int)Math.Min(this[map].MaximumEntries, int.MaxValue);

    /// <inheritdoc/>
    public int Put(ServiceMap map, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, out int done)
    {
        if (map != ServiceMap.ServiceCounts)
        {
            return count == 1 ? PutOne(map, keys, values, out done) : this[map].UpdateBatch(keys, values, out done);
        }

        ReadOnlySpan<uint> services = MemoryMarshal.Cast<byte, uint>(keys);
        for (done = 0; done < count; done++)
        {
            int error = this[map].UpdatePerProcessor(services[done], default(ServiceCount));
            if (error < 0)
            {
                return error;
            }
        }

        return 0;
    }

    /// <inheritdoc/>
    public int Delete(ServiceMap map, ReadOnlySpan<byte> keys, int count, out int done)
    {
        int keySize = ServiceMaps.KeySizeOf(map);
        done = 0;
        while (done < count)
        {
            ReadOnlySpan<byte> rest = keys[(done * keySize)..];
            int deleted = 0;
            int error = count - done == 1 ? this[map].Delete(rest) : this[map].DeleteBatch(rest, out deleted);
            done += error == 0 ? count - done : deleted;
            if (error == -Errno.NoEntry)
            {
                // Gone already, as it should be.
                done++;
            }
            else if (error < 0)
            {
                return error;
            }
        }

        return 0;
    }

    /// <inheritdoc/>
    public int PutTable(uint setId, ReadOnlySpan<uint> table)
    {
        if (table.Length != _tableSize)
        {
            throw new ArgumentException($"A table has {_tableSize} entries, not {table.Length}.", nameof(table));
        }

        BpfMap inner;
        try
        {
            inner = BpfMap.Create("maglev_table", BpfMapType.Array, sizeof(uint), _tableSize * sizeof(uint), 1);
        }
        catch (BpfException failure)
        {
            return -failure.ErrorNumber;
        }

        using (inner)
        {
            ReadOnlySpan<uint> first = [0];
            int error = inner.Update(MemoryMarshal.AsBytes(first), MemoryMarshal.AsBytes(table));
            return error < 0 ? error : this[ServiceMap.Maglev].UpdateInner(setId, inner);
        }
    }

    /// <inheritdoc/>
    public MapContent Read()
    {
        var content = new MapContent();
        ReadEntries(ServiceMap.Services, content.Services);
        ReadEntries(ServiceMap.Slots, content.Slots);
        ReadEntries(ServiceMap.Backends, content.Backends);
        ReadEntries(ServiceMap.NodeAddresses, content.NodeAddresses);
        ReadKeys(ServiceMap.Members, content.Members);
        ReadKeys(ServiceMap.SourceRanges, content.SourceRanges);
        ReadKeys(ServiceMap.PodRanges, content.PodRanges);
        ReadKeys(ServiceMap.ServiceCounts, content.Counted);
        Check(this[ServiceMap.Settings].Lookup(0u, out SettingsValue settings), ServiceMap.Settings);
        content.Settings = settings;
        ReadTables(content.Tables);
        return content;
    }

    /// <summary>What was counted of a service port, on all processors together; zero if it has no counters.</summary>
    public ServiceCount ReadCount(uint service)
    {
        var values = new ServiceCount[BpfMap.PossibleProcessors];
        var sum = default(ServiceCount);
        if (this[ServiceMap.ServiceCounts].LookupPerProcessor<uint, ServiceCount>(service, values) == 0)
        {
            foreach (ServiceCount value in values)
            {
                sum.Connections += value.Connections;
                sum.Rejected += value.Rejected;
                sum.Dropped += value.Dropped;
                sum.Packets += value.Packets;
                sum.Bytes += value.Bytes;
            }
        }

        return sum;
    }

    /// <summary>Closes the maps; they stay pinned.</summary>
    public void Dispose()
    {
        foreach (BpfMap? map in _maps)
        {
            map?.Dispose();
        }
    }

    private static void Check(int result, ServiceMap map)
    {
        if (result < 0)
        {
            throw new BpfException(BpfStep.Open, $"map {ServiceMaps.NameOf(map)}", -result);
        }
    }

    private BpfMap this[ServiceMap map] => _maps[(int)map];

    private int PutOne(ServiceMap map, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, out int done)
    {
        int error = this[map].Update(key, value);
        done = error == 0 ? 1 : 0;
        return error;
    }

    private void ReadEntries<TKey, TValue>(ServiceMap map, Dictionary<TKey, TValue> entries)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var read = new List<KeyValuePair<TKey, TValue>>();
        Check(this[map].ReadAll(read), map);
        foreach ((TKey key, TValue value) in read)
        {
            entries[key] = value;
        }
    }

    private void ReadKeys<TKey>(ServiceMap map, HashSet<TKey> keys)
        where TKey : unmanaged => Check(this[map].ReadKeys(keys), map);

    private void ReadTables(Dictionary<uint, uint[]> tables)
    {
        var ids = new List<KeyValuePair<uint, uint>>();
        Check(this[ServiceMap.Maglev].ReadAll(ids), ServiceMap.Maglev);
        ReadOnlySpan<uint> first = [0];
        foreach ((uint set, uint id) in ids)
        {
            using BpfMap inner = BpfMap.OpenById(id);
            var table = new uint[inner.ValueSize / sizeof(uint)];
            Check(inner.Lookup(MemoryMarshal.AsBytes(first), MemoryMarshal.AsBytes(table.AsSpan())), ServiceMap.Maglev);
            tables[set] = table;
        }
    }
}
