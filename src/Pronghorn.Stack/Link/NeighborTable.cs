// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Link;

/// <summary>Link addresses of next hops: the kernel's table mirrored, or learnt by ARP on a standalone device.</summary>
/// <remarks>
/// Bounded, whatever arrives: what frames alone have shown may fill <see cref="Limits.MaximumLearntNeighbors"/> entries, of
/// which the newest stay; what the kernel told never gives way to it.
/// </remarks>
public sealed class NeighborTable : IDisposable
{
    private const int BucketCount = 4096;

    // Between two requests for the same neighbour, RFC 1122 2.3.2.1: at most one a second.
    private static readonly Duration s_requestInterval = Duration.FromSeconds(1);

    private readonly Slab<Neighbor> _neighbors = new(Limits.MaximumNeighbors);
    private readonly NativeArray<int> _buckets = new(BucketCount);
    private readonly NativeArray<Request> _requests = new(Limits.MaximumNeighborRequests);
    private readonly FlowHash _hash;
    private readonly PathEpoch _epoch;
    private readonly StackCounters _counters;
    private int _requestHead;
    private int _requestCount;
    private int _learntCount;
    private int _hand;
    private bool _lost;

    internal NeighborTable(PathEpoch epoch, StackCounters counters, ulong secret0, ulong secret1)
    {
        _epoch = epoch;
        _counters = counters;
        _hash = new FlowHash(secret0, secret1);
    }

    private enum Origin : byte
    {
        /// <summary>Somebody needs it and the answer is awaited.</summary>
        Asked,

        /// <summary>A frame showed it.</summary>
        Frame,

        /// <summary>The kernel told it.</summary>
        Kernel,
    }

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

    /// <summary>Entries in the table, resolved or not.</summary>
    public int Count => _neighbors.Count;

    /// <summary>Whether a neighbour was given up since <see cref="ForgetFailed"/>.</summary>
    internal bool HasFailed { get; private set; }

    /// <summary>Sets what the kernel knows of a neighbour. False when the table is full.</summary>
    public bool Set(int interfaceId, in IpAddress address, MacAddress mac)
    {
        int index = Find(interfaceId, address);
        if (index == 0)
        {
            index = AddEntry(interfaceId, address, Origin.Kernel);
            if (index == 0)
            {
                return false;
            }
        }

        ref Neighbor neighbor = ref _neighbors[index];
        SetOrigin(ref neighbor, Origin.Kernel);
        neighbor.Failed = false;
        if (!neighbor.Resolved || neighbor.Mac != mac)
        {
            neighbor.Mac = mac;
            neighbor.Resolved = true;
            Generation++;
        }

        return true;
    }

    /// <summary>Forgets a neighbour; who needs it asks again.</summary>
    public void Remove(int interfaceId, in IpAddress address)
    {
        int index = Find(interfaceId, address);
        if (index != 0)
        {
            _lost |= _neighbors[index].Resolved;
            Release(index);
            Generation++;
        }
    }

    /// <summary>
    /// The kernel asked for a neighbour and got no answer (NUD_FAILED). At the next poll the stack tells those who wait for
    /// it. Old news, from before the stack's own request was passed on, is no answer to it and is ignored.
    /// </summary>
    public void Fail(int interfaceId, in IpAddress address)
    {
        int index = Find(interfaceId, address);
        if (index == 0)
        {
            return;
        }

        ref Neighbor neighbor = ref _neighbors[index];
        if (neighbor.Resolved)
        {
            Remove(interfaceId, address);
        }
        else if (neighbor.Passed)
        {
            _counters.Add(Counter.NeighborsFailed);
            neighbor.Failed = true;
            HasFailed = true;
            Generation++;
        }
    }

