// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// A BPF map. Element operations return 0 or the negative error number: -ENOENT for a key that is not there, -EEXIST, and -E2BIG
/// (-ENOSPC for a trie) or -ENOMEM when it is full. A key or value whose size is not the map's is a mistake of the caller and throws.
/// </summary>
public sealed unsafe partial class BpfMap : BpfHandle
{
    private readonly uint _valueStride;

    private BpfMap(int descriptor)
        : base(descriptor)
    {
        Span<byte> information = stackalloc byte[256];
        int result = BpfSyscall.GetInformation(descriptor, information);
        if (result < 0)
        {
            Dispose();
            throw new BpfException(BpfStep.Open, "a BPF map", -result);
        }

        // struct bpf_map_info
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(information);
        Type = (BpfMapType)words[0];
        Id = words[1];
        KeySize = (int)words[2];
        ValueSize = (int)words[3];
        MaximumEntries = words[4];
        Flags = words[5];
        Name = InterfaceName.FromBytes(information[24..40]).ToString();
        IsPerProcessor = Type is BpfMapType.PerProcessorHash or BpfMapType.PerProcessorArray or BpfMapType.LruPerProcessorHash;
        _valueStride = ((uint)ValueSize + 7) & ~7u;
    }

    /// <summary>Processors that a per-processor map has values for.</summary>
    public static int PossibleProcessors { get; } = ReadPossibleProcessors();

    /// <summary>What kind of map it is.</summary>
    public BpfMapType Type { get; }

    /// <summary>The kernel's number for it.</summary>
    public uint Id { get; }

    /// <summary>Bytes of a key.</summary>
    public int KeySize { get; }

    /// <summary>Bytes of a value; in a per-processor map, of the value of one processor.</summary>
    public int ValueSize { get; }

    /// <summary>How many elements it can hold.</summary>
    public uint MaximumEntries { get; }

    /// <summary>Its flags (BPF_F_NO_PREALLOC 1, ...).</summary>
    public uint Flags { get; }

    /// <summary>Its name, of at most 15 bytes.</summary>
    public string Name { get; }

    /// <summary>Whether it holds a value for each processor.</summary>
    public bool IsPerProcessor { get; }

    /// <summary>Makes a map.</summary>
    /// <param name="name">At most 15 bytes of letters, digits, '_' and '.'.</param>
    /// <param name="type">Kind.</param>
    /// <param name="keySize">Bytes of a key.</param>
    /// <param name="valueSize">Bytes of a value.</param>
    /// <param name="maximumEntries">Elements.</param>
    /// <param name="flags">BPF_F_NO_PREALLOC 1, ...</param>
    /// <param name="inner">Of a map of maps: one that is like those in it.</param>
    /// <exception cref="BpfException">EPERM without the privilege, ENOMEM, EINVAL for a combination that does not exist.</exception>
    public static BpfMap Create(
        string name, BpfMapType type, int keySize, int valueSize, uint maximumEntries, uint flags = 0, BpfMap? inner = null)
    {
        if (!InterfaceName.TryCreate(name, out InterfaceName kernelName))
        {
            throw new ArgumentException($"'{name}' is not a name of at most 15 bytes", nameof(name));
        }

        int result = BpfSyscall.CreateMap(
            type, (uint)keySize, (uint)valueSize, maximumEntries, flags, inner?.Descriptor ?? -1, kernelName);
        return new BpfMap(BpfException.Check(result, BpfStep.CreateMap, name));
    }

    /// <summary>Opens a pinned map.</summary>
    /// <exception cref="BpfException">ENOENT when there is no such file, EINVAL when it is something else.</exception>
    public static BpfMap OpenPinned(string path) => new(BpfException.Check(OpenPinnedDescriptor(path), BpfStep.Open, path));

    /// <summary>Opens a pinned map; null when there is no such file.</summary>
    /// <exception cref="BpfException">Anything else is wrong.</exception>
    public static BpfMap? TryOpenPinned(string path)
    {
        int result = OpenPinnedDescriptor(path);
        return result == -Errno.NoEntry ? null : new BpfMap(BpfException.Check(result, BpfStep.Open, path));
    }

