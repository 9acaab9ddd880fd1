// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>
/// Turns changes of services into the least list of map writes. Knows what the maps hold, and does no input or output:
/// whoever executes a plan and fails makes a new planner from what the maps then hold.
/// </summary>
/// <remarks>One thread at a time.</remarks>
public sealed partial class Planner
{
    private static readonly int s_identifierKinds = Enum.GetValues<IdentifierKind>().Length;

    private readonly PlannerOptions _options;
    private readonly Dictionary<ObjectName, ServiceRecord> _services = [];
    private readonly Identifiers _serviceIds = new(IdentifierKind.Service);
    private readonly Identifiers _setIds = new(IdentifierKind.Set);
    private readonly Identifiers _backendIds = new(IdentifierKind.Backend);
    private readonly BackendTable _backends;
    private readonly FrontendTable _frontends = new();
    private readonly MapUsage _usage;
    private readonly PlanBuilder _plan;
    private readonly SortedDictionary<ObjectName, PendingService> _pending = new(ObjectNameOrder.Instance);
    private readonly HashSet<ServiceRecord> _disputed = [];
    private readonly HashSet<ObjectName> _reassessed = [];
    private RestoredIdentifiers? _restored;

    /// <summary>Begins with empty maps.</summary>
    public Planner(PlannerOptions? options = null)
    {
        _options = options ?? new PlannerOptions();
        _backends = new BackendTable(_backendIds);
        _usage = new MapUsage(_options.Capacities);
        _usage.Add(ServiceMap.Slots, s_identifierKinds);
        _plan = new PlanBuilder(_usage);
    }

    /// <summary>
    /// Begins with what is in the maps. The first plan must be <see cref="Synchronize"/>; it takes over what is still true
    /// and removes the rest.
    /// </summary>
    public static Planner Restore(MapContent content, PlannerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(content);
        var planner = new Planner(options);
        planner.Begin(content);
        return planner;
    }

    /// <summary>Plans for services that are new or have changed, and for ones that are gone.</summary>
    /// <exception cref="InvalidOperationException">The planner was restored, and was not synchronised yet.</exception>
    public Plan Apply(IEnumerable<ServiceState> applied, IEnumerable<ObjectName>? removed = null)
    {
        ArgumentNullException.ThrowIfNull(applied);
        return _restored is not null
            ? throw new InvalidOperationException("The first plan after a restart must be of all services.")
            : Change(applied, removed ?? []);
    }

    /// <summary>Plans for the whole of the services: all others go.</summary>
    public Plan Synchronize(IEnumerable<ServiceState> all)
    {
        ArgumentNullException.ThrowIfNull(all);
        ServiceState[] states = [.. all];
        var names = states.Select(state => state.Name).ToHashSet();
        ObjectName[] removed = [.. _services.Keys.Concat(_pending.Keys).Where(name => !names.Contains(name))];
        return Change(states, removed);
    }

    /// <summary>What is wrong with a service beyond what its own object says: conflicts with others, full maps.</summary>
    public ImmutableArray<Problem> ProblemsOf(ObjectName service)
    {
        ImmutableArray<Problem> problems =
            _services.TryGetValue(service, out ServiceRecord? record) ? record.Problems : [];
        return _pending.TryGetValue(service, out PendingService? pending) ? problems.Add(pending.Problem) : problems;
    }

    /// <summary>Entries that a map has.</summary>
    public int UsedOf(ServiceMap map) => _usage.UsedOf(map);

