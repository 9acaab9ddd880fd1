// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Maps;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Maps;

public sealed class MapWriterTests
{
    private const int NoMemory = 12;

    [Fact]
    public void KernelOutOfStock_ForAMoment_EveryWriteIsDoneOnceAndInOrder()
    {
        var store = new ShortStore(refusals: 3, beforeEach: 2);
        var writer = new MapWriter(store);

        writer.Execute([.. Enumerable.Range(1, 10).Select(Count)]);

        Assert.Equal(Enumerable.Range(1, 10).Select(number => (uint)number), store.Written);
        Assert.Equal(10, writer.Writes);
    }

    [Fact]
    public void KernelOutOfMemory_ForGood_IsToldWithWhatWasDone()
    {
        var store = new ShortStore(refusals: int.MaxValue, beforeEach: 4);

        MapWriteException failure = Assert.Throws<MapWriteException>(
            () => new MapWriter(store).Execute([.. Enumerable.Range(1, 10).Select(Count)]));

        Assert.Equal((ServiceMap.ServiceCounts, NoMemory, 4), (failure.Map, failure.Error, failure.Executed));
    }

    private static MapWrite Count(int service) => MapWrite.Put(ServiceMap.ServiceCounts, (uint)service, default(ServiceCount));

    /// <summary>Takes some entries, then refuses some times for want of memory, and so on.</summary>
    private sealed class ShortStore : IMapStore
    {
        private readonly int _beforeEach;
        private int _room;
        private int _refusals;

        public ShortStore(int refusals, int beforeEach)
        {
            _refusals = refusals;
            _beforeEach = beforeEach;
            _room = beforeEach;
        }

        public List<uint> Written { get; } = [];

        public int CapacityOf(ServiceMap map) => int.MaxValue;

        public MapContent Read() => throw new NotSupportedException();

        public int Put(ServiceMap map, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, out int done)
        {
            done = 0;
            while (done < count)
            {
                if (_room == 0 && _refusals > 0)
                {
                    _refusals--;
                    _room = _refusals is > 0 and < 100 ? _beforeEach : _refusals == 0 ? int.MaxValue : 0;
                    return -NoMemory;
                }

                Written.Add(MemoryMarshal.Cast<byte, uint>(keys)[done++]);
                _room--;
            }

            return 0;
        }

        public int Delete(ServiceMap map, ReadOnlySpan<byte> keys, int count, out int done) => throw new NotSupportedException();

        public int PutTable(uint setId, ReadOnlySpan<uint> table) => throw new NotSupportedException();
    }
}
