// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Ip;

/// <summary>A route, as the kernel's main table has it.</summary>
public struct Route
{
    /// <summary>Destination prefix.</summary>
    public IpAddress Destination;

    /// <summary>Its length in bits: 0 to 32 for IPv4.</summary>
    public int PrefixLength;

    /// <summary>Gateway; any when the destination is on the link.</summary>
    public IpAddress Gateway;

    /// <summary>Interface to send by.</summary>
    public int InterfaceId;

    /// <summary>Source address to prefer; any when there is none.</summary>
    public IpAddress PreferredSource;

    /// <summary>MTU of the route in bytes; 0 for the interface's.</summary>
    public int Mtu;

    /// <summary>Among equal prefixes the lowest wins.</summary>
    public uint Metric;
}

/// <summary>Routes; the longest prefix wins, then the lowest metric.</summary>
public sealed class RouteTable : IDisposable
{
    private readonly NativeArray<Route> _routes = new(32);
    private int _count;

    private readonly PathEpoch _epoch;

    private readonly StackCounters _counters;

    internal RouteTable(PathEpoch epoch, StackCounters counters)
    {
        _epoch = epoch;
        _counters = counters;
    }

    /// <summary>Changes with every change of the table.</summary>
    public int Generation
    {
        get;
        private set
        {
            field = value;
            _epoch.Value++;
        }
    }

    /// <summary>All routes.</summary>
    public ReadOnlySpan<Route> Routes => _routes.AsSpan()[.._count];

    /// <summary>Adds a route, or replaces the one with the same prefix, metric and interface. False when the table is full.</summary>
    public bool Add(in Route route)
    {
        Generation++;
        int index = Find(route);
        if (index < 0)
        {
            if (_count >= Limits.MaximumRoutes || !_routes.EnsureLength(_count + 1))
            {
                _counters.Add(Counter.RoutingEntriesRefused);
                return false;
            }

            index = _count++;
        }

        _routes[index] = route;
        return true;
    }

    /// <summary>Removes the route with the same prefix, metric and interface.</summary>
    public void Remove(in Route route)
    {
        int index = Find(route);
        if (index >= 0)
        {
            Generation++;
            _routes[index] = _routes[--_count];
        }
    }

    /// <summary>Removes all routes.</summary>
    public void Clear()
    {
        Generation++;
        _count = 0;
    }

    /// <summary>Finds the route to a destination.</summary>
    public bool TryLookup(in IpAddress destination, out Route route)
    {
        int best = -1;
        for (int i = 0; i < _count; i++)
        {
            ref Route candidate = ref _routes[i];
            if (!Matches(candidate, destination))
            {
                continue;
            }

            if (best < 0 || candidate.PrefixLength > _routes[best].PrefixLength
                || (candidate.PrefixLength == _routes[best].PrefixLength && candidate.Metric < _routes[best].Metric))
            {
                best = i;
            }
        }

        route = best < 0 ? default : _routes[best];
        return best >= 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _routes.Dispose();

    private static bool Matches(in Route route, in IpAddress destination)
    {
        if (!destination.IsIpv4 || !route.Destination.IsIpv4)
        {
            return false;
        }

        uint mask = route.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - route.PrefixLength);
        return ((destination.ToIpv4() ^ route.Destination.ToIpv4()) & mask) == 0;
    }

    private int Find(in Route route)
    {
        for (int i = 0; i < _count; i++)
        {
            ref Route other = ref _routes[i];
            if (other.Destination == route.Destination && other.PrefixLength == route.PrefixLength
                && other.Metric == route.Metric && other.InterfaceId == route.InterfaceId)
            {
                return i;
            }
        }

        return -1;
    }
}