    /// <summary>Opens a map by the kernel's number, such as a map of maps gives it.</summary>
    /// <exception cref="BpfException">ENOENT when there is no such map.</exception>
    public static BpfMap OpenById(uint id) =>
        new(BpfException.Check(BpfSyscall.OpenMapById(id), BpfStep.Open, $"BPF map {id}"));

    /// <summary>Takes a copy of a descriptor.</summary>
    /// <exception cref="BpfException">EBADF or EINVAL when it is not that of a map.</exception>
    public static BpfMap FromDescriptor(int descriptor) =>
        new(BpfException.Check(Libc.Duplicate(descriptor), BpfStep.Open, $"descriptor {descriptor}"));

    /// <summary>
    /// Asks how many bytes of memory the map takes now (memlock in its fdinfo; Linux 6.4 counts what is in use, older ones
    /// what it may take when it is full).
    /// </summary>
    /// <returns>Bytes; 0 when the kernel does not say.</returns>
    public long ReadMemory()
    {
        const string Field = "memlock:";
        foreach (string line in File.ReadLines($"/proc/self/fdinfo/{Descriptor}"))
        {
            if (line.StartsWith(Field, StringComparison.Ordinal))
            {
                return long.Parse(line.AsSpan(Field.Length), NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture);
            }
        }

        return 0;
    }

