// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <content>Many elements at once: one system call each where the map type has the batch commands (Linux 5.6).</content>
public sealed unsafe partial class BpfMap
{
    // ENOTSUPP of the kernel proper: the map type has no such command.
    private const int NotSupportedInternally = 524;

    // In memory the kernel needs room for the batch twice, so a batch is kept to this.
    private const int LargestBatch = 16384;

    /// <summary>
    /// Writes many elements, in their order, each by itself. Stops at the first that fails.
    /// </summary>
    /// <param name="keys">Keys.</param>
    /// <param name="values">As many values.</param>
    /// <param name="done">How many were written.</param>
    /// <param name="mode">Whether elements may be there; applies to each.</param>
    /// <returns>0, or the negative error number of the element behind the last that was written.</returns>
    public int UpdateBatch<TKey, TValue>(
        ReadOnlySpan<TKey> keys, ReadOnlySpan<TValue> values, out int done, BpfUpdateMode mode = BpfUpdateMode.Any)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckKey(sizeof(TKey));
        CheckValue(sizeof(TValue));
        if (keys.Length != values.Length)
        {
            throw new ArgumentException($"{keys.Length} keys and {values.Length} values", nameof(values));
        }

        return UpdateBatch(MemoryMarshal.AsBytes(keys), MemoryMarshal.AsBytes(values), out done, mode);
    }

    /// <summary>Removes many elements, in their order. Stops at the first that fails; -ENOENT for one that is not there.</summary>
    /// <param name="keys">Keys.</param>
    /// <param name="done">How many were removed.</param>
    /// <returns>0, or the negative error number of the element behind the last that was removed.</returns>
    public int DeleteBatch<TKey>(ReadOnlySpan<TKey> keys, out int done)
        where TKey : unmanaged
    {
        CheckKey(sizeof(TKey));
        return DeleteBatch(MemoryMarshal.AsBytes(keys), out done);
    }

    /// <summary>
    /// Reads the whole map into a list. An element that others add or remove meanwhile may or may not be in it; one that stays
    /// is in it, once.
    /// </summary>
    /// <returns>0 or the negative error number.</returns>
    public int ReadAll<TKey, TValue>(ICollection<KeyValuePair<TKey, TValue>> elements)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        ArgumentNullException.ThrowIfNull(elements);
        CheckKey(sizeof(TKey));
        CheckValue(sizeof(TValue));

        // The generic batch commands walk by key, and start over when theirs has gone; the hash types walk by bucket.
        int result = WalksBuckets ? ReadBuckets(elements, out _) : -NotSupportedInternally;
        return LacksBatches(result) ? ReadByKey(elements) : result;
    }

    /// <summary>Counts the elements; of those that others add or remove meanwhile, as <see cref="ReadAll{TKey, TValue}"/>.</summary>
    /// <typeparam name="TKey">The keys' type.</typeparam>
    /// <typeparam name="TValue">The values' type.</typeparam>
    /// <param name="count">How many there are; where an error is returned, how many were seen before it.</param>
    /// <returns>0 or the negative error number.</returns>
    public int Count<TKey, TValue>(out int count)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckKey(sizeof(TKey));
        CheckValue(sizeof(TValue));
        count = 0;
        int result = WalksBuckets ? ReadBuckets<TKey, TValue>(null, out count) : -NotSupportedInternally;
        if (!LacksBatches(result))
        {
            return result;
        }

        List<TKey> keys = [];
        result = ReadKeys(keys);
        count = keys.Count;
        return result;
    }

    /// <summary>Writes many elements, as bytes; see <see cref="UpdateBatch{TKey, TValue}"/>.</summary>
    /// <param name="keys">Keys, one after the other.</param>
    /// <param name="values">Values, one after the other.</param>
    /// <param name="done">How many were written.</param>
    /// <param name="mode">Whether elements may be there; applies to each.</param>
    public int UpdateBatch(ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, out int done, BpfUpdateMode mode = BpfUpdateMode.Any)
    {
        int count = CountKeys(keys.Length);
        CheckValue(ValueSize);
        if (values.Length != count * ValueSize)
        {
            throw new ArgumentException(
                $"{count} values of map {Name} have {count * ValueSize} bytes, not {values.Length}", nameof(values));
        }

        done = 0;
        while (done < count)
        {
            int result = WriteSome(
                BpfSyscall.UpdateBatch,
                keys[(done * KeySize)..],
                values[(done * ValueSize)..],
                count - done,
                (ulong)mode,
                out int written);
            done += written;
            if (LacksBatches(result) && written == 0)
            {
                result = Update(keys.Slice(done * KeySize, KeySize), values.Slice(done * ValueSize, ValueSize), mode);
                done += result < 0 ? 0 : 1;
            }

            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    /// <summary>Removes many elements, as bytes; see <see cref="DeleteBatch{TKey}"/>.</summary>
    /// <param name="keys">Keys, one after the other.</param>
    /// <param name="done">How many were removed.</param>
    public int DeleteBatch(ReadOnlySpan<byte> keys, out int done)
    {
        int count = CountKeys(keys.Length);
        done = 0;
        while (done < count)
        {
            int result = WriteSome(BpfSyscall.DeleteBatch, keys[(done * KeySize)..], default, count - done, 0, out int removed);
            done += removed;
            if (LacksBatches(result) && removed == 0)
            {
                result = Delete(keys.Slice(done * KeySize, KeySize));
                done += result < 0 ? 0 : 1;
            }

            if (result < 0)
            {
                return result;
            }
        }

        return 0;
    }

    /// <summary>
    /// Reads all keys, of a map of any kind. One that others add or remove meanwhile may or may not be among them.
    /// </summary>
    /// <returns>0, or the negative error number: -EAGAIN when others change the map faster than it is read.</returns>
    public int ReadKeys<TKey>(ICollection<TKey> keys)
        where TKey : unmanaged
    {
        ArgumentNullException.ThrowIfNull(keys);
        HashSet<TKey> seen = [];
        uint again = 0;
        int result = FirstKey(out TKey key);
        while (result == 0)
        {
            // A key that was seen: one was removed under the walk, and the kernel began anew.
            if (seen.Add(key))
            {
                keys.Add(key);
            }
            else if (++again > MaximumEntries)
            {
                return -Errno.TryAgain;
            }

            TKey current = key;
            result = NextKey(in current, out key);
        }

        return result == -Errno.NoEntry ? 0 : result;
    }

    private bool WalksBuckets => Type is BpfMapType.Hash or BpfMapType.LruHash;

    private static bool LacksBatches(int result) =>
        result is -NotSupportedInternally or -Errno.Invalid or -Errno.NotSupported;

    private int CountKeys(int length) =>
        length % KeySize == 0
            ? length / KeySize
            : throw new ArgumentException($"{length} bytes are no whole number of keys of map {Name}, {KeySize} bytes each");

    private int WriteSome(
        int command, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, ulong flags, out int done)
    {
        fixed (byte* keyPointer = keys, valuePointer = values)
        {
            var attributes = new BpfSyscall.BatchAttributes
            {
                Keys = (ulong)keyPointer,
                Values = (ulong)valuePointer,
                Count = (uint)Math.Min(count, LargestBatch),
                Map = (uint)Descriptor,
                ElementFlags = flags,
            };
            uint asked = attributes.Count;
            int result = BpfSyscall.Batch(command, ref attributes);

            // A command that is refused as a whole leaves the count as it was.
            done = LacksBatches(result) && attributes.Count == asked ? 0 : (int)attributes.Count;
            return result;
        }
    }

    private int ReadBuckets<TKey, TValue>(ICollection<KeyValuePair<TKey, TValue>>? elements, out int total)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        total = 0;
        uint room = Math.Clamp(MaximumEntries, 16, 4096);
        TKey* keys = (TKey*)NativeMemory.Alloc(room, (nuint)sizeof(TKey));
        TValue* values = (TValue*)NativeMemory.Alloc(room, (nuint)sizeof(TValue));
        uint position = 0;
        bool isFirst = true;
        int result;
        do
        {
            uint next = 0;
            var attributes = new BpfSyscall.BatchAttributes
            {
                From = isFirst ? 0 : (ulong)&position,
                To = (ulong)&next,
                Keys = (ulong)keys,
                Values = (ulong)values,
                Count = room,
                Map = (uint)Descriptor,
            };
            result = BpfSyscall.Batch(BpfSyscall.LookupBatch, ref attributes);
            if (result == -Errno.NoSpace)
            {
                // One bucket alone is larger than the room.
                room *= 2;
                keys = (TKey*)NativeMemory.Realloc(keys, room * (nuint)sizeof(TKey));
                values = (TValue*)NativeMemory.Realloc(values, room * (nuint)sizeof(TValue));
                continue;
            }

            int read = result is 0 or -Errno.NoEntry ? (int)attributes.Count : 0;
            total += read;
            for (int i = 0; elements is not null && i < read; i++)
            {
                elements.Add(new KeyValuePair<TKey, TValue>(keys[i], values[i]));
            }

            position = next;
            isFirst = false;
        }
        while (result is 0 or -Errno.NoSpace);

        NativeMemory.Free(keys);
        NativeMemory.Free(values);

        // -ENOENT says that the last bucket was read.
        return result == -Errno.NoEntry ? 0 : result;
    }

    private int ReadByKey<TKey, TValue>(ICollection<KeyValuePair<TKey, TValue>> elements)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        List<TKey> keys = [];
        int result = ReadKeys(keys);
        foreach (TKey key in keys)
        {
            int found = Lookup(in key, out TValue value);
            if (found == 0)
            {
                elements.Add(new KeyValuePair<TKey, TValue>(key, value));
            }
        }

        return result;
    }
}
