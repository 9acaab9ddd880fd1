// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>
/// Finds out which service port had which identifiers in an earlier run, by the frontends that are in the maps, so that
/// what has not changed stays as it is and remembered clients keep their backends.
/// </summary>
internal sealed class RestoredIdentifiers
{
    private readonly MapContent _content;
    private readonly BackendTable _backends;
    private readonly FrontendTable _frontends;
    private readonly Dictionary<uint, BackendEntry> _backendsById = [];

    public RestoredIdentifiers(MapContent content, BackendTable backends, FrontendTable frontends)
    {
        _content = content;
        _backends = backends;
        _frontends = frontends;
        foreach ((uint id, BackendValue value) in content.Backends)
        {
            BackendEntry entry = backends.Restore(id, value.ToBackend());
            if (entry.Id == id)
            {
                _backendsById.Add(id, entry);
            }
        }
    }

    /// <summary>Gives identifiers to service ports; each must have claimed its frontends.</summary>
    public void Adopt()
    {
        var owners = new Dictionary<uint, PortRecord?>();
        var uses = new Dictionary<uint, SetUse?>();
        foreach ((ServiceKey key, ServiceValue value) in _content.Services)
        {
            // A frontend that nobody wants any more goes before anything else is written, so it has no say.
            if (_frontends.Find(key.ToFrontendKey())?.Owner is { } owner)
            {
                Agree(owners, value.Service, owner.Port);
                AgreeOn(uses, owner, owner.Frontend.Pod, value, value.Pod);
                AgreeOn(uses, owner, owner.Frontend.Node, value, value.Node);
                AgreeOn(uses, owner, owner.Frontend.External, value, value.External);
            }
        }

        foreach ((uint id, PortRecord? port) in owners.OrderBy(pair => pair.Key))
        {
            if (id != 0 && port is { Id: 0 })
            {
                port.Id = id;
            }
        }

        foreach ((uint id, SetUse? use) in uses.OrderBy(pair => pair.Key))
        {
            if (id != 0 && use is not null && use.Port.Id == use.Service && use.Port[use.Scope] is null)
            {
                use.Port[use.Scope] = Rebuild(id);
            }
        }
    }

    /// <summary>
    /// Notes what a set is to be from now on. It may be edited in place only if everybody who reads it wants the same of it:
    /// a frontend that has gone over to another service, or a view to the other scope, must not see what is not its own.
    /// </summary>
    private static void AgreeOn(
        Dictionary<uint, SetUse?> uses, Claim owner, in FrontendView wanted, in ServiceValue value, in ServiceView present)
    {
        if (present.Action == ServiceViewAction.Forward)
        {
            bool isForwarded = wanted.Action == FrontendAction.Forward;
            Agree(uses, present.Set, isForwarded ? new SetUse(owner.Port, wanted.Scope, value.Service) : null);
        }
    }

    private static void Agree<T>(Dictionary<uint, T?> opinions, uint id, T? opinion)
        where T : class
    {
        if (!opinions.TryAdd(id, opinion) && !Equals(opinions[id], opinion))
        {
            opinions[id] = null;
        }
    }

    private BackendSet Rebuild(uint id)
    {
        var set = new BackendSet(id);
        for (uint slot = 0; _content.Slots.TryGetValue(new SlotKey { Set = id, Slot = slot }, out uint backend); slot++)
        {
            set.RestorePlace(_backendsById.GetValueOrDefault(backend), _backends);
        }

        return set;
    }

    private sealed record SetUse(PortRecord Port, EndpointScope Scope, uint Service);
}
