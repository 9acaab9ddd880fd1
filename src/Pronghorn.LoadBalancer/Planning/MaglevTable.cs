// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>
/// Maglev look-up tables (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4):
/// each backend takes turns at the places of its own permutation. A table depends on the set of backends alone, not on
/// their order or their identifiers, so that all nodes have the same.
/// </summary>
public static class MaglevTable
{
    /// <summary>Entries of a table where none are configured.</summary>
    public const int DefaultSize = 16381;

    private const ulong OffsetSeed = 0x6F66_6673_6574_0001;
    private const ulong SkipSeed = 0x736B_6970_0000_0002;

    private static readonly int[] s_sizes = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071];

    /// <summary>The sizes that there are: primes, since each skip must reach every place.</summary>
    public static ReadOnlySpan<int> Sizes => s_sizes;

    /// <summary>
    /// Fills a table. Backends get equal parts to within one entry; with more backends than entries, some get none.
    /// </summary>
    /// <param name="backends">The set; at least one, all different.</param>
    /// <param name="identifiers">Identifiers of these, in their order: what stands in the table.</param>
    /// <param name="size">One of <see cref="Sizes"/>.</param>
    /// <exception cref="ArgumentException">The set is empty, or the size is not one of those.</exception>
    public static uint[] Build(ReadOnlySpan<Backend> backends, ReadOnlySpan<uint> identifiers, int size)
    {
        if (backends.IsEmpty || backends.Length != identifiers.Length)
        {
            throw new ArgumentException("A table needs backends, each with its identifier.", nameof(backends));
        }

        if (!s_sizes.AsSpan().Contains(size))
        {
            throw new ArgumentException($"{size} is not one of the sizes {string.Join(", ", s_sizes)}.", nameof(size));
        }

        Turn[] turns = MakeTurns(backends, identifiers, (uint)size);
        var table = new uint[size];
        int filled = 0;
        while (true)
        {
            foreach (ref Turn turn in turns.AsSpan())
            {
                // Identifiers count from 1, so 0 is a free place.
                while (table[turn.Next] != 0)
                {
                    turn.Advance((uint)size);
                }

                table[turn.Next] = turn.Identifier;
                if (++filled == size)
                {
                    return table;
                }
            }
        }
    }

    private static Turn[] MakeTurns(ReadOnlySpan<Backend> backends, ReadOnlySpan<uint> identifiers, uint size)
    {
        var turns = new Turn[backends.Length];
        for (int index = 0; index < backends.Length; index++)
        {
            Backend backend = backends[index];
            turns[index] = new Turn
            {
                Address = backend.Address,
                Port = backend.Port,
                Protocol = backend.Protocol,
                Identifier = identifiers[index],
                Next = (uint)(Hash(backend, OffsetSeed) % size),
                Skip = (uint)(Hash(backend, SkipSeed) % (size - 1)) + 1,
            };
        }

        Array.Sort(turns, Comparer<Turn>.Default);
        return turns;
    }

    /// <summary>A fixed hash: tables of different nodes and versions have to agree.</summary>
    private static ulong Hash(in Backend backend, ulong seed)
    {
        ulong hash = Mix(seed ^ backend.Address.High);
        hash = Mix(hash ^ backend.Address.Low);
        return Mix(hash ^ ((ulong)backend.Port << 8) ^ (ulong)backend.Protocol);
    }

    /// <summary>The finaliser of SplitMix64 (Steele et al., OOPSLA 2014).</summary>
    private static ulong Mix(ulong value)
    {
        value += 0x9E37_79B9_7F4A_7C15;
        value = (value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9;
        value = (value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB;
        return value ^ (value >> 31);
    }

    private struct Turn : IComparable<Turn>
    {
        public IpAddress Address;
        public ushort Port;
        public IpProtocol Protocol;
        public uint Identifier;
        public uint Next;
        public uint Skip;

        public void Advance(uint size)
        {
            Next += Skip;
            Next -= Next >= size ? size : 0;
        }

        public readonly int CompareTo(Turn other)
        {
            int order = Address.High.CompareTo(other.Address.High);
            order = order != 0 ? order : Address.Low.CompareTo(other.Address.Low);
            order = order != 0 ? order : Port.CompareTo(other.Port);
            return order != 0 ? order : Protocol.CompareTo(other.Protocol);
        }
    }
}
