// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>The words for what decided.</summary>
public sealed partial class FlowExplainer
{
    private List<string> ReasonsOf(ServiceSettings settings, EndpointSelection selection, FlowVerdict verdict, Flow flow)
    {
        FrontendView view = verdict.Frontend![verdict.Client];
        List<string> reasons = [PolicyReason(settings, verdict)];
        if (view.ChecksSource)
        {
            reasons.Add(SourceRangeReason(verdict, flow));
        }

        if (verdict.IsOutsideSourceRanges)
        {
            return reasons;
        }

        reasons.Add(view.Action switch
        {
            FrontendAction.Reject => "no endpoint is ready, and none serves while it terminates, on any node: refused",
            FrontendAction.Drop => $"no usable endpoint is on node {_node.Name}, but there are some elsewhere: dropped, "
                + "so that a balancer in front tries another node",
            _ => EndpointReason(selection, view),
        });
        if (verdict.Outcome == FlowOutcome.Forward)
        {
            reasons.Add(ChoiceReason(verdict.Port!));
            reasons.Add(MasqueradeReason(verdict, view));
        }

        return reasons;
    }

    private static string PolicyReason(ServiceSettings settings, FlowVerdict verdict)
    {
        if (verdict.Frontend!.Kind == FrontendKind.ClusterIp)
        {
            return settings.IsInternalLocal
                ? "internalTrafficPolicy Local: only endpoints of this node" : "internalTrafficPolicy Cluster: endpoints of all nodes";
        }

        if (!settings.IsExternalLocal)
        {
            return "externalTrafficPolicy Cluster: endpoints of all nodes";
        }

        return verdict.Client == ClientClass.External
            ? "externalTrafficPolicy Local: only endpoints of this node"
            : "externalTrafficPolicy Local, but the client is inside: endpoints of all nodes";
    }

    private static string SourceRangeReason(FlowVerdict verdict, Flow flow)
    {
        string ranges = verdict.Port!.SourceRanges.IsEmpty ? "none of this family" : string.Join(", ", verdict.Port.SourceRanges);
        if (verdict.Client == ClientClass.Node)
        {
            return verdict.IsOutsideSourceRanges
                ? $"loadBalancerSourceRanges ({ranges}) has no address of this node that it is known by: dropped"
                : $"loadBalancerSourceRanges ({ranges}) has this node's address: admitted";
        }

        return verdict.IsOutsideSourceRanges
            ? $"{flow.Source} is not in loadBalancerSourceRanges ({ranges}): dropped"
            : $"{flow.Source} is in loadBalancerSourceRanges ({ranges}): admitted";
    }

    private string EndpointReason(EndpointSelection selection, FrontendView view)
    {
        bool hasReady = view.Scope == EndpointScope.Local ? selection.HasLocalReady : selection.HasReady;
        if (!hasReady)
        {
            return "no endpoint is ready: those that serve while they terminate are used";
        }

        string origin = selection.DerivesHints ? "trafficDistribution" : "the endpoints' hints";
        return (view.Scope, selection.Topology) switch
        {
            (EndpointScope.Local, _) or (_, Topology.None) => "ready endpoints are used",
            (_, Topology.SameNode) => $"ready endpoints are used; {origin} narrow them to those for node {_node.Name}",
            _ => $"ready endpoints are used; {origin} narrow them to those for zone {_node.Zone}",
        };
    }

    private static string ChoiceReason(ServicePortState port)
    {
        string affinity = port.AffinityTimeout > TimeSpan.Zero
            ? $", and kept for the client until it has made no connection for {port.AffinityTimeout.TotalSeconds:0} s" : "";
        return port.Algorithm == SelectionAlgorithm.Maglev
            ? $"the backend is chosen by a Maglev table{affinity}" : $"the backend is chosen at random{affinity}";
    }

    private static string MasqueradeReason(FlowVerdict verdict, FrontendView view)
    {
        if (!verdict.Masquerades)
        {
            return "the source address stays";
        }

        return view.Masquerade
            ? "the source becomes the node's, so that answers come back through it (on the packet path; a connection "
                + "translated at connect() keeps its own)"
            : "the source becomes the node's when the client itself is chosen as the backend";
    }

    private ExplainedEndpoint Explain(EndpointCandidate candidate, EndpointSelection selection, FlowVerdict verdict)
    {
        EndpointScope scope = verdict.Frontend![verdict.Client].Scope;
        bool isUsed = verdict.Backends.Any(one => one.Address == candidate.Address && one.Port == candidate.Port);
        string place = candidate.NodeName switch
        {
            null or "" => "node not known",
            _ when candidate.IsLocal => "on this node",
            _ => $"on node {candidate.NodeName}",
        };
        string reason = $"{ConditionReason(candidate, selection, scope)}, {place}";
        if (!isUsed && HintReason(candidate, selection, scope) is { } hints)
        {
            reason += $", {hints}";
        }

        return new ExplainedEndpoint(
            Flow.Text(candidate.Address, candidate.Port), isUsed, reason, candidate.Slice.ToString());
    }

    private static string ConditionReason(EndpointCandidate candidate, EndpointSelection selection, EndpointScope scope)
    {
        bool hasReady = scope == EndpointScope.Local ? selection.HasLocalReady : selection.HasReady;
        return candidate.Condition switch
        {
            EndpointCondition.Ready => "ready",
            EndpointCondition.ServingTerminating when hasReady => "terminating while others are ready",
            EndpointCondition.ServingTerminating => "terminating but still serving",
            _ => "not ready",
        };
    }

    private string? HintReason(EndpointCandidate candidate, EndpointSelection selection, EndpointScope scope)
    {
        bool isNarrowed = scope == EndpointScope.Cluster && candidate.Condition == EndpointCondition.Ready
            && !EndpointSelection.IsFor(candidate, selection.Topology, _node);
        if (!isNarrowed)
        {
            return null;
        }

        return selection.Topology == Topology.SameNode
            ? $"meant for node {Names(candidate.Hints!.ForNodes)}" : $"meant for zone {Names(candidate.Hints!.ForZones)}";
    }

    private static string Names(IReadOnlyList<Cluster.NamedHint>? hints) =>
        string.Join(", ", (hints ?? []).Select(hint => hint?.Name));
}
