// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>What narrows the endpoints of the whole cluster.</summary>
internal enum Topology
{
    /// <summary>Nothing: no hints, or hints that cannot be followed.</summary>
    None,

    /// <summary>Only endpoints for this node's zone.</summary>
    SameZone,

    /// <summary>Only endpoints for this node.</summary>
    SameNode,
}

/// <summary>
/// Which endpoints of a service port are used. The rules are those of kube-proxy (pkg/proxy/topology.go): ready endpoints, narrowed
/// by hints when all ready ones have hints and one of them is for here; if none is ready, those that serve while they end.
/// </summary>
internal sealed class EndpointSelection
{
    private EndpointSelection(EndpointCandidate[] candidates)
    {
        Candidates = candidates;
        HasReady = candidates.Any(candidate => candidate.Condition == EndpointCondition.Ready);
        HasLocalReady = candidates.Any(candidate => candidate is { Condition: EndpointCondition.Ready, IsLocal: true });
        HasAny = candidates.Any(candidate => candidate.Condition != EndpointCondition.Unusable);
    }

    /// <summary>All there are, with the hints that count.</summary>
    internal EndpointCandidate[] Candidates { get; }

    /// <summary>Whether any is usable on any node.</summary>
    internal bool HasAny { get; }

    internal bool HasReady { get; }

    internal bool HasLocalReady { get; }

    internal Topology Topology { get; private init; }

    /// <summary>Whether the hints are our own, derived from where the endpoints are.</summary>
    internal bool DerivesHints { get; private init; }

    /// <summary>For views of the whole cluster; empty if no view wants it.</summary>
    internal EndpointCandidate[] Cluster { get; private init; } = [];

    /// <summary>For views of this node; empty if no view wants it.</summary>
    internal EndpointCandidate[] Local { get; private init; } = [];

    internal static EndpointSelection Select(EndpointCandidate[] candidates, ServiceSettings settings, NodeFacts node)
    {
        bool derives = settings.Preference != Preference.None
            && !candidates.Any(candidate => candidate.HasZoneHints || candidate.HasNodeHints);
        EndpointSelection all = new(derives ? Array.ConvertAll(candidates, one => WithHints(one, settings.Preference)) : candidates);
        Topology topology = TopologyOf(all.Candidates, node);
        return new EndpointSelection(all.Candidates)
        {
            Topology = topology,
            DerivesHints = derives && topology != Topology.None,
            Cluster = settings.UsesClusterEndpoints ? all.SelectCluster(topology, node) : [],
            Local = settings.UsesLocalEndpoints ? all.SelectLocal() : [],
        };
    }

    /// <summary>Whether an endpoint passes the hints.</summary>
    internal static bool IsFor(EndpointCandidate candidate, Topology topology, NodeFacts node) => topology switch
    {
        Topology.SameNode => candidate.IsHintedForNode(node.Name),
        Topology.SameZone => candidate.IsHintedForZone(node.Zone),
        _ => true,
    };

    /// <summary>
    /// In a cluster the control plane turns spec.trafficDistribution into hints. Where nobody has written any, as in a
    /// directory of manifests, we write the same ones: an endpoint's own zone, and its own node.
    /// </summary>
    private static EndpointCandidate WithHints(EndpointCandidate candidate, Preference preference) => candidate with
    {
        Hints = new EndpointHints
        {
            ForZones = string.IsNullOrEmpty(candidate.Zone) ? null : [new NamedHint { Name = candidate.Zone }],
            ForNodes = preference == Preference.SameNode && !string.IsNullOrEmpty(candidate.NodeName)
                ? [new NamedHint { Name = candidate.NodeName }] : null,
        },
    };

    private static Topology TopologyOf(EndpointCandidate[] candidates, NodeFacts node)
    {
        EndpointCandidate[] ready = [.. candidates.Where(candidate => candidate.Condition == EndpointCondition.Ready)];
        if (ready.All(candidate => candidate.HasNodeHints) && ready.Any(candidate => candidate.IsHintedForNode(node.Name)))
        {
            return Topology.SameNode;
        }

        return ready.All(candidate => candidate.HasZoneHints) && ready.Any(candidate => candidate.IsHintedForZone(node.Zone))
            ? Topology.SameZone : Topology.None;
    }

    private EndpointCandidate[] SelectCluster(Topology topology, NodeFacts node) => HasReady
        ? [.. Candidates.Where(one => one.Condition == EndpointCondition.Ready && IsFor(one, topology, node))]
        : [.. Candidates.Where(one => one.Condition == EndpointCondition.ServingTerminating)];

    private EndpointCandidate[] SelectLocal()
    {
        EndpointCondition wanted = HasLocalReady ? EndpointCondition.Ready : EndpointCondition.ServingTerminating;
        return [.. Candidates.Where(candidate => candidate.IsLocal && candidate.Condition == wanted)];
    }
}