    /// <summary>Reads a value.</summary>
    public int Lookup<TKey, TValue>(in TKey key, out TValue value)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        value = default;
        CheckKey(sizeof(TKey));
        CheckValue(sizeof(TValue));
        fixed (TKey* keyPointer = &key)
        fixed (TValue* valuePointer = &value)
        {
            return BpfSyscall.LookupElement(Descriptor, keyPointer, valuePointer);
        }
    }

    /// <summary>Writes a value.</summary>
    public int Update<TKey, TValue>(in TKey key, in TValue value, BpfUpdateMode mode = BpfUpdateMode.Any)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckKey(sizeof(TKey));
        CheckValue(sizeof(TValue));
        fixed (TKey* keyPointer = &key)
        fixed (TValue* valuePointer = &value)
        {
            return BpfSyscall.UpdateElement(Descriptor, keyPointer, valuePointer, (ulong)mode);
        }
    }

    /// <summary>Reads a value, as bytes; of a per-processor map all values, each padded to 8 bytes.</summary>
    public int Lookup(ReadOnlySpan<byte> key, Span<byte> value)
    {
        CheckKey(key.Length);
        CheckValues(value.Length);
        fixed (byte* keyPointer = key)
        fixed (byte* valuePointer = value)
        {
            return BpfSyscall.LookupElement(Descriptor, keyPointer, valuePointer);
        }
    }

    /// <summary>Writes a value, as bytes; of a per-processor map all values, each padded to 8 bytes.</summary>
    public int Update(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, BpfUpdateMode mode = BpfUpdateMode.Any)
    {
        CheckKey(key.Length);
        CheckValues(value.Length);
        fixed (byte* keyPointer = key)
        fixed (byte* valuePointer = value)
        {
            return BpfSyscall.UpdateElement(Descriptor, keyPointer, valuePointer, (ulong)mode);
        }
    }

    /// <summary>Removes an element.</summary>
    public int Delete<TKey>(in TKey key)
        where TKey : unmanaged
    {
        CheckKey(sizeof(TKey));
        fixed (TKey* keyPointer = &key)
        {
            return BpfSyscall.DeleteElement(Descriptor, keyPointer);
        }
    }

    /// <summary>Removes an element.</summary>
    public int Delete(ReadOnlySpan<byte> key)
    {
        CheckKey(key.Length);
        fixed (byte* keyPointer = key)
        {
            return BpfSyscall.DeleteElement(Descriptor, keyPointer);
        }
    }

    /// <summary>The first key; -ENOENT when the map is empty.</summary>
    public int FirstKey<TKey>(out TKey first)
        where TKey : unmanaged
    {
        first = default;
        CheckKey(sizeof(TKey));
        fixed (TKey* pointer = &first)
        {
            return BpfSyscall.NextKey(Descriptor, null, pointer);
        }
    }

    /// <summary>
    /// The key behind a key; -ENOENT behind the last. A key that has gone meanwhile leads back to the first: a loop over
    /// a map that others change needs a bound, or <see cref="ReadAll"/>.
    /// </summary>
    public int NextKey<TKey>(in TKey key, out TKey next)
        where TKey : unmanaged
    {
        // A loop has one variable for both: it must be read before it is written.
        TKey behind = key;
        next = default;
        CheckKey(sizeof(TKey));
        fixed (TKey* nextPointer = &next)
        {
            return BpfSyscall.NextKey(Descriptor, &behind, nextPointer);
        }
    }

    /// <summary>Reads the values of all processors; <paramref name="values"/> has <see cref="PossibleProcessors"/> places.</summary>
    public int LookupPerProcessor<TKey, TValue>(in TKey key, Span<TValue> values)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckPerProcessor(sizeof(TValue), values.Length);
        byte[] raw = new byte[_valueStride * (uint)PossibleProcessors];
        int result = Lookup(AsBytes(in key), raw);
        for (int i = 0; result == 0 && i < values.Length; i++)
        {
            values[i] = MemoryMarshal.Read<TValue>(raw.AsSpan(i * (int)_valueStride));
        }

        return result;
    }

    /// <summary>Writes one value for every processor, such as zero to begin a counter.</summary>
    public int UpdatePerProcessor<TKey, TValue>(in TKey key, in TValue value, BpfUpdateMode mode = BpfUpdateMode.Any)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckPerProcessor(sizeof(TValue), PossibleProcessors);
        byte[] raw = new byte[_valueStride * (uint)PossibleProcessors];
        for (int i = 0; i < PossibleProcessors; i++)
        {
            MemoryMarshal.Write(raw.AsSpan(i * (int)_valueStride), in value);
        }

        return Update(AsBytes(in key), raw, mode);
    }

    /// <summary>Puts a map into this map of maps.</summary>
    public int UpdateInner<TKey>(in TKey key, BpfMap inner, BpfUpdateMode mode = BpfUpdateMode.Any)
        where TKey : unmanaged
    {
        ArgumentNullException.ThrowIfNull(inner);
        return Update(in key, inner.Descriptor, mode);
    }

    private static ReadOnlySpan<byte> AsBytes<T>(in T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));

    private static int ReadPossibleProcessors()
    {
        int result = LibBpf.IsAvailable() ? LibBpf.PossibleProcessors() : -Errno.NoEntry;
        return result > 0 ? result : Environment.ProcessorCount;
    }

    private void CheckKey(int length)
    {
        if (length != KeySize)
        {
            throw new ArgumentException($"a key of map {Name} has {KeySize} bytes, not {length}");
        }
    }

    private void CheckValue(int length)
    {
        if (length != ValueSize || IsPerProcessor)
        {
            throw new ArgumentException(
                IsPerProcessor
                    ? $"map {Name} has a value for each processor"
                    : $"a value of map {Name} has {ValueSize} bytes, not {length}");
        }
    }

    private void CheckValues(int length)
    {
        long wanted = IsPerProcessor ? _valueStride * (long)PossibleProcessors : ValueSize;
        if (length != wanted)
        {
            throw new ArgumentException($"a value of map {Name} has {wanted} bytes, not {length}");
        }
    }

    private void CheckPerProcessor(int length, int count)
    {
        if (!IsPerProcessor || length != ValueSize || count != PossibleProcessors)
        {
            throw new ArgumentException(
                $"map {Name} ({Type}) has values of {ValueSize} bytes for {PossibleProcessors} processors, not {count} of {length} bytes");
        }
    }
}
