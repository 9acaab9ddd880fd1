// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Maps;

namespace Pronghorn.LoadBalancer.Tests.Planning;

/// <summary>Maps in memory, with the bounds that they are given.</summary>
internal sealed class MemoryMapStore : IMapStore
{
    private const int NoSuchEntry = -2;
    private const int TooBig = -7;
    private const int NoMemory = -12;

    public MapContent Content { get; private init; } = new();

    public Dictionary<ServiceMap, int> Capacities { get; } = [];

    /// <summary>How many of the next writes are refused for want of memory.</summary>
    public int Refusals { get; set; }

    public int CapacityOf(ServiceMap map) => Capacities.GetValueOrDefault(map, int.MaxValue);

    public MapContent Read()
    {
        var copy = new MapContent { Settings = Content.Settings };
        Content.Services.ToList().ForEach(pair => copy.Services.Add(pair.Key, pair.Value));
        Content.Slots.ToList().ForEach(pair => copy.Slots.Add(pair.Key, pair.Value));
        Content.Backends.ToList().ForEach(pair => copy.Backends.Add(pair.Key, pair.Value));
        Content.NodeAddresses.ToList().ForEach(pair => copy.NodeAddresses.Add(pair.Key, pair.Value));
        Content.Tables.ToList().ForEach(pair => copy.Tables.Add(pair.Key, pair.Value));
        copy.Members.UnionWith(Content.Members);
        copy.SourceRanges.UnionWith(Content.SourceRanges);
        copy.PodRanges.UnionWith(Content.PodRanges);
        copy.Counted.UnionWith(Content.Counted);
        return copy;
    }

    public int Put(ServiceMap map, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, out int done)
    {
        int keySize = ServiceMaps.KeySizeOf(map);
        int valueSize = ServiceMaps.ValueSizeOf(map);
        for (done = 0; done < count; done++)
        {
            if (Refusals > 0)
            {
                Refusals--;
                return NoMemory;
            }

            int error = PutOne(map, keys.Slice(done * keySize, keySize), values.Slice(done * valueSize, valueSize));
            if (error != 0)
            {
                return error;
            }
        }

        return 0;
    }

    public int Delete(ServiceMap map, ReadOnlySpan<byte> keys, int count, out int done)
    {
        int keySize = ServiceMaps.KeySizeOf(map);
        for (done = 0; done < count; done++)
        {
            // The planner knows what is there: it never removes what is not.
            if (!DeleteOne(map, keys.Slice(done * keySize, keySize)))
            {
                return NoSuchEntry;
            }
        }

        return 0;
    }

    public int PutTable(uint setId, ReadOnlySpan<uint> table)
    {
        Content.Tables[setId] = table.ToArray();
        return Check(ServiceMap.Maglev, Content.Tables.Count);
    }

    /// <summary>Executes one write, as a batch of one.</summary>
    public void Execute(in MapWrite write)
    {
        int error = write.Table is not null ? PutTable(write.KeyAs<uint>(), write.Table)
            : write.IsDelete ? Delete(write.Map, write.Key, 1, out _)
            : Put(write.Map, write.Key, write.Value, 1, out _);
        if (error != 0)
        {
            throw new InvalidOperationException($"{write}: error {error}");
        }
    }

    private int PutOne(ServiceMap map, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        switch (map)
        {
            case ServiceMap.Services:
                Content.Services[MemoryMarshal.Read<ServiceKey>(key)] = MemoryMarshal.Read<ServiceValue>(value);
                return Check(map, Content.Services.Count);
            case ServiceMap.Slots:
                Content.Slots[MemoryMarshal.Read<SlotKey>(key)] = MemoryMarshal.Read<uint>(value);
                return Check(map, Content.Slots.Count);
            case ServiceMap.Backends:
                Content.Backends[MemoryMarshal.Read<uint>(key)] = MemoryMarshal.Read<BackendValue>(value);
                return Check(map, Content.Backends.Count);
            case ServiceMap.Members:
                Content.Members.Add(MemoryMarshal.Read<MemberKey>(key));
                return Check(map, Content.Members.Count);
            case ServiceMap.SourceRanges:
                Content.SourceRanges.Add(MemoryMarshal.Read<SourceRangeKey>(key));
                return Check(map, Content.SourceRanges.Count);
            case ServiceMap.PodRanges:
                Content.PodRanges.Add(MemoryMarshal.Read<AddressRangeKey>(key));
                return Check(map, Content.PodRanges.Count);
            case ServiceMap.NodeAddresses:
                Content.NodeAddresses[MemoryMarshal.Read<NetworkAddress>(key)] = MemoryMarshal.Read<NodeAddressFlags>(value);
                return Check(map, Content.NodeAddresses.Count);
            case ServiceMap.Settings:
                Content.Settings = MemoryMarshal.Read<SettingsValue>(value);
                return 0;
            case ServiceMap.ServiceCounts:
                Content.Counted.Add(MemoryMarshal.Read<uint>(key));
                return Check(map, Content.Counted.Count);
            default:
                throw new ArgumentOutOfRangeException(nameof(map));
        }
    }

    private bool DeleteOne(ServiceMap map, ReadOnlySpan<byte> key) => map switch
    {
        ServiceMap.Services => Content.Services.Remove(MemoryMarshal.Read<ServiceKey>(key)),
        ServiceMap.Slots => Content.Slots.Remove(MemoryMarshal.Read<SlotKey>(key)),
        ServiceMap.Backends => Content.Backends.Remove(MemoryMarshal.Read<uint>(key)),
        ServiceMap.Members => Content.Members.Remove(MemoryMarshal.Read<MemberKey>(key)),
        ServiceMap.SourceRanges => Content.SourceRanges.Remove(MemoryMarshal.Read<SourceRangeKey>(key)),
        ServiceMap.PodRanges => Content.PodRanges.Remove(MemoryMarshal.Read<AddressRangeKey>(key)),
        ServiceMap.NodeAddresses => Content.NodeAddresses.Remove(MemoryMarshal.Read<NetworkAddress>(key)),
        ServiceMap.ServiceCounts => Content.Counted.Remove(MemoryMarshal.Read<uint>(key)),
        ServiceMap.Maglev => Content.Tables.Remove(MemoryMarshal.Read<uint>(key)),
        _ => throw new ArgumentOutOfRangeException(nameof(map)),
    };

    private int Check(ServiceMap map, int count) => count > CapacityOf(map) ? TooBig : 0;
}
