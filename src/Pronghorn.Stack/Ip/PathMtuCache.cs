// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Ip;

/// <summary>
/// Path MTUs by destination, so that new connections begin with what an earlier one was told (Linux: next-hop exceptions).
/// Only what an ICMP error about a segment of an open connection says gets in (RFC 5927 7). Fixed in size: a destination
/// has four places; the one that would expire first gives way.
/// </summary>
internal sealed class PathMtuCache : IDisposable
{
    private const int Sets = 256;
    private const int Ways = 4;

    private readonly NativeArray<Entry> _entries = new(Sets * Ways);
    private readonly FlowHash _hash;
    private readonly StackCounters _counters;

    public PathMtuCache(StackCounters counters, ulong secret0, ulong secret1)
    {
        _counters = counters;
        _hash = new FlowHash(secret0, secret1);
    }

    /// <summary>The most destinations.</summary>
    public static int Capacity => Sets * Ways;

    /// <summary>Notes a path's MTU in bytes. While what is known has not expired, it is only lowered.</summary>
    public void Learn(in IpAddress destination, int mtu, Instant now)
    {
        Span<Entry> set = SetOf(destination);
        int place = 0;
        for (int i = 0; i < Ways; i++)
        {
            if (set[i].Mtu != 0 && set[i].Destination == destination)
            {
                place = i;
                break;
            }

            if (set[i].ExpiresAt < set[place].ExpiresAt)
            {
                place = i;
            }
        }

        ref Entry entry = ref set[place];
        bool alive = entry.Mtu != 0 && entry.ExpiresAt > now;
        if (alive && entry.Destination == destination)
        {
            mtu = Math.Min(mtu, entry.Mtu);
        }
        else if (alive)
        {
            _counters.Add(Counter.PathMtusEvicted);
        }

        entry.Destination = destination;
        entry.Mtu = mtu;
        entry.ExpiresAt = now + Limits.PathMtuLife;
    }

    /// <summary>The MTU learnt for a destination in bytes; 0 when there is none, or it has expired.</summary>
    public int Lookup(in IpAddress destination, Instant now)
    {
        foreach (ref readonly Entry entry in SetOf(destination))
        {
            if (entry.Mtu != 0 && entry.Destination == destination)
            {
                return entry.ExpiresAt > now ? entry.Mtu : 0;
            }
        }

        return 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _entries.Dispose();

    private Span<Entry> SetOf(in IpAddress destination)
    {
        int set = (int)(_hash.Hash(destination, 0, destination, 0) % Sets);
        return _entries.AsSpan().Slice(set * Ways, Ways);
    }

    private struct Entry
    {
        public IpAddress Destination;
        public Instant ExpiresAt;
        public int Mtu;
    }
}
