// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.Memory;

/// <summary>A bounds-checked array outside the managed heap, zeroed when made or grown.</summary>
/// <typeparam name="T">An unmanaged element.</typeparam>
public sealed unsafe class NativeArray<T> : IDisposable
    where T : unmanaged
{
    private T* _items;

    /// <summary>Makes a zeroed array.</summary>
    /// <param name="length">Number of elements, 0 or more.</param>
    public NativeArray(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _items = (T*)NativeMemory.AllocZeroed((nuint)length, (nuint)sizeof(T));
        Length = length;
    }

    /// <summary>Number of elements.</summary>
    public int Length { get; private set; }

    /// <summary>The element at an index from 0 to <see cref="Length"/> - 1.</summary>
    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)index >= (uint)Length)
            {
                ThrowIndex(index, Length);
            }

            return ref _items[index];
        }
    }

    /// <summary>All elements; good until the next <see cref="Reset"/> or <see cref="Dispose"/>.</summary>
    public Span<T> AsSpan() => new(_items, Length);

    /// <summary>Replaces the content by zeroed elements of a new length. Returns false, unchanged, when memory is short.</summary>
    public bool Reset(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        try
        {
            T* items = (T*)NativeMemory.AllocZeroed((nuint)length, (nuint)sizeof(T));
            NativeMemory.Free(_items);
            _items = items;
            Length = length;
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    /// <summary>Grows to at least a length, keeping what is there. Returns false, unchanged, when memory is short.</summary>
    public bool EnsureLength(int length)
    {
        if (length <= Length)
        {
            return true;
        }

        int target = Math.Max(length, Length * 2);
        try
        {
            T* items = (T*)NativeMemory.AllocZeroed((nuint)target, (nuint)sizeof(T));
            AsSpan().CopyTo(new Span<T>(items, target));
            NativeMemory.Free(_items);
            _items = items;
            Length = target;
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.Free(_items);
        _items = null;
        Length = 0;
    }

    private static void ThrowIndex(int index, int length) =>
        throw new ArgumentOutOfRangeException(nameof(index), $"Index {index} is outside an array of {length}.");
}
