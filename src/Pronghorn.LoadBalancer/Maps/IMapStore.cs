// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>Where maps are: in the kernel, or in memory in tests.</summary>
public interface IMapStore
{
    /// <summary>Entries that a map can hold.</summary>
    int CapacityOf(ServiceMap map);

    /// <summary>Reads all maps.</summary>
    MapContent Read();

    /// <summary>Gives entries their values, in order; stops at the first that fails.</summary>
    /// <param name="map">Any but the Maglev tables.</param>
    /// <param name="keys">Keys, one after the other.</param>
    /// <param name="values">Values, one after the other.</param>
    /// <param name="count">How many.</param>
    /// <param name="done">How many have been written.</param>
    /// <returns>0, or the negative error number of the first that failed.</returns>
    int Put(ServiceMap map, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int count, out int done);

    /// <summary>Removes entries, in order; stops at the first that fails. One that is not there counts as removed.</summary>
    /// <param name="map">Any map.</param>
    /// <param name="keys">Keys, one after the other.</param>
    /// <param name="count">How many.</param>
    /// <param name="done">How many are gone.</param>
    /// <returns>0, or the negative error number of the first that failed.</returns>
    int Delete(ServiceMap map, ReadOnlySpan<byte> keys, int count, out int done);

    /// <summary>Gives a set its Maglev table, at once for all readers.</summary>
    /// <returns>0, or the negative error number.</returns>
    int PutTable(uint setId, ReadOnlySpan<uint> table);
}
