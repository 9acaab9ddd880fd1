// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>One change of one entry of a map.</summary>
public readonly struct MapWrite
{
    private readonly KeyBytes _key;
    private readonly ValueBytes _value;

    private MapWrite(ServiceMap map, bool isDelete, in KeyBytes key, in ValueBytes value, uint[]? table)
    {
        Map = map;
        IsDelete = isDelete;
        Table = table;
        _key = key;
        _value = value;
    }

    /// <summary>Which map.</summary>
    public ServiceMap Map { get; }

    /// <summary>Whether the entry goes; else it gets its value, whether it is there or not.</summary>
    public bool IsDelete { get; }

    /// <summary>The new content of a Maglev table; null in all other maps.</summary>
    public uint[]? Table { get; }

    /// <summary>The key's octets.</summary>
    [UnscopedRef]
    public ReadOnlySpan<byte> Key => ((ReadOnlySpan<byte>)_key)[..ServiceMaps.KeySizeOf(Map)];

    /// <summary>The value's octets; meaningless when the entry goes.</summary>
    [UnscopedRef]
    public ReadOnlySpan<byte> Value => ((ReadOnlySpan<byte>)_value)[..ServiceMaps.ValueSizeOf(Map)];

    /// <summary>Gives an entry its value.</summary>
    public static MapWrite Put<TKey, TValue>(ServiceMap map, in TKey key, in TValue value)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var valueBytes = default(ValueBytes);
        MemoryMarshal.Write(valueBytes, value);
        return new MapWrite(map, isDelete: false, BytesOf(key), valueBytes, table: null);
    }

    /// <summary>Gives a set its Maglev table.</summary>
    public static MapWrite PutTable(uint set, uint[] table) =>
        new(ServiceMap.Maglev, isDelete: false, BytesOf(set), default, table);

    /// <summary>Removes an entry.</summary>
    public static MapWrite Delete<TKey>(ServiceMap map, in TKey key)
        where TKey : unmanaged => new(map, isDelete: true, BytesOf(key), default, table: null);

    /// <summary>The key as a structure.</summary>
    public TKey KeyAs<TKey>()
        where TKey : unmanaged => MemoryMarshal.Read<TKey>(Key);

    /// <summary>The value as a structure.</summary>
    public TValue ValueAs<TValue>()
        where TValue : unmanaged => MemoryMarshal.Read<TValue>(Value);

    /// <inheritdoc/>
    public override string ToString() => IsDelete
        ? $"delete {Convert.ToHexString(Key)} of {ServiceMaps.NameOf(Map)}"
        : $"put {Convert.ToHexString(Key)} of {ServiceMaps.NameOf(Map)}: {Convert.ToHexString(Value)}";

    private static KeyBytes BytesOf<TKey>(in TKey key)
        where TKey : unmanaged
    {
        var bytes = default(KeyBytes);
        MemoryMarshal.Write(bytes, key);
        return bytes;
    }

    [InlineArray(24)]
    private struct KeyBytes
    {
        private byte _first;
    }

    [InlineArray(80)]
    private struct ValueBytes
    {
        private byte _first;
    }
}
