// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

/// <summary>What the maps have to mean, worked out from the services alone, without a planner.</summary>
internal sealed class ExpectedTable
{
    private readonly Dictionary<FrontendKey, (ServiceState Service, ServicePortState Port, Frontend Frontend)> _frontends = [];
    private readonly HashSet<(IpAddress, ushort, IpProtocol)> _backends = [];
    private readonly HashSet<(IpAddress, ushort, IpProtocol)> _localBackends = [];
    private readonly Dictionary<ServicePortName, ServicePortState> _portStates = [];
    private int _slots;
    private int _members;
    private int _tables;
    private int _ranges;
    private int _ports;

    public ExpectedTable(IEnumerable<ServiceState> services)
    {
        foreach (ServiceState service in services)
        {
            foreach (ServicePortState port in service.Ports)
            {
                Add(service, port);
            }
        }
    }

    /// <summary>Which endpoints a client of a class gets; null if it is not forwarded.</summary>
    public (ServicePortName Port, EndpointScope Scope)? SetOf(FrontendKey key, ClientClass client) =>
        _frontends.TryGetValue(key, out var owner) && owner.Frontend[client].Action == FrontendAction.Forward
            ? (owner.Port.Name, owner.Frontend[client].Scope)
            : null;

    /// <summary>The endpoints of a scope.</summary>
    public ImmutableArray<Backend> BackendsOf((ServicePortName Port, EndpointScope Scope) set) =>
        _portStates.TryGetValue(set.Port, out ServicePortState? port) ? port.BackendsOf(set.Scope) : [];

    /// <summary>Compares the meaning of the maps, and that nothing is in them that has none.</summary>
    public void AssertEqual(MapContent maps)
    {
        Assert.Equal(_frontends.Count, maps.Services.Count);
        var serviceIds = new Dictionary<ServicePortName, uint>();
        foreach ((ServiceKey key, ServiceValue value) in maps.Services)
        {
            Assert.True(_frontends.TryGetValue(key.ToFrontendKey(), out var owner), "a frontend that nobody wants");
            if (!serviceIds.TryAdd(owner.Port.Name, value.Service))
            {
                Assert.Equal(serviceIds[owner.Port.Name], value.Service);
            }

            AssertFrontend(maps, value, owner.Port, owner.Frontend);
        }

        Assert.Equal(serviceIds.Count, serviceIds.Values.Distinct().Count());
        Assert.Equal(_slots, maps.Slots.Keys.Count(key => key.Set != 0));
        Assert.Equal(_backends.Count, maps.Backends.Count);
        Assert.Equal(_members, maps.Members.Count);
        Assert.Equal(_tables, maps.Tables.Count);
        Assert.Equal(_ranges, maps.SourceRanges.Count);
        Assert.Equal(_ports, maps.Counted.Count);
        foreach (BackendValue backend in maps.Backends.Values)
        {
            var key = (backend.Address.Value, backend.Port.Value, backend.Protocol);
            Assert.Contains(key, _backends);
            Assert.Equal(_localBackends.Contains(key), (backend.Flags & BackendFlags.Local) != 0);
        }
    }

    private static void AssertFrontend(MapContent maps, in ServiceValue value, ServicePortState port, Frontend frontend)
    {
        Assert.Equal((byte)frontend.Kind, value.Kind);
        Assert.Equal((uint)port.AffinityTimeout.TotalSeconds, value.AffinityTimeout);
        Assert.Equal(port.Algorithm == SelectionAlgorithm.Maglev, (value.Flags & ServiceFlags.Maglev) != 0);
        Assert.Equal(port.DirectReturn, (value.Flags & ServiceFlags.DirectReturn) != 0);
        Assert.Contains(value.Service, maps.Counted);
        foreach (AddressRange range in port.SourceRanges)
        {
            Assert.Contains(SourceRangeKey.From(value.Service, range), maps.SourceRanges);
        }

        foreach (ClientClass client in Enum.GetValues<ClientClass>())
        {
            FrontendView wanted = frontend[client];
            ServiceView view = value[client];
            Assert.Equal(wanted.Masquerade, (view.Flags & ViewFlags.Masquerade) != 0);
            Assert.Equal(wanted.ChecksSource, (view.Flags & ViewFlags.CheckSource) != 0);
            Assert.Equal(wanted.NodeAllowed, (view.Flags & ViewFlags.NodeAllowed) != 0);
            ImmutableArray<Backend> backends = port.BackendsOf(wanted.Scope);
            if (wanted.Action != FrontendAction.Forward || backends.IsEmpty)
            {
                FrontendAction action = wanted.Action == FrontendAction.Forward ? FrontendAction.Reject : wanted.Action;
                Assert.Equal((ServiceViewAction)action, view.Action);
                continue;
            }

            Assert.Equal(ServiceViewAction.Forward, view.Action);
            AssertSet(maps, view, port, backends);
        }
    }

    private static void AssertSet(MapContent maps, in ServiceView view, ServicePortState port, ImmutableArray<Backend> backends)
    {
        var wanted = backends.Select(KeyOf).ToHashSet();
        Assert.Equal(wanted.Count, (int)view.Count);
        for (uint slot = 0; slot < view.Count; slot++)
        {
            uint id = maps.Slots[new SlotKey { Set = view.Set, Slot = slot }];
            Assert.True(wanted.Remove(KeyOf(maps.Backends[id].ToBackend())), "a backend twice, or one that nobody wants");
            Assert.True(port.AffinityTimeout == TimeSpan.Zero || maps.Members.Contains(new MemberKey { Set = view.Set, Backend = id }));
        }
    }

    private static (IpAddress Address, ushort Port, IpProtocol Protocol) KeyOf(Backend backend) =>
        (backend.Address, backend.Port, backend.Protocol);

    private static bool IsOlder(ServiceState first, ServiceState second)
    {
        DateTimeOffset left = first.Created ?? DateTimeOffset.MaxValue;
        DateTimeOffset right = second.Created ?? DateTimeOffset.MaxValue;
        return left != right ? left < right : string.CompareOrdinal(first.Name.ToString(), second.Name.ToString()) < 0;
    }

    private void Add(ServiceState service, ServicePortState port)
    {
        _ports++;
        _portStates.Add(port.Name, port);
        _ranges += port.SourceRanges.Distinct().Count();
        foreach (Frontend frontend in port.Frontends)
        {
            if (!_frontends.TryGetValue(frontend.Key, out var owner) || IsOlder(service, owner.Service))
            {
                _frontends[frontend.Key] = (service, port, frontend);
            }
        }

        foreach (EndpointScope scope in Enum.GetValues<EndpointScope>())
        {
            ImmutableArray<Backend> backends = port.BackendsOf(scope);
            bool isUsed = port.Frontends.Any(frontend => Enum.GetValues<ClientClass>().Any(
                client => frontend[client].Action == FrontendAction.Forward && frontend[client].Scope == scope));
            if (!isUsed || backends.IsEmpty)
            {
                continue;
            }

            _slots += backends.Length;
            _members += port.AffinityTimeout > TimeSpan.Zero ? backends.Length : 0;
            _tables += port.Algorithm == SelectionAlgorithm.Maglev ? 1 : 0;
            foreach (Backend backend in backends)
            {
                _backends.Add(KeyOf(backend));
                if (backend.IsLocal)
                {
                    _localBackends.Add(KeyOf(backend));
                }
            }
        }
    }
}
