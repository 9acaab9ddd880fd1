// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>A service as it stands in the maps.</summary>
internal sealed class ServiceRecord
{
    public ServiceRecord(ObjectName name) => Name = name;

    public ObjectName Name { get; }

    public DateTimeOffset? Created { get; set; }

    public Dictionary<ServicePortName, PortRecord> Ports { get; } = [];

    /// <summary>What it claims.</summary>
    public List<FrontendEntry> Claims { get; set; } = [];

    public ImmutableArray<Problem> Problems { get; set; } = [];
}

/// <summary>A service port as it stands in the maps.</summary>
internal sealed class PortRecord
{
    public static readonly EndpointScope[] Scopes = [EndpointScope.Cluster, EndpointScope.Local];

    private readonly BackendSet?[] _sets = new BackendSet?[2];
    private ImmutableArray<AddressRange> _ranges = [];
    private bool _isCounted;

    public PortRecord(ServicePortState state) => State = state;

    /// <summary>0 until it is given one.</summary>
    public uint Id { get; set; }

    public ServicePortState State { get; set; }

    public ImmutableArray<AddressRange> Ranges => _ranges;

    public bool IsCounted => _isCounted;

    public IEnumerable<BackendSet> Sets => _sets.OfType<BackendSet>();

    public BackendSet? this[EndpointScope scope]
    {
        get => _sets[(int)scope];
        set => _sets[(int)scope] = value;
    }

    /// <summary>Whether some frontend sends clients to the endpoints of a scope, and there are any.</summary>
    public static bool Uses(ServicePortState state, EndpointScope scope) =>
        !state.BackendsOf(scope).IsEmpty
        && state.Frontends.Any(frontend =>
            Forwards(frontend.Pod, scope) || Forwards(frontend.Node, scope) || Forwards(frontend.External, scope));

    /// <summary>Makes sets, source ranges and counters what <see cref="State"/> says.</summary>
    public void Assign(PlannerOptions options, BackendTable backends, Identifiers setIds, PlanBuilder plan)
    {
        var setOptions = new SetOptions(
            State.AffinityTimeout > TimeSpan.Zero, State.Algorithm == SelectionAlgorithm.Maglev, options.MaglevSize);
        foreach (EndpointScope scope in Scopes)
        {
            if (Uses(State, scope))
            {
                this[scope] ??= new BackendSet(setIds.Next());
                this[scope]!.Assign(State.BackendsOf(scope), setOptions, backends, plan);
            }
            else
            {
                this[scope]?.Clear(backends, plan);
                this[scope] = null;
            }
        }

        AssignRanges(plan, [.. State.SourceRanges.Distinct()]);
        if (!_isCounted)
        {
            plan.PutCount(Id);
            _isCounted = true;
        }
    }

    /// <summary>Removes all that the maps have of it but its frontends.</summary>
    public void Clear(BackendTable backends, PlanBuilder plan)
    {
        foreach (BackendSet set in Sets)
        {
            set.Clear(backends, plan);
        }

        AssignRanges(plan, []);
        if (_isCounted)
        {
            plan.DeleteCount(Id);
        }
    }

    /// <summary>What stands in the table of services for one of its frontends.</summary>
    public ServiceValue ValueOf(Frontend frontend)
    {
        var flags = State.Algorithm == SelectionAlgorithm.Maglev ? ServiceFlags.Maglev : ServiceFlags.None;
        flags |= State.DirectReturn ? ServiceFlags.DirectReturn : ServiceFlags.None;
        return new ServiceValue
        {
            Service = Id,
            AffinityTimeout = (uint)Math.Ceiling(State.AffinityTimeout.TotalSeconds),
            Flags = flags,
            Kind = (byte)frontend.Kind,
            Pod = ViewOf(frontend.Pod),
            Node = ViewOf(frontend.Node),
            External = ViewOf(frontend.External),
        };
    }

    private static bool Forwards(in FrontendView view, EndpointScope scope) =>
        view.Action == FrontendAction.Forward && view.Scope == scope;

    private ServiceView ViewOf(in FrontendView view)
    {
        ViewFlags flags = view.Masquerade ? ViewFlags.Masquerade : ViewFlags.None;
        flags |= view.ChecksSource ? ViewFlags.CheckSource : ViewFlags.None;
        flags |= view.NodeAllowed ? ViewFlags.NodeAllowed : ViewFlags.None;
        if (view.Action != FrontendAction.Forward)
        {
            return new ServiceView { Action = (ServiceViewAction)view.Action, Flags = flags };
        }

        // Programs rely on a backend being there; without one, the client learns at once that nobody answers.
        BackendSet? set = this[view.Scope];
        return set is null
            ? new ServiceView { Action = ServiceViewAction.Reject, Flags = flags }
            : new ServiceView { Set = set.Id, Count = (uint)set.Count, Action = ServiceViewAction.Forward, Flags = flags };
    }

    private void AssignRanges(PlanBuilder plan, ImmutableArray<AddressRange> wanted)
    {
        foreach (AddressRange range in wanted)
        {
            if (!_ranges.Contains(range))
            {
                plan.PutSourceRange(Id, range);
            }
        }

        foreach (AddressRange range in _ranges)
        {
            if (!wanted.Contains(range))
            {
                plan.DeleteSourceRange(Id, range);
            }
        }

        _ranges = wanted;
    }
}
