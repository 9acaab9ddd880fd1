// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>
/// Rules in the shape of kube-proxy's iptables mode, for iptables-restore(8): KUBE-SERVICES has one rule for each service, which jumps to
/// the service's chain; that draws an endpoint's chain by chance, and that translates. Node ports are looked for last.
/// </summary>
internal static class IptablesRules
{
    private const string Mark = "0x4000";

    /// <summary>Everything, for an empty table.</summary>
    internal static string Whole(BenchmarkCluster cluster)
    {
        StringBuilder text = new();
        AppendFilter(text);
        AppendNat(text, cluster, total: cluster.Services, changed: Enumerable.Range(0, cluster.Services), first: true);
        return text.ToString();
    }

    /// <summary>
    /// What kube-proxy writes with --noflush when a service has been added: its own chains, and the whole of KUBE-SERVICES and
    /// KUBE-NODEPORTS, which have a rule for each service.
    /// </summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="added">The service added; those before it are there.</param>
    internal static string Added(BenchmarkCluster cluster, int added)
    {
        StringBuilder text = new();
        AppendNat(text, cluster, total: added + 1, changed: [added], first: false);
        return text.ToString();
    }

    private static void AppendFilter(StringBuilder text) => text.Append(
        """
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        :KUBE-EXTERNAL-SERVICES - [0:0]
        :KUBE-FORWARD - [0:0]
        :KUBE-NODEPORTS - [0:0]
        :KUBE-PROXY-FIREWALL - [0:0]
        :KUBE-SERVICES - [0:0]
        -A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A INPUT -j KUBE-NODEPORTS
        -A INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A FORWARD -j KUBE-FORWARD
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
        -A FORWARD -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES
        -A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
        -A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
        -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
        -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
        -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        COMMIT

        """);

    private static void AppendNat(StringBuilder text, BenchmarkCluster cluster, int total, IEnumerable<int> changed, bool first)
    {
        int[] services = [.. changed];
        text.Append("*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-NODEPORTS - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n");
        foreach (int service in services)
        {
            AppendChains(text, cluster, service);
        }

        if (first)
        {
            text.Append("-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"-A KUBE-MARK-MASQ -j MARK --or-mark {Mark}\n");
        text.Append(CultureInfo.InvariantCulture, $"-A KUBE-POSTROUTING -m mark ! --mark {Mark}/{Mark} -j RETURN\n");
        text.Append(CultureInfo.InvariantCulture, $"-A KUBE-POSTROUTING -j MARK --xor-mark {Mark}\n");
        text.Append("-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n");
        foreach (int service in services)
        {
            for (int port = 0; port < cluster.Ports; port++)
            {
                AppendService(text, cluster, service, port);
            }
        }

        AppendEntries(text, cluster, total);
        text.Append("COMMIT\n");
    }

    private static void AppendChains(StringBuilder text, BenchmarkCluster cluster, int service)
    {
        if (cluster.HasNodePorts)
        {
            text.Append(CultureInfo.InvariantCulture, $":{ExternalChain(service)} - [0:0]\n");
        }

        for (int port = 0; port < cluster.Ports; port++)
        {
            text.Append(CultureInfo.InvariantCulture, $":{ServiceChain(service, port)} - [0:0]\n");
            foreach (string address in cluster.AddressesOf(service))
            {
                text.Append(CultureInfo.InvariantCulture, $":{EndpointChain(service, port, address)} - [0:0]\n");
            }
        }
    }

    /// <summary>The rules that all new connections walk.</summary>
    private static void AppendEntries(StringBuilder text, BenchmarkCluster cluster, int total)
    {
        for (int service = 0; service < total; service++)
        {
            for (int port = 0; port < cluster.Ports; port++)
            {
                text.Append(
                    CultureInfo.InvariantCulture, $"-A KUBE-SERVICES {Match(cluster, service, port)} -j {ServiceChain(service, port)}\n");
            }

            if (cluster.HasNodePorts)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"-A KUBE-NODEPORTS {Comment(service)} -m {cluster.RuleProtocol} -p {cluster.RuleProtocol} --dport "
                    + $"{BenchmarkCluster.NodePort(service)} -j {ExternalChain(service)}\n");
            }
        }

        text.Append("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n");
    }

    private static void AppendService(StringBuilder text, BenchmarkCluster cluster, int service, int port)
    {
        string chain = ServiceChain(service, port);
        text.Append(
            CultureInfo.InvariantCulture, $"-A {chain} {Match(cluster, service, port)} ! -s {ServiceNode.PodRange} -j KUBE-MARK-MASQ\n");
        if (cluster.HasNodePorts)
        {
            text.Append(CultureInfo.InvariantCulture, $"-A {ExternalChain(service)} {Comment(service)} -j KUBE-MARK-MASQ\n");
            text.Append(CultureInfo.InvariantCulture, $"-A {ExternalChain(service)} -j {chain}\n");
        }

        int left = cluster.Endpoints;
        foreach (string address in cluster.AddressesOf(service))
        {
            string endpoint = EndpointChain(service, port, address);
            string chance = left > 1
                ? string.Create(CultureInfo.InvariantCulture, $"-m statistic --mode random --probability {1.0 / left:F10} ")
                : "";
            text.Append(CultureInfo.InvariantCulture, $"-A {chain} {Comment(service)} {chance}-j {endpoint}\n");
            text.Append(CultureInfo.InvariantCulture, $"-A {endpoint} {Comment(service)} -s {address} -j KUBE-MARK-MASQ\n");
            text.Append(
                CultureInfo.InvariantCulture,
                $"-A {endpoint} {Comment(service)} -m {cluster.RuleProtocol} -p {cluster.RuleProtocol} "
                + $"-j DNAT --to-destination {address}:{cluster.EndpointPortOf(service, port)}\n");
            left--;
        }
    }

    private static string Match(BenchmarkCluster cluster, int service, int port) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Comment(service)} -m {cluster.RuleProtocol} -p {cluster.RuleProtocol} -d {BenchmarkCluster.ClusterAddress(service)}/32 "
        + $"--dport {BenchmarkCluster.FirstPort + port}");

    private static string Comment(int service) => $"-m comment --comment \"bench/{BenchmarkCluster.Name(service)}\"";

    private static string ServiceChain(int service, int port) => "KUBE-SVC-" + Hash(PortName(service, port));

    private static string ExternalChain(int service) => "KUBE-EXT-" + Hash(BenchmarkCluster.Name(service));

    private static string EndpointChain(int service, int port, string address) => "KUBE-SEP-" + Hash(PortName(service, port) + address);

    private static string PortName(int service, int port) =>
        string.Create(CultureInfo.InvariantCulture, $"{BenchmarkCluster.Name(service)}:{port}");

    /// <summary>Sixteen characters, so that a chain's name has the length that kube-proxy's has, and chains are as scattered.</summary>
    private static string Hash(string text) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
}
