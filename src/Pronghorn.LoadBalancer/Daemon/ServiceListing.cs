// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Writes service ports as documents.</summary>
internal static class ServiceListing
{
    public static ListedPort Describe(
        ServicePortState port, uint id, in ServiceCount count, IReadOnlyCollection<Problem> problems) => new()
    {
        Service = port.Name.Service.ToString(),
        Port = port.Name.Port,
        Protocol = Lower(port.Name.Protocol.ToString()),
        Id = id,
        Frontends = [.. port.Frontends.Select(Describe)],
        Backends = [.. DescribeBackends(port)],
        AffinitySeconds = port.AffinityTimeout.TotalSeconds,
        Algorithm = Lower(port.Algorithm.ToString()),
        Connections = count.Connections,
        Rejected = count.Rejected,
        Dropped = count.Dropped,
        Packets = count.Packets,
        Bytes = count.Bytes,
        Problems = [.. problems.Select(problem => problem.ToString())],
    };

    private static ListedFrontend Describe(Frontend frontend)
    {
        string kind = frontend.Kind switch
        {
            FrontendKind.ClusterIp => "cluster_ip",
            FrontendKind.NodePort => "node_port",
            FrontendKind.LoadBalancer => "load_balancer",
            _ => "external_ip",
        };
        string address = frontend.Kind == FrontendKind.NodePort
            ? frontend.Key.Port.ToString(System.Globalization.CultureInfo.InvariantCulture)
            : Text(frontend.Key.Address, frontend.Key.Port);
        return new ListedFrontend(
            kind,
            address,
            Lower(frontend.Pod.Action.ToString()),
            Lower(frontend.Node.Action.ToString()),
            Lower(frontend.External.Action.ToString()));
    }

    private static IEnumerable<ListedBackend> DescribeBackends(ServicePortState port)
    {
        foreach (Backend backend in port.ClusterBackends.Union(port.LocalBackends))
        {
            bool isCluster = port.ClusterBackends.Contains(backend);
            bool isLocal = port.LocalBackends.Contains(backend);
            string scopes = isCluster && isLocal ? "both" : isCluster ? "cluster" : "local";
            yield return new ListedBackend(Text(backend.Address, backend.Port), backend.IsLocal, scopes);
        }
    }

    private static string Text(IpAddress address, ushort port) => address.IsIpv4 ? $"{address}:{port}" : $"[{address}]:{port}";

    private static string Lower(string text) => text.ToLowerInvariant();
}
