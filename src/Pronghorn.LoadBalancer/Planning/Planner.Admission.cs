// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>What happens when a map is full: the service waits, and whatever of it can be kept true without new entries is.</summary>
public sealed partial class Planner
{
    /// <summary>How many services that wait are tried again at a time, so that a full map makes no change slow.</summary>
    private const int RetriesAtATime = 32;

    private readonly HashSet<Backend> _reservedBackends = [];

    /// <summary>Services that wait for room.</summary>
    public IReadOnlyCollection<ObjectName> Pending => _pending.Keys;

    /// <summary>A service as it may go into the maps: whole if there is room, else cut to what is there already.</summary>
    private ServiceState Admit(ServiceState state)
    {
        if (TryReserve(state, out ServiceMap full, out int missing))
        {
            if (_pending.Remove(state.Name))
            {
                _reassessed.Add(state.Name);
            }

            return state;
        }

        var problem = new Problem(
            $"Service {state.Name}",
            "",
            $"the map '{ServiceMaps.NameOf(full)}' is full: it holds {_usage.CapacityOf(full)} entries, and this service needs "
                + $"{missing} more. Only what was served before and is still there is served. Raise {ServiceMaps.SettingOf(full)} "
                + "in the configuration and enable anew; it is tried again whenever entries become free.");
        if (!_pending.TryGetValue(state.Name, out PendingService? before) || before.Problem != problem)
        {
            _reassessed.Add(state.Name);
        }

        _pending[state.Name] = new PendingService(state, problem);
        return Reduce(state);
    }

    /// <summary>Tries services that wait once more while rounds make room.</summary>
    private void RetryPending()
    {
        while (_usage.HasFreed && _pending.Count > 0)
        {
            List<ServiceState> fitting = [];
            foreach (PendingService pending in _pending.Values.Take(RetriesAtATime).ToArray())
            {
                if (TryReserve(pending.State, out _, out _))
                {
                    fitting.Add(pending.State);
                }
            }

            // What was set aside is measured again as each is admitted.
            EndRound();
            if (fitting.Count == 0)
            {
                return;
            }

            RunRound(fitting);
        }
    }

    /// <summary>Sets aside the new entries that a service takes.</summary>
    private bool TryReserve(ServiceState state, out ServiceMap full, out int missing)
    {
        MapNeed need = Measure(state, out HashSet<Backend> newBackends);
        bool fits = _usage.TryReserve(need, out full);
        missing = fits ? 0 : need[full];
        if (fits)
        {
            _reservedBackends.UnionWith(newBackends);
        }

        return fits;
    }

    private MapNeed Measure(ServiceState state, out HashSet<Backend> newBackends)
    {
        var need = default(MapNeed);
        ServiceRecord? record = _services.GetValueOrDefault(state.Name);
        newBackends = [];
        foreach (ServicePortState port in state.Ports)
        {
            PortRecord? present = record?.Ports.GetValueOrDefault(port.Name);
            need[ServiceMap.Services] += port.Frontends.Count(frontend => !HasFrontend(frontend.Key));
            need[ServiceMap.ServiceCounts] += present is null ? 1 : 0;
            need[ServiceMap.SourceRanges] += present is null
                ? port.SourceRanges.Length
                : port.SourceRanges.Count(range => !present.Ranges.Contains(range));
            foreach (EndpointScope scope in PortRecord.Scopes)
            {
                if (PortRecord.Uses(port, scope))
                {
                    MeasureSet(ref need, port, scope, present?[scope], newBackends);
                }
            }
        }

        need[ServiceMap.Backends] = newBackends.Count;
        return need;
    }

    private void MeasureSet(
        ref MapNeed need, ServicePortState port, EndpointScope scope, BackendSet? set, HashSet<Backend> newBackends)
    {
        ImmutableArray<Backend> wanted = port.BackendsOf(scope);
        need[ServiceMap.Slots] += Math.Max(wanted.Length - (set?.Count ?? 0), 0);
        if (port.AffinityTimeout > TimeSpan.Zero)
        {
            need[ServiceMap.Members] += set is { HasMembers: true } ? set.CountMissing(wanted, _backends) : wanted.Length;
        }

        need[ServiceMap.Maglev] += port.Algorithm == SelectionAlgorithm.Maglev && set is not { HasTable: true } ? 1 : 0;
        foreach (Backend backend in wanted)
        {
            // One that an earlier run left behind is measured like a new one; see MapUsage.IgnoresPresent.
            BackendEntry? entry = _backends.Find(backend);
            Backend key = backend with { IsLocal = false };
            if ((entry is null || (_restored is not null && entry.References == 0)) && !_reservedBackends.Contains(key))
            {
                newBackends.Add(key);
            }
        }
    }

    /// <summary>Whether a frontend is there, or is set aside: services may claim the same.</summary>
    private bool HasFrontend(in FrontendKey key) => _frontends.Find(key) is not null;

    /// <summary>What of a service can be made true without a new entry in any map. Never admits a source that it should not.</summary>
    private ServiceState Reduce(ServiceState state)
    {
        ServiceRecord? record = _services.GetValueOrDefault(state.Name);
        if (record is null)
        {
            return state with { Ports = [] };
        }

        var ports = ImmutableArray.CreateBuilder<ServicePortState>();
        foreach (ServicePortState port in state.Ports)
        {
            if (record.Ports.TryGetValue(port.Name, out PortRecord? present))
            {
                ports.Add(port with
                {
                    Frontends = [.. port.Frontends.Where(frontend => HasFrontend(frontend.Key))],
                    ClusterBackends = Present(port.ClusterBackends, present[EndpointScope.Cluster]),
                    LocalBackends = Present(port.LocalBackends, present[EndpointScope.Local]),
                    SourceRanges = [.. port.SourceRanges.Where(range => present.Ranges.Contains(range))],
                    AffinityTimeout = present.Sets.All(set => set.HasMembers) ? port.AffinityTimeout : TimeSpan.Zero,
                    Algorithm = present.Sets.All(set => set.HasTable) ? port.Algorithm : SelectionAlgorithm.Random,
                });
            }
        }

        return state with { Ports = ports.ToImmutable() };
    }

    private ImmutableArray<Backend> Present(ImmutableArray<Backend> backends, BackendSet? set) =>
        set is null ? [] : [.. backends.Where(backend => set.Contains(backend, _backends))];

    private sealed record PendingService(ServiceState State, Problem Problem);
}