    /// <summary>Forgets what is known, before it is told anew; what is asked for stays.</summary>
    public void Clear()
    {
        Generation++;
        for (int index = 1; index < _neighbors.UpperBound; index++)
        {
            if (_neighbors.IsRented(index) && _neighbors[index].Resolved)
            {
                _lost = true;
                Release(index);
            }
        }
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
        int index = Find(interfaceId, address);
        if (index != 0)
        {
            _neighbors[index].Passed = true;
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _neighbors.Dispose();
        _buckets.Dispose();
        _requests.Dispose();
    }

    /// <summary>
    /// Notes the link address that a frame came from. What is known already stays as it is; what is new may be asked for,
    /// so that the kernel confirms it.
    /// </summary>
    internal void Learn(int interfaceId, in IpAddress address, MacAddress mac, bool confirm, Instant now)
    {
        int index = Find(interfaceId, address);
        if (index == 0)
        {
            if (_learntCount >= Limits.MaximumLearntNeighbors)
            {
                EvictOne(onlyLearnt: true);
            }

            index = AddEntry(interfaceId, address, Origin.Frame);
            if (index == 0)
            {
                return;
            }

            // Nobody waited for it, so no path changes.
            _neighbors[index].Mac = mac;
            _neighbors[index].Resolved = true;
            if (confirm)
            {
                Ask(ref _neighbors[index], now);
            }
        }
        else if (!_neighbors[index].Resolved)
        {
            ref Neighbor neighbor = ref _neighbors[index];
            SetOrigin(ref neighbor, Origin.Frame);
            neighbor.Mac = mac;
            neighbor.Resolved = true;
            neighbor.Failed = false;
            Generation++;
        }
    }

    /// <summary>Takes over the address in an ARP message, RFC 826: also where it changes what is known.</summary>
    internal void Update(int interfaceId, in IpAddress address, MacAddress mac, Instant now)
    {
        int index = Find(interfaceId, address);
        if (index != 0 && _neighbors[index].Resolved && _neighbors[index].Mac != mac)
        {
            _neighbors[index].Mac = mac;
            Generation++;
        }

        Learn(interfaceId, address, mac, confirm: false, now);
    }

    /// <summary>Finds a neighbour's link address; when it is not known, asks for it at most once a second.</summary>
    internal bool TryResolve(int interfaceId, in IpAddress address, Instant now, out MacAddress mac)
    {
        int index = Find(interfaceId, address);
        if (index == 0)
        {
            index = AddEntry(interfaceId, address, Origin.Asked);
            if (index == 0)
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

        Ask(ref neighbor, now);
        return false;
    }

    /// <summary>
    /// What was sent to a neighbour gets no answer: has the kernel look whether it is still there. Nothing that the kernel
    /// sees says so otherwise, because our packets do not pass it.
    /// </summary>
    internal void Verify(int interfaceId, in IpAddress address, Instant now)
    {
        int index = Find(interfaceId, address);
        if (index != 0 && _neighbors[index].Resolved)
        {
            Ask(ref _neighbors[index], now);
        }
    }

    /// <summary>Whether somebody waits for this neighbour or it is resolved.</summary>
    internal bool IsKnown(int interfaceId, in IpAddress address) => Find(interfaceId, address) != 0;

    /// <summary>Whether this neighbour was given up since <see cref="ForgetFailed"/>.</summary>
    internal bool IsFailed(int interfaceId, in IpAddress address)
    {
        int index = Find(interfaceId, address);
        return index != 0 && _neighbors[index].Failed;
    }

    /// <summary>Everybody who waited has been told: who asks from now on, asks anew.</summary>
    internal void ForgetFailed()
    {
        HasFailed = false;
        for (int index = 1; index < _neighbors.UpperBound; index++)
        {
            if (_neighbors.IsRented(index) && _neighbors[index].Failed)
            {
                Release(index);
            }
        }
    }

    /// <summary>Whether a resolved neighbour was lost since the last call.</summary>
    internal bool TakeLost()
    {
        bool lost = _lost;
        _lost = false;
        return lost;
    }

    private ref int BucketOf(int interfaceId, in IpAddress address) =>
        ref _buckets[(int)(_hash.Hash(address, 0, address, (ushort)interfaceId) & (BucketCount - 1))];

    private int Find(int interfaceId, in IpAddress address)
    {
        int index = BucketOf(interfaceId, address);
        while (index != 0 && (_neighbors[index].InterfaceId != interfaceId || _neighbors[index].Address != address))
        {
            index = _neighbors[index].Next;
        }

        return index;
    }

    private int AddEntry(int interfaceId, in IpAddress address, Origin origin)
    {
        int index = _neighbors.Rent();
        if (index == 0 && EvictOne(onlyLearnt: false))
        {
            index = _neighbors.Rent();
        }

        if (index == 0)
        {
            _counters.Add(Counter.NeighborsRefused);
            return 0;
        }

        ref Neighbor neighbor = ref _neighbors[index];
        neighbor.InterfaceId = interfaceId;
        neighbor.Address = address;
        SetOrigin(ref neighbor, origin);
        ref int bucket = ref BucketOf(interfaceId, address);
        neighbor.Next = bucket;
        bucket = index;
        return index;
    }

    private void SetOrigin(ref Neighbor neighbor, Origin origin)
    {
        _learntCount += (origin == Origin.Frame ? 1 : 0) - (neighbor.Origin == Origin.Frame ? 1 : 0);
        neighbor.Origin = origin;
    }

    /// <summary>The oldest, nearly: a hand goes round. Who uses an evicted address goes on with it, and asks when paths change.</summary>
    private bool EvictOne(bool onlyLearnt)
    {
        for (int looked = 1; looked < _neighbors.UpperBound; looked++)
        {
            _hand = _hand + 1 < _neighbors.UpperBound ? _hand + 1 : 1;
            if (_neighbors.IsRented(_hand) && (_neighbors[_hand].Origin == Origin.Frame
                || (!onlyLearnt && _neighbors[_hand].Origin == Origin.Asked)))
            {
                _counters.Add(Counter.NeighborsEvicted);
                Release(_hand);
                return true;
            }
        }

        return false;
    }

    private void Release(int index)
    {
        ref Neighbor neighbor = ref _neighbors[index];
        SetOrigin(ref neighbor, Origin.Asked);
        ref int link = ref BucketOf(neighbor.InterfaceId, neighbor.Address);
        while (link != index)
        {
            link = ref _neighbors[link].Next;
        }

        link = neighbor.Next;
        _neighbors.Return(index);
    }

    private void Ask(ref Neighbor neighbor, Instant now)
    {
        if (neighbor.Requested && now - neighbor.RequestedAt < s_requestInterval)
        {
            return;
        }

        neighbor.Requested = true;
        neighbor.RequestedAt = now;
        if (_requestCount == _requests.Length)
        {
            _counters.Add(Counter.NeighborRequestsDropped);
            return;
        }

        _requests[(_requestHead + _requestCount++) % _requests.Length] =
            new Request { InterfaceId = neighbor.InterfaceId, Address = neighbor.Address };
    }

    private struct Neighbor
    {
        public IpAddress Address;
        public MacAddress Mac;
        public int InterfaceId;
        public int Next;
        public Origin Origin;
        public bool Resolved;
        public bool Failed;
        public bool Requested;

        /// <summary>Whether a request has left the queue, so that a failure may be its answer.</summary>
        public bool Passed;
        public Instant RequestedAt;
    }

    private struct Request
    {
        public IpAddress Address;
        public int InterfaceId;
    }
}
