// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Link;

/// <summary>Link addresses of next hops: the kernel's table mirrored, or learnt by ARP on a standalone device.</summary>
public sealed class NeighborTable : IDisposable
{
    // Between two requests for the same neighbour, RFC 1122 2.3.2.1: at most one a second.
    private static readonly Duration s_requestInterval = Duration.FromSeconds(1);

    private readonly NativeArray<Neighbor> _neighbors = new(64);
    private readonly NativeArray<Request> _requests = new(Limits.MaximumNeighborRequests);
    private int _count;
    private int _requestHead;
    private int _requestCount;

    private readonly PathEpoch _epoch;

    internal NeighborTable(PathEpoch epoch) => _epoch = epoch;

    /// <summary>Changes with every change of a resolved address.</summary>
    public int Generation
    {
        get;
        private set
        {
            field = value;
            _epoch.Value++;
        }
    }

    /// <summary>Sets what is known of a neighbour. False when the table is full.</summary>
    public bool Set(int interfaceId, in IpAddress address, MacAddress mac)
    {
        int index = Find(interfaceId, address);
        if (index < 0)
        {
            index = AddEntry(interfaceId, address);
            if (index < 0)
            {
                return false;
            }
        }

        ref Neighbor neighbor = ref _neighbors[index];
        if (!neighbor.Resolved || neighbor.Mac != mac)
        {
            neighbor.Mac = mac;
            neighbor.Resolved = true;
            Generation++;
        }

        return true;
    }

    /// <summary>Forgets a neighbour.</summary>
    public void Remove(int interfaceId, in IpAddress address)
    {
        int index = Find(interfaceId, address);
        if (index >= 0)
        {
            _neighbors[index] = _neighbors[--_count];
            Generation++;
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Generation++;
        _count = 0;
        _requestCount = 0;
    }

    /// <summary>Takes a request for resolution that the runtime passes to the kernel, or the ARP code answers.</summary>
    public bool TryDequeueRequest(out int interfaceId, out IpAddress address)
    {
        if (_requestCount == 0)
        {
            interfaceId = 0;
            address = default;
            return false;
        }

        ref Request request = ref _requests[_requestHead];
        interfaceId = request.InterfaceId;
        address = request.Address;
        _requestHead = (_requestHead + 1) % _requests.Length;
        _requestCount--;
        return true;
    }

    /// <summary>Finds a neighbour's link address; when it is not known, asks for it at most once a second.</summary>
    internal bool TryResolve(int interfaceId, in IpAddress address, Instant now, out MacAddress mac)
    {
        int index = Find(interfaceId, address);
        if (index < 0)
        {
            index = AddEntry(interfaceId, address);
            if (index < 0)
            {
                mac = default;
                return false;
            }
        }

        ref Neighbor neighbor = ref _neighbors[index];
        mac = neighbor.Mac;
        if (neighbor.Resolved)
        {
            return true;
        }

        if (!neighbor.Requested || now - neighbor.RequestedAt >= s_requestInterval)
        {
            neighbor.Requested = true;
            neighbor.RequestedAt = now;
            Enqueue(interfaceId, address);
        }

        return false;
    }

    /// <summary>Whether somebody waits for this neighbour.</summary>
    internal bool IsKnown(int interfaceId, in IpAddress address) => Find(interfaceId, address) >= 0;

    /// <inheritdoc/>
    public void Dispose()
    {
        _neighbors.Dispose();
        _requests.Dispose();
    }

    // Looked up once a connection and after a change, so a scan does.
    private int Find(int interfaceId, in IpAddress address)
    {
        for (int i = 0; i < _count; i++)
        {
            if (_neighbors[i].InterfaceId == interfaceId && _neighbors[i].Address == address)
            {
                return i;
            }
        }

        return -1;
    }

    private int AddEntry(int interfaceId, in IpAddress address)
    {
        if (_count >= Limits.MaximumNeighbors || !_neighbors.EnsureLength(_count + 1))
        {
            return -1;
        }

        _neighbors[_count] = new Neighbor { InterfaceId = interfaceId, Address = address };
        return _count++;
    }

    private void Enqueue(int interfaceId, in IpAddress address)
    {
        if (_requestCount < _requests.Length)
        {
            _requests[(_requestHead + _requestCount++) % _requests.Length] =
                new Request { InterfaceId = interfaceId, Address = address };
        }
    }

    private struct Neighbor
    {
        public IpAddress Address;
        public MacAddress Mac;
        public int InterfaceId;
        public bool Resolved;
        public bool Requested;
        public Instant RequestedAt;
    }

    private struct Request
    {
        public IpAddress Address;
        public int InterfaceId;
    }
}
