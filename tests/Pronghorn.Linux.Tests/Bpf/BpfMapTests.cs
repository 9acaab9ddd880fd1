// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>Maps of the running kernel.</summary>
public sealed class BpfMapTests
{
    private const uint NoPreallocation = 1;

    private readonly record struct Triple(int First, int Second, int Third);

    [Fact]
    public void Element_WrittenReadRemoved_SaysWhatIsThere()
    {
        using BpfMap map = BpfMap.Create("elements", BpfMapType.Hash, 4, 8, 2, NoPreallocation);
        Assert.Equal(-Errno.NoEntry, map.FirstKey(out uint _));
        Assert.Equal(0, map.Update(1u, 10UL));
        Assert.Equal(-Errno.Exists, map.Update(1u, 11UL, BpfUpdateMode.Add));
        Assert.Equal(-Errno.NoEntry, map.Update(2u, 11UL, BpfUpdateMode.Replace));
        Assert.Equal(0, map.Lookup(1u, out ulong value));
        Assert.Equal(10UL, value);
        Assert.Equal(0, map.Update(2u, 20UL));
        Assert.Equal(-Errno.TooBig, map.Update(3u, 30UL));
        Assert.Equal(0, map.FirstKey(out uint first));
        Assert.Equal(0, map.NextKey(first, out uint second));
        Assert.Equal(3u, first + second);
        Assert.Equal(-Errno.NoEntry, map.NextKey(second, out uint _));

        // With one variable for both, as in a loop.
        Assert.Equal(0, map.NextKey(first, out first));
        Assert.Equal(second, first);
        Assert.Equal(0, map.Delete(1u));
        Assert.Equal(-Errno.NoEntry, map.Delete(1u));
        Assert.Equal(-Errno.NoEntry, map.Lookup(1u, out value));
    }

    [Fact]
    public void Information_OfAMap_IsWhatItWasMadeWith()
    {
        using BpfMap map = BpfMap.Create("informed", BpfMapType.Hash, 4, 16, 100, NoPreallocation);
        using BpfMap same = BpfMap.OpenById(map.Id);
        Assert.Equal(BpfMapType.Hash, same.Type);
        Assert.Equal((4, 16, 100u, NoPreallocation), (same.KeySize, same.ValueSize, same.MaximumEntries, same.Flags));
        Assert.Equal("informed", same.Name);
    }

    [Fact]
    public void Memory_OfAMapThatFills_Grows()
    {
        using BpfMap map = BpfMap.Create("weighed", BpfMapType.Hash, 4, 8, 1000, NoPreallocation);
        long before = map.ReadMemory();
        Assert.True(before > 0);
        for (uint key = 0; key < 1000; key++)
        {
            Assert.Equal(0, map.Update(key, 1UL));
        }

        Assert.True(map.ReadMemory() >= before + (1000 * (4 + 8)));
    }

    [Fact]
    public void WrongSize_OfKeyOrValue_Throws()
    {
        using BpfMap map = BpfMap.Create("sized", BpfMapType.Hash, 4, 8, 2, NoPreallocation);
        Assert.Throws<ArgumentException>(() => map.Update((ushort)1, 10UL));
        Assert.Throws<ArgumentException>(() => map.Update(1u, 10u));
        Assert.Throws<ArgumentException>(() => map.Delete(1UL));
        Assert.Throws<ArgumentException>(() => map.LookupPerProcessor(1u, new ulong[BpfMap.PossibleProcessors]));
    }

