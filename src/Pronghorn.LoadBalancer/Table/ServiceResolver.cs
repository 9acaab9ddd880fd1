// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>
/// Says what the proxy of a node does for a service. A pure function: the same objects and facts give an equal answer.
/// Whatever is wrong in an object becomes a problem in the answer, and the rest of it is served.
/// </summary>
public static class ServiceResolver
{
    /// <summary>Resolves a service with its slices.</summary>
    /// <param name="service">The service.</param>
    /// <param name="slices">Its slices, both families, in any order.</param>
    /// <param name="node">The node that it is resolved for.</param>
    public static ServiceState Resolve(Service service, IReadOnlyList<EndpointSlice> slices, NodeFacts node)
    {
        ArgumentNullException.ThrowIfNull(service);
        ArgumentNullException.ThrowIfNull(slices);
        ArgumentNullException.ThrowIfNull(node);
        return ResolvedService.Resolve(service, slices, node).State;
    }
}

/// <summary>A resolved service with what led to it, for explanations.</summary>
/// <param name="Settings">The service as it was read.</param>
/// <param name="Endpoints">Its endpoints as they were read.</param>
/// <param name="State">The outcome.</param>
internal sealed record ResolvedService(ServiceSettings Settings, EndpointReader Endpoints, ServiceState State)
{
    internal static ResolvedService Resolve(Service service, IReadOnlyList<EndpointSlice> slices, NodeFacts node)
    {
        ProblemList problems = new();
        ServiceSettings settings = ServiceReader.Read(service, node.ServiceProxyName, problems);
        EndpointReader endpoints = EndpointReader.Read(settings, settings.SkipReason is null ? slices : [], node, problems);
        ImmutableArray<ServicePortState>.Builder ports = ImmutableArray.CreateBuilder<ServicePortState>();
        int localReady = 0;
        foreach (FamilyAddresses family in settings.Families)
        {
            HashSet<IpAddress> localReadyOfFamily = [];
            foreach (PortSettings port in settings.Ports)
            {
                EndpointSelection selection =
                    EndpointSelection.Select(endpoints.CandidatesOf(family.IsIpv6, port), settings, node);
                ports.Add(ResolvePort(settings, family, port, selection, node));
                localReadyOfFamily.UnionWith(selection.Candidates
                    .Where(one => one is { IsLocal: true, Condition: EndpointCondition.Ready })
                    .Select(one => one.Address));
            }

            // An endpoint with two addresses is one endpoint.
            localReady = Math.Max(localReady, localReadyOfFamily.Count);
        }

        ServiceState state = new()
        {
            Name = settings.Name,
            Created = service.Metadata.CreationTimestamp,
            Ports = ports.ToImmutable(),
            HealthCheckNodePort = settings.HealthCheckNodePort,
            LocalReadyEndpoints = localReady,
            Problems = problems.ToImmutable(),
        };
        return new ResolvedService(settings, endpoints, state);
    }

    private static ServicePortState ResolvePort(
        ServiceSettings settings, FamilyAddresses family, PortSettings port, EndpointSelection selection, NodeFacts node)
    {
        FrontendBuilder frontends = new(settings, selection, node);
        return new ServicePortState
        {
            Name = new ServicePortName(settings.Name, port.Name, port.Protocol, family.IsIpv6),
            Frontends = frontends.Build(family, port),
            ClusterBackends = Backends(selection.Cluster, port.Protocol),
            LocalBackends = Backends(selection.Local, port.Protocol),
            AffinityTimeout = settings.AffinityTimeout,
            Algorithm = settings.Algorithm ?? node.DefaultAlgorithm,
            DirectReturn = settings.DirectReturn ?? node.DefaultDirectReturn,
            SourceRanges = frontends.SourceRangesOf(family),
        };
    }

    private static ImmutableArray<Backend> Backends(EndpointCandidate[] candidates, IpProtocol protocol) =>
        [.. candidates.Select(one => new Backend(one.Address, one.Port, protocol, one.IsLocal))];
}
