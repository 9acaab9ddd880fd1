// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.Memory;

/// <summary>
/// Equal frames cut from one region of memory, with a reference count each. A frame that waits in a device's
/// transmit ring and in a connection's retransmission queue at once has two references.
/// </summary>
/// <remarks>One writer: no member is safe to call from two threads at once.</remarks>
public sealed unsafe class FramePool : IDisposable
{
    private const int PageSize = 4096;

    private readonly byte* _base;
    private readonly void* _owned;
    private readonly int[] _free;
    private readonly byte[] _references;
    private int _freeCount;
    private bool _disposed;

    /// <summary>Lays frames over memory that somebody else owns, such as a mapped UMEM.</summary>
    /// <param name="baseAddress">Start of the region, aligned to a page.</param>
    /// <param name="frameSize">Bytes in a frame: a power of two, 2048 to 65536.</param>
    /// <param name="frameCount">Number of frames, 1 to 16,777,216.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is outside its range.</exception>
    public FramePool(nint baseAddress, int frameSize, int frameCount)
        : this((byte*)baseAddress, frameSize, frameCount, owned: null)
    {
    }

    private FramePool(byte* region, int frameSize, int frameCount, void* owned)
    {
        _base = region;
        _owned = owned;
        FrameSize = frameSize;
        FrameCount = frameCount;
        _free = new int[frameCount];
        _references = new byte[frameCount];

        // The lowest frame ends on top, so that a small load touches few pages.
        for (int i = 0; i < frameCount; i++)
        {
            _free[i] = frameCount - 1 - i;
        }

        _freeCount = frameCount;
    }

    /// <summary>Bytes in a frame.</summary>
    public int FrameSize { get; }

    /// <summary>Number of frames in the pool.</summary>
    public int FrameCount { get; }

    /// <summary>Number of frames that nobody holds.</summary>
    public int FreeCount => _freeCount;

    /// <summary>Start of the region.</summary>
    public nint BaseAddress => (nint)_base;

    /// <summary>Makes a pool over zeroed memory of its own: for simulations, tests and standalone devices.</summary>
    /// <param name="frameSize">Bytes in a frame: a power of two, 2048 to 65536.</param>
    /// <param name="frameCount">Number of frames, 1 to 16,777,216.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is outside its range.</exception>
    public static FramePool Create(int frameSize, int frameCount)
    {
        ValidateSizes(frameSize, frameCount);
        nuint bytes = (nuint)frameSize * (nuint)frameCount;

        // Not cleared by hand: memory fresh from the kernel is zero, and what is never used of it is never there.
        byte* owned = (byte*)NativeMemory.AllocZeroed(bytes + PageSize);
        byte* region = (byte*)(((nuint)owned + PageSize - 1) & ~(nuint)(PageSize - 1));
        return new FramePool(region, frameSize, frameCount, owned);
    }

    /// <summary>Takes a free frame with one reference.</summary>
    /// <returns>False when no frame is free.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRent(out int frame)
    {
        int count = _freeCount;
        if (count == 0)
        {
            frame = -1;
            return false;
        }

        frame = _free[count - 1];
        _freeCount = count - 1;
        _references[frame] = 1;
        return true;
    }

    /// <summary>Adds a reference to a held frame.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddReference(int frame)
    {
        byte references = _references[frame];
        if (references is 0 or byte.MaxValue)
        {
            ThrowBadReference(frame);
        }

        _references[frame] = (byte)(references + 1);
    }

    /// <summary>Drops a reference; the last one makes the frame free.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Release(int frame)
    {
        byte references = _references[frame];
        if (references == 0)
        {
            ThrowBadReference(frame);
        }

        references--;
        _references[frame] = references;
        if (references == 0)
        {
            _free[_freeCount++] = frame;
        }
    }

    /// <summary>How many hold the frame; 0 when it is free.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReferenceCount(int frame) => _references[frame];

    /// <summary>The whole frame.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> GetSpan(int frame)
    {
        if ((uint)frame >= (uint)FrameCount)
        {
            ThrowBadReference(frame);
        }

        return new Span<byte>(_base + ((nint)frame * FrameSize), FrameSize);
    }

    /// <summary>The bytes of a packet inside its frame.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The packet does not lie inside the frame.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> GetSpan(in FrameDescriptor packet) => GetSpan(packet.Frame).Slice(packet.Offset, packet.Length);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_owned is not null && !_disposed)
        {
            NativeMemory.Free(_owned);
        }

        _disposed = true;
    }

    private static void ValidateSizes(int frameSize, int frameCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(frameSize, 2048);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frameSize, 65536);
        ArgumentOutOfRangeException.ThrowIfNotEqual(frameSize & (frameSize - 1), 0, nameof(frameSize));
        ArgumentOutOfRangeException.ThrowIfLessThan(frameCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(frameCount, 1 << 24);
    }

    private static void ThrowBadReference(int frame) =>
        throw new InvalidOperationException($"Frame {frame} is not held or not in the pool.");
}
