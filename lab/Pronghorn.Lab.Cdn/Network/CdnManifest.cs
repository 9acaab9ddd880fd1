// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Pronghorn.Lab.Cdn.Network;

/// <summary>The edges as a Service of type LoadBalancer with an EndpointSlice: YAML in its flow style.</summary>
internal static class CdnManifest
{
    internal static string Write(string address, IEnumerable<(string Name, int Port)> ports, IEnumerable<string> edges)
    {
        string list = string.Join(", ", ports.Select(static port => string.Create(
            CultureInfo.InvariantCulture, $$"""{"name": "{{port.Name}}", "protocol": "TCP", "port": {{port.Port}}}""")));
        string endpoints = string.Join(", ", edges.Select(static edge =>
            $$"""{"addresses": ["{{edge}}"], "conditions": {"ready": true} }"""));
        return $$$"""
            ---
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "cdn", "name": "edges"}, "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.80", "externalTrafficPolicy": "Cluster",
            "allocateLoadBalancerNodePorts": false, "ports": [{{{list}}}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "{{{address}}}"}] } } }
            ---
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"namespace": "cdn", "name": "edges-1",
            "labels": {"kubernetes.io/service-name": "edges"}}, "addressType": "IPv4", "ports": [{{{list}}}],
            "endpoints": [{{{endpoints}}}]}

            """;
    }
}
