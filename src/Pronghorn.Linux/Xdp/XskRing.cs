// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Threading;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Xdp;

/// <summary>
/// One mapped ring of an AF_XDP socket: single producer, single consumer, the other side being the kernel. Indices
/// run freely over 32 bits. The other side's index is shared memory and is never believed beyond the ring's size.
/// </summary>
/// <typeparam name="T">A descriptor (receive, transmit) or a UMEM address (fill, completion).</typeparam>
internal unsafe struct XskRing<T>
    where T : unmanaged
{
    private const uint NeedWakeupFlag = 1;

    private nint _mapping;
    private nuint _mappingLength;
    private uint* _producer;
    private uint* _consumer;
    private uint* _flags;
    private T* _items;
    private uint _mask;
    private uint _cachedProducer;
    private uint _cachedConsumer;

    /// <summary>Entries in the ring: a power of two.</summary>
    public readonly uint Size => _mask + 1;

    /// <summary>Whether the kernel showed an index that cannot be; the ring is then of no more use.</summary>
    public bool IsCorrupt { get; private set; }

    /// <summary>Whether the kernel wants a system call before it looks at this ring.</summary>
    public readonly bool NeedsWakeup => (Volatile.Read(ref *_flags) & NeedWakeupFlag) != 0;

    /// <summary>Maps a ring. Returns 0 or the negative error number.</summary>
    public int Open(int fd, long pageOffset, in RingOffsets offsets, uint entries)
    {
        nuint length = (nuint)offsets.Descriptors + (entries * (nuint)sizeof(T));
        nint mapping = Libc.Map(
            length,
            Constants.ProtectionRead | Constants.ProtectionWrite,
            Constants.MapShared | Constants.MapPopulate,
            fd,
            pageOffset);
        if (UmemRegion.IsError(mapping))
        {
            return (int)mapping;
        }

        // A child that kept the ring would keep the socket alive after its parent's death, and the queue busy.
        _ = Libc.Advise(mapping, length, Constants.AdviceDontFork);
        _mapping = mapping;
        _mappingLength = length;
        OpenOver(mapping, offsets, entries);
        return 0;
    }

    /// <summary>Lays the ring over memory that somebody else owns.</summary>
    public void OpenOver(nint memory, in RingOffsets offsets, uint entries)
    {
        byte* start = (byte*)memory;
        _producer = (uint*)(start + offsets.Producer);
        _consumer = (uint*)(start + offsets.Consumer);
        _flags = (uint*)(start + offsets.Flags);
        _items = (T*)(start + offsets.Descriptors);
        _mask = entries - 1;
        _cachedProducer = *_producer;
        _cachedConsumer = *_consumer;
    }

    /// <summary>Unmaps the ring.</summary>
    public void Close()
    {
        if (_mapping != 0)
        {
            _ = Libc.Unmap(_mapping, _mappingLength);
            _mapping = 0;
        }
    }

    /// <summary>For the producer: how many entries may be written, asking the kernel when fewer than wanted are known.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Free(uint wanted)
    {
        uint free = Size - (_cachedProducer - _cachedConsumer);
        if (free >= wanted)
        {
            return free;
        }

        RefreshConsumer();
        return Size - (_cachedProducer - _cachedConsumer);
    }

    /// <summary>For the producer: entries written and submitted that the kernel has not taken.</summary>
    public uint Outstanding()
    {
        RefreshConsumer();
        return _cachedProducer - _cachedConsumer;
    }

    /// <summary>For the producer: the n-th free entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly ref T Next(uint index) => ref _items[(_cachedProducer + index) & _mask];

    /// <summary>For the producer: hands over entries that were written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Submit(uint count)
    {
        _cachedProducer += count;
        Volatile.Write(ref *_producer, _cachedProducer);
    }

    /// <summary>For the consumer: how many entries there are to read, at most <paramref name="maximum"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Available(uint maximum)
    {
        uint available = _cachedProducer - _cachedConsumer;
        if (available < maximum)
        {
            uint producer = Volatile.Read(ref *_producer);
            if (producer - _cachedConsumer > Size)
            {
                IsCorrupt = true;
                return 0;
            }

            _cachedProducer = producer;
            available = producer - _cachedConsumer;
        }

        return available < maximum ? available : maximum;
    }

    /// <summary>For the consumer: the n-th entry to read. A copy: the kernel could change the memory meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly T Peek(uint index) => _items[(_cachedConsumer + index) & _mask];

    /// <summary>For the consumer: gives entries back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Consume(uint count)
    {
        _cachedConsumer += count;
        Volatile.Write(ref *_consumer, _cachedConsumer);
    }

    private void RefreshConsumer()
    {
        uint consumer = Volatile.Read(ref *_consumer);
        if (_cachedProducer - consumer > Size)
        {
            IsCorrupt = true;
            return;
        }

        _cachedConsumer = consumer;
    }
}