    private void Begin(MapContent content)
    {
        _plan.Restored = content;
        _restored = new RestoredIdentifiers(content, _backends, _frontends);
        _usage.IgnoresPresent = true;
        IEnumerable<uint> services = content.Services.Values.Select(value => value.Service).Concat(content.Counted);
        IEnumerable<uint> sets = content.Slots.Keys.Select(key => key.Set).Concat(content.Tables.Keys);
        RestoreIds(_serviceIds, IdentifierKind.Service, content, services);
        RestoreIds(_setIds, IdentifierKind.Set, content, sets);
        RestoreIds(_backendIds, IdentifierKind.Backend, content, content.Backends.Keys);
        _usage.Add(ServiceMap.Services, content.Services.Count);
        _usage.Add(ServiceMap.Slots, content.Slots.Keys.Count(key => key.Set != 0));
        _usage.Add(ServiceMap.Backends, content.Backends.Count);
        _usage.Add(ServiceMap.Members, content.Members.Count);
        _usage.Add(ServiceMap.SourceRanges, content.SourceRanges.Count);
        _usage.Add(ServiceMap.ServiceCounts, content.Counted.Count);
        _usage.Add(ServiceMap.Maglev, content.Tables.Count);
    }

    private static void RestoreIds(Identifiers ids, IdentifierKind kind, MapContent content, IEnumerable<uint> found)
    {
        uint mark = content.Slots.GetValueOrDefault(new SlotKey { Set = 0, Slot = (uint)kind });
        ids.Restore(mark, found.DefaultIfEmpty().Max());
    }

    private Plan Change(IEnumerable<ServiceState> applied, IEnumerable<ObjectName> removed)
    {
        // A service counts once, as it was told last.
        var states = new Dictionary<ObjectName, ServiceState>();
        foreach (ServiceState state in applied)
        {
            states[state.Name] = state;
        }

        _reassessed.Clear();
        foreach (ObjectName name in removed)
        {
            if (!states.ContainsKey(name))
            {
                Remove(name);
            }
        }

        RunRound(states.Values);
        RetryPending();
        return new Plan { Writes = _plan.Take(), Reassessed = [.. _reassessed] };
    }

    private void Remove(ObjectName name)
    {
        if (_pending.Remove(name))
        {
            _reassessed.Add(name);
        }

        if (_services.Remove(name, out ServiceRecord? record))
        {
            foreach (PortRecord port in record.Ports.Values)
            {
                port.Clear(_backends, _plan);
            }

            record.Ports.Clear();
            _frontends.Claim(record, other => _disputed.Add(other));
            _disputed.Remove(record);
            if (!record.Problems.IsEmpty)
            {
                _reassessed.Add(name);
            }
        }
    }

    private void RunRound(IEnumerable<ServiceState> states)
    {
        var records = new List<ServiceRecord>();
        foreach (ServiceState state in states)
        {
            ServiceState admitted = Admit(state);
            if (!_services.TryGetValue(state.Name, out ServiceRecord? record))
            {
                _services.Add(state.Name, record = new ServiceRecord(state.Name));
            }

            record.Created = state.Created;
            TakePorts(record, admitted.Ports);
            _frontends.Claim(record, other => _disputed.Add(other));
            records.Add(record);
        }

        _restored?.Adopt();
        foreach (PortRecord port in records.SelectMany(record => record.Ports.Values))
        {
            port.Id = port.Id != 0 ? port.Id : _serviceIds.Next();
            port.Assign(_options, _backends, _setIds, _plan);
        }

        _frontends.Flush(_plan);
        _backends.Flush(_plan);
        if (_restored is not null)
        {
            _restored = null;
            _backends.ForgetUnused();
            _plan.Prune(Describe());
            _usage.IgnoresPresent = false;
        }

        _serviceIds.Flush(_plan);
        _setIds.Flush(_plan);
        _backendIds.Flush(_plan);
        EndRound();
        AssessConflicts();
    }

    private void EndRound()
    {
        _plan.EndRound();
        _reservedBackends.Clear();
    }

    private void TakePorts(ServiceRecord record, ImmutableArray<ServicePortState> ports)
    {
        var names = ports.Select(port => port.Name).ToHashSet();
        foreach ((ServicePortName name, PortRecord port) in record.Ports)
        {
            if (!names.Contains(name))
            {
                port.Clear(_backends, _plan);
                record.Ports.Remove(name);
            }
        }

        foreach (ServicePortState state in ports)
        {
            if (record.Ports.TryGetValue(state.Name, out PortRecord? port))
            {
                port.State = state;
            }
            else
            {
                record.Ports.Add(state.Name, new PortRecord(state));
            }
        }
    }
}
