// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;
using Pronghorn.Memory;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>The test plays the kernel: it writes the other side's indices into the ring's memory.</summary>
public sealed class XskRingTests : IDisposable
{
    private const int Size = 8;

    private static readonly RingOffsets s_offsets = new() { Producer = 0, Consumer = 64, Flags = 128, Descriptors = 192 };

    private readonly FramePool _memory = FramePool.Create(2048, 1);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void Producer_OverManyRounds_WrapsAndNeverOverruns()
    {
        XskRing<ulong> ring = Open(uint.MaxValue - 3);
        ulong written = 0;
        ulong read = 0;
        var random = new Random(3);
        for (int round = 0; round < 1000; round++)
        {
            uint free = ring.Free((uint)random.Next(1, Size + 1));
            Assert.InRange(free, 0u, (uint)Size - (uint)(written - read));
            uint count = (uint)random.Next((int)free + 1);
            for (uint i = 0; i < count; i++)
            {
                ring.Next(i) = written++;
            }

            ring.Submit(count);
            uint outstanding = ring.Outstanding();
            Assert.Equal((uint)(written - read), outstanding);
            uint taken = (uint)random.Next((int)outstanding + 1);
            for (uint i = 0; i < taken; i++)
            {
                Assert.Equal(read++, Item(Consumer + i));
            }

            Consumer += taken;
        }

        Assert.False(ring.IsCorrupt);
    }

    [Fact]
    public void Consumer_OverManyRounds_ReadsEachEntryOnce()
    {
        XskRing<ulong> ring = Open(uint.MaxValue - 3);
        ulong written = 0;
        ulong read = 0;
        var random = new Random(4);
        for (int round = 0; round < 1000; round++)
        {
            uint room = Size - (Producer - Consumer);
            for (int add = random.Next((int)room + 1); add > 0; add--)
            {
                Item(Producer) = written++;
                Producer++;
            }

            uint available = ring.Available((uint)random.Next(1, Size + 1));
            for (uint i = 0; i < available; i++)
            {
                Assert.Equal(read++, ring.Peek(i));
            }

            ring.Consume(available);
        }

        Assert.True(read > 0 && written - read <= Size);
        Assert.False(ring.IsCorrupt);
    }

    [Theory]
    [InlineData(Size + 1u)]
    [InlineData(0x80000000u)]
    [InlineData(uint.MaxValue)]
    public void ProducerIndexImpossible_Read_IsCorruptAndYieldsNothing(uint index)
    {
        XskRing<ulong> ring = Open(0);
        Producer = index;
        Assert.Equal(0u, ring.Available(64));
        Assert.True(ring.IsCorrupt);
    }

    [Theory]
    [InlineData(1u)]
    [InlineData(0x80000000u)]
    [InlineData(0xfffffff0u)]
    public void ConsumerIndexImpossible_Read_IsCorruptAndFreesNothing(uint index)
    {
        XskRing<ulong> ring = Open(0);
        Assert.Equal((uint)Size, ring.Free(Size));
        ring.Submit(0);
        Consumer = index;
        _ = ring.Outstanding();
        Assert.True(ring.IsCorrupt);
        Assert.InRange(ring.Free(Size), 0u, (uint)Size);
    }

    [Fact]
    public void NeedWakeupFlag_Set_IsSeen()
    {
        XskRing<ulong> ring = Open(0);
        Assert.False(ring.NeedsWakeup);
        Word(128) = 1;
        Assert.True(ring.NeedsWakeup);
    }

    private ref uint Producer => ref Word(0);

    private ref uint Consumer => ref Word(64);

    private ref uint Word(int offset) =>
        ref MemoryMarshal.AsRef<uint>(_memory.GetSpan(0).Slice(offset, sizeof(uint)));

    private ref ulong Item(uint index) =>
        ref MemoryMarshal.AsRef<ulong>(_memory.GetSpan(0).Slice(192 + (int)(index % Size * sizeof(ulong)), sizeof(ulong)));

    private XskRing<ulong> Open(uint start)
    {
        Producer = start;
        Consumer = start;
        XskRing<ulong> ring = default;
        ring.OpenOver(_memory.BaseAddress, s_offsets, Size);
        return ring;
    }
}
