// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>The cluster as manifests: YAML documents written in its flow style, which is JSON.</summary>
internal static class ServiceManifests
{
    private const int ServicesInFile = 1000;

    /// <summary>Writes all services into files of a thousand.</summary>
    internal static void WriteAll(BenchmarkCluster cluster, string folder)
    {
        for (int first = 0; first < cluster.Services; first += ServicesInFile)
        {
            StringBuilder text = new();
            for (int service = first; service < first + ServicesInFile && service < cluster.Services; service++)
            {
                Append(text, cluster, service);
            }

            File.WriteAllText(Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"services-{first}.yaml")), text.ToString());
        }
    }

    /// <summary>Adds a service in a file of its own, at once for whoever reads.</summary>
    internal static void Add(BenchmarkCluster cluster, int service, string folder)
    {
        StringBuilder text = new();
        Append(text, cluster, service);
        string path = Path.Combine(folder, BenchmarkCluster.Name(service) + ".yaml");
        File.WriteAllText(path + ".new", text.ToString());
        File.Move(path + ".new", path);
    }

    /// <summary>One service with its slice.</summary>
    internal static void Append(StringBuilder text, BenchmarkCluster cluster, int service)
    {
        string name = BenchmarkCluster.Name(service);
        string type = cluster.HasNodePorts ? "NodePort" : "ClusterIP";
        string nodePort = cluster.HasNodePorts
            ? string.Create(CultureInfo.InvariantCulture, $", \"nodePort\": {BenchmarkCluster.NodePort(service)}")
            : "";
        text.Append(
            CultureInfo.InvariantCulture,
            $$$"""
            ---
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "bench", "name": "{{{name}}}"}, "spec": {
            "type": "{{{type}}}", "clusterIP": "{{{BenchmarkCluster.ClusterAddress(service)}}}",
            "ports": [{{{Ports(cluster, port => BenchmarkCluster.FirstPort + port, nodePort)}}}]}}
            ---
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"namespace": "bench", "name": "{{{name}}}-1",
            "labels": {"kubernetes.io/service-name": "{{{name}}}"}}, "addressType": "IPv4",
            "ports": [{{{Ports(cluster, port => cluster.EndpointPortOf(service, port), "")}}}],
            "endpoints": [{{{Endpoints(cluster.AddressesOf(service))}}}]}

            """);
    }

    private static string Ports(BenchmarkCluster cluster, Func<int, int> number, string more) => string.Join(
        ", ",
        Enumerable.Range(0, cluster.Ports).Select(port => string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"name": "port-{{port}}", "protocol": "{{cluster.Protocol}}", "port": {{number(port)}}{{more}}}""")));

    private static string Endpoints(IEnumerable<string> addresses) =>
        string.Join(", ", addresses.Select(address => $$"""{"addresses": ["{{address}}"]}"""));
}
