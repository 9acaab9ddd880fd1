// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.Memory;

/// <summary>
/// Records of one type in unmanaged chunks, named by a number that starts at 1 (0 means none). A record never moves,
/// so a reference to it stays good until it is returned. Chunks are made on demand and kept.
/// </summary>
/// <typeparam name="T">An unmanaged record.</typeparam>
/// <remarks>One writer. Growing takes native memory only: nothing is allocated on the managed heap.</remarks>
public sealed unsafe class Slab<T> : IDisposable
    where T : unmanaged
{
    private const int ChunkShift = 6;
    private const int ChunkSize = 1 << ChunkShift;
    private const int ChunkMask = ChunkSize - 1;
    private const int InUse = -1;

    private readonly nint[] _chunks;
    private readonly nint[] _links;
    private int _made;
    private int _firstFree;

    /// <summary>Makes an empty slab.</summary>
    /// <param name="capacity">The most records that it will hold, 1 to 16,777,216.</param>
    public Slab(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, 1 << 24);
        Capacity = capacity;
        int chunks = (capacity + ChunkSize) >> ChunkShift;
        _chunks = new nint[chunks];
        _links = new nint[chunks];
        _made = 1;
    }

    /// <summary>The most records that it will hold.</summary>
    public int Capacity { get; }

    /// <summary>How many records are rented.</summary>
    public int Count { get; private set; }

    /// <summary>One more than the highest number ever rented: the bound for a walk with <see cref="IsRented"/>.</summary>
    public int UpperBound => _made;

    /// <summary>The record of that number.</summary>
    /// <exception cref="InvalidOperationException">The number was never rented.</exception>
    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)(index - 1) >= (uint)(_made - 1))
            {
                ThrowIndex(index);
            }

            return ref ((T*)_chunks[index >> ChunkShift])[index & ChunkMask];
        }
    }

    /// <summary>Takes a zeroed record.</summary>
    /// <returns>Its number, or 0 when the slab is full or memory is short.</returns>
    public int Rent()
    {
        int index = _firstFree;
        if (index != 0)
        {
            ref int link = ref Link(index);
            _firstFree = link;
            link = InUse;
        }
        else
        {
            index = _made;
            if (index > Capacity || !EnsureChunk(index >> ChunkShift))
            {
                return 0;
            }

            _made++;
            Link(index) = InUse;
        }

        this[index] = default;
        Count++;
        return index;
    }

    /// <summary>Gives a record back.</summary>
    /// <exception cref="InvalidOperationException">It is not rented.</exception>
    public void Return(int index)
    {
        if (!IsRented(index))
        {
            ThrowIndex(index);
        }

        Link(index) = _firstFree;
        _firstFree = index;
        Count--;
    }

    /// <summary>Whether the number names a rented record.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsRented(int index) => (uint)(index - 1) < (uint)(_made - 1) && Link(index) == InUse;

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = 0; i < _chunks.Length; i++)
        {
            NativeMemory.Free((void*)_chunks[i]);
            NativeMemory.Free((void*)_links[i]);
            _chunks[i] = 0;
            _links[i] = 0;
        }

        _made = 1;
        _firstFree = 0;
        Count = 0;
    }

    private static void ThrowIndex(int index) =>
        throw new InvalidOperationException($"Record {index} of {typeof(T).Name} is not rented.");

    private ref int Link(int index) => ref ((int*)_links[index >> ChunkShift])[index & ChunkMask];

    private bool EnsureChunk(int chunk)
    {
        if (_chunks[chunk] != 0)
        {
            return true;
        }

        try
        {
            _chunks[chunk] = (nint)NativeMemory.AllocZeroed(ChunkSize, (nuint)sizeof(T));
            _links[chunk] = (nint)NativeMemory.AllocZeroed(ChunkSize, sizeof(int));
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