    [Theory]
    [InlineData(BpfMapType.Hash)]
    [InlineData(BpfMapType.LpmTrie)]
    public void Batch_LargerThanOneCall_DoesAllAndReadsAll(BpfMapType type)
    {
        const int Count = 40_000;
        using BpfMap map = BpfMap.Create("many", type, 8, 4, Count, NoPreallocation);
        uint[] values = [.. Enumerable.Range(0, Count).Select(i => (uint)i)];
        ulong[] keys = [.. values.Select(KeyOf)];
        Assert.Equal(0, map.UpdateBatch<ulong, uint>(keys, values, out int done));
        Assert.Equal(Count, done);

        List<KeyValuePair<ulong, uint>> read = [];
        Assert.Equal(0, map.ReadAll(read));
        Assert.Equal(values, read.Select(item => item.Value).Order());
        Assert.All(read, item => Assert.Equal(KeyOf(item.Value), item.Key));
        Assert.Equal(0, map.Count<ulong, uint>(out int count));
        Assert.Equal(Count, count);

        Assert.Equal(0, map.DeleteBatch<ulong>(keys.AsSpan(0, Count - 1), out done));
        Assert.Equal(Count - 1, done);
        Assert.Equal(0, map.Count<ulong, uint>(out count));
        Assert.Equal(1, count);
        Assert.Equal(0, map.FirstKey(out ulong last));
        Assert.Equal(keys[^1], last);
    }

    [Fact]
    public void Batch_IntoAMapThatBecomesFull_SaysHowManyWereWritten()
    {
        using BpfMap map = BpfMap.Create("full", BpfMapType.Hash, 4, 4, 3, NoPreallocation);
        uint[] keys = [1, 2, 3, 4, 5];
        Assert.Equal(-Errno.TooBig, map.UpdateBatch<uint, uint>(keys, keys, out int done));
        Assert.Equal(3, done);
        Assert.Equal(-Errno.NoEntry, map.DeleteBatch<uint>(keys, out done));
        Assert.Equal(3, done);
    }

    [Fact]
    public void TypeWithoutBatches_Batch_WritesOneByOne()
    {
        using BpfMap inner = BpfMap.Create("inner", BpfMapType.Array, 4, 4, 1);
        using BpfMap map = BpfMap.Create("outer", BpfMapType.HashOfMaps, 4, 4, 10, NoPreallocation, inner);
        uint[] keys = [1, 2, 3];
        int[] values = [inner.Descriptor, inner.Descriptor, inner.Descriptor];
        Assert.Equal(0, map.UpdateBatch<uint, int>(keys, values, out int done));
        Assert.Equal(3, done);
        Assert.Equal(0, map.DeleteBatch<uint>(keys, out done));
        Assert.Equal(3, done);
        Assert.Equal(-Errno.NoEntry, map.FirstKey(out uint _));
    }

    [Fact]
    public void MapOfMaps_Lookup_GivesTheInnerMapById()
    {
        using BpfMap like = BpfMap.Create("like", BpfMapType.Array, 4, 4, 1);
        using BpfMap map = BpfMap.Create("outer", BpfMapType.HashOfMaps, 4, 4, 10, NoPreallocation, like);
        using BpfMap inner = BpfMap.Create("inner", BpfMapType.Array, 4, 4, 1);
        Assert.Equal(0, inner.Update(0u, 77u));
        Assert.Equal(0, map.UpdateInner(5u, inner));
        Assert.Equal(0, map.Lookup(5u, out uint id));
        using BpfMap found = BpfMap.OpenById(id);
        Assert.Equal(0, found.Lookup(0u, out uint value));
        Assert.Equal(77u, value);
    }

    [Fact]
    public void PerProcessorMap_Values_AreOneForEach()
    {
        using BpfMap map = BpfMap.Create("counts", BpfMapType.PerProcessorHash, 4, 12, 10, NoPreallocation);
        Assert.Equal(0, map.UpdatePerProcessor(1u, new Triple(1, 2, 3)));
        var values = new Triple[BpfMap.PossibleProcessors];
        Assert.Equal(0, map.LookupPerProcessor<uint, Triple>(1u, values));
        Assert.All(values, value => Assert.Equal(new Triple(1, 2, 3), value));
        Assert.Equal(-Errno.NoEntry, map.LookupPerProcessor<uint, Triple>(2u, values));
    }

    private static ulong KeyOf(uint value) => ((ulong)value << 32) | 32;
}
