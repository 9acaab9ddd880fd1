// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>Says what becomes of a flow and why, from the objects of the cluster.</summary>
public sealed partial class FlowExplainer
{
    private readonly IReadOnlyList<ServiceState> _services;
    private readonly NodeFacts _node;
    private readonly Func<ObjectName, (Service Service, IReadOnlyList<EndpointSlice> Slices)?> _find;
    private readonly FlowTable _table;

    /// <summary>Explains from services that are resolved already, as those of a running proxy.</summary>
    /// <param name="services">All of them.</param>
    /// <param name="node">The node that they are resolved for.</param>
    /// <param name="find">Finds the objects of a service; null if it is gone.</param>
    public FlowExplainer(
        IReadOnlyList<ServiceState> services,
        NodeFacts node,
        Func<ObjectName, (Service Service, IReadOnlyList<EndpointSlice> Slices)?> find)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(node);
        ArgumentNullException.ThrowIfNull(find);
        _services = services;
        _node = node;
        _find = find;
        _table = new FlowTable(services, node);
    }

    /// <summary>Resolves every service for a node.</summary>
    public FlowExplainer(ClusterState cluster, NodeFacts node)
        : this(Resolve(cluster, node), node, name => Find(cluster, name))
    {
    }

    /// <summary>Explains a flow.</summary>
    public FlowExplanation Explain(Flow flow)
    {
        ArgumentNullException.ThrowIfNull(flow);
        FlowVerdict verdict = _table.Evaluate(flow);
        FlowExplanation explanation = new()
        {
            Flow = flow.ToString(),
            Outcome = Lower(verdict.Outcome),
            Client = Lower(verdict.Client),
            ClientReason = ClientReason(flow, verdict.Client),
            Service = verdict.Service?.ToString(),
            Reasons = verdict.Outcome == FlowOutcome.Accept
                ? [$"port {flow.Port} is the health check of {verdict.Service} on every node"] : PassReasons(flow),
        };
        if (verdict.Frontend is null)
        {
            return explanation;
        }

        if (_find(verdict.Service!.Value) is not { } objects)
        {
            return explanation with { Reasons = [$"{verdict.Service} is being removed"] };
        }

        ResolvedService service = ResolvedService.Resolve(objects.Service, objects.Slices, _node);
        EndpointSelection selection = SelectionOf(service, verdict.Port!);
        return explanation with
        {
            Port = verdict.Port!.Name.Port,
            Frontend = NameOf(verdict.Frontend.Kind),
            FrontendAddress = AddressOf(verdict.Frontend),
            Reasons = [.. OtherClaims(verdict), .. ReasonsOf(service.Settings, selection, verdict, flow)],
            Backends = [.. verdict.Backends.Select(backend => Flow.Text(backend.Address, backend.Port))],
            Masquerades = verdict.Masquerades,
            Endpoints = [.. selection.Candidates.Select(candidate => Explain(candidate, selection, verdict))],
            Problems = [.. service.State.Problems.Select(problem => problem.ToString())],
        };
    }

    private static ServiceState[] Resolve(ClusterState cluster, NodeFacts node)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        return
        [
            .. cluster.Services.Select(
                service => ServiceResolver.Resolve(service, cluster.SlicesOf(service.Metadata.FullName), node)),
        ];
    }

    private static (Service Service, IReadOnlyList<EndpointSlice> Slices)? Find(ClusterState cluster, ObjectName name) =>
        cluster.FindService(name) is { } service ? (service, cluster.SlicesOf(name)) : null;

    private static string Lower<TEnum>(TEnum value)
        where TEnum : struct, Enum => value.ToString().ToLowerInvariant();

    private static string NameOf(FrontendKind kind) => kind switch
    {
        FrontendKind.ClusterIp => "ClusterIP",
        FrontendKind.ExternalIp => "ExternalIP",
        _ => kind.ToString(),
    };

    private static string AddressOf(Frontend frontend) => frontend.Kind == FrontendKind.NodePort
        ? $"*:{frontend.Key.Port}" : Flow.Text(frontend.Key.Address, frontend.Key.Port);

    private IEnumerable<string> OtherClaims(FlowVerdict verdict) =>
        from service in _services
        where service.Name != verdict.Service
            && service.Ports.Any(port => port.Frontends.Any(frontend => frontend.Key == verdict.Frontend!.Key))
        orderby service.Name.ToString()
        select $"{service.Name} claims the same; {verdict.Service} is older, or made at the same time and first by name";

    private EndpointSelection SelectionOf(ResolvedService service, ServicePortState port)
    {
        // A port that has just gone from the objects has no endpoints any more.
        PortSettings settings = service.Settings.Ports.FirstOrDefault(
            one => one.Name == port.Name.Port && one.Protocol == port.Name.Protocol);
        return EndpointSelection.Select(service.Endpoints.CandidatesOf(port.Name.IsIpv6, settings), service.Settings, _node);
    }

    private string ClientReason(Flow flow, ClientClass client) => client switch
    {
        ClientClass.Node => $"{flow.Source} is an address of node {_node.Name}",
        ClientClass.Pod => $"{flow.Source} is in the pods' range "
            + $"{_node.PodRanges.First(range => range.Contains(flow.Source))}",
        _ when _node.PodRanges.IsEmpty => $"{flow.Source} is not an address of node {_node.Name}, and no ranges of pods are known",
        _ => $"{flow.Source} is neither an address of node {_node.Name} nor in a range of pods",
    };

    /// <summary>A flow that is for no service was often meant for one: says what comes nearest.</summary>
    private List<string> PassReasons(Flow flow)
    {
        List<string> reasons = [];
        foreach (ServiceState service in _services.OrderBy(one => one.Name.ToString(), StringComparer.Ordinal))
        {
            Frontend[] frontends = [.. service.Ports.SelectMany(port => port.Frontends)];
            Frontend[] same = [.. frontends.Where(one => one.Key.Address == flow.Destination)];
            if (same.Length > 0)
            {
                string ports = string.Join(", ", same.Select(one => $"{one.Key.Port}/{Protocols.NameOf(one.Key.Protocol)}"));
                reasons.Add($"{flow.Destination} is an address of {service.Name}, which serves {ports} there");
            }

            bool isNodePort = frontends.Any(one => one.Kind == FrontendKind.NodePort && one.Key.Port == flow.Port
                && one.Key.Protocol == flow.Protocol && one.Key.Address.IsIpv4 == flow.Destination.IsIpv4);
            if (isNodePort)
            {
                reasons.Add($"{flow.Port} is a node port of {service.Name}, but {WhyNoNodePorts(flow)}");
            }
        }

        return reasons.Count > 0 ? reasons : ["no service has this address and port; the packet goes on as if there were no proxy"];
    }

    private string WhyNoNodePorts(Flow flow)
    {
        if (!_node.IsOwn(flow.Destination))
        {
            return $"{flow.Destination} is not an address of node {_node.Name}";
        }

        return flow.Destination.IsLoopback
            ? $"node ports are not served on the loopback address {flow.Destination}"
            : $"node ports are not served on {flow.Destination}: it is outside the ranges set for them";
    }
}
