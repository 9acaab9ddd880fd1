// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Linq;
using System.Text;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>
/// Rules in the shape of kube-proxy's nftables mode, for nft(8): a verdict map finds the service's chain by one look-up; an anonymous map
/// draws the endpoint's.
/// </summary>
internal static class NftablesRules
{
    private const string Table = "ip kube-proxy";

    /// <summary>Everything.</summary>
    internal static string Whole(BenchmarkCluster cluster)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"add table {Table}\n");
        text.Append(CultureInfo.InvariantCulture, $"add chain {Table} mark-for-masquerade\n");
        text.Append(CultureInfo.InvariantCulture, $"add rule {Table} mark-for-masquerade meta mark set meta mark or 0x4000\n");
        for (int service = 0; service < cluster.Services; service++)
        {
            AppendChains(text, cluster, service);
        }

        for (int service = 0; service < cluster.Services; service++)
        {
            AppendRules(text, cluster, service);
        }

        text.Append(
            CultureInfo.InvariantCulture, $"add map {Table} service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict ; }}\n");
        text.Append(CultureInfo.InvariantCulture, $"add map {Table} service-nodeports {{ type inet_proto . inet_service : verdict ; }}\n");
        text.Append(CultureInfo.InvariantCulture, $"add set {Table} nodeport-ips {{ type ipv4_addr ; }}\n");
        text.Append(CultureInfo.InvariantCulture, $"add element {Table} nodeport-ips {{ {ServiceNode.NodeAddress} }}\n");
        AppendElements(text, cluster, 0, cluster.Services);
        AppendHooks(text);
        return text.ToString();
    }

    /// <summary>What one more service adds: its chains, and an element.</summary>
    internal static string Added(BenchmarkCluster cluster, int added)
    {
        StringBuilder text = new();
        AppendChains(text, cluster, added);
        AppendRules(text, cluster, added);
        AppendElements(text, cluster, added, 1);
        return text.ToString();
    }

    private static void AppendHooks(StringBuilder text)
    {
        foreach (string line in (string[])
        [
            "add chain {0} services",
            "add rule {0} services ip daddr . meta l4proto . th dport vmap @service-ips",
            "add rule {0} services ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
            "add chain {0} masquerading",
            "add rule {0} masquerading meta mark and 0x4000 == 0 return",
            "add rule {0} masquerading meta mark set meta mark xor 0x4000",
            "add rule {0} masquerading masquerade fully-random",
            "add chain {0} nat-prerouting {{ type nat hook prerouting priority -100 ; policy accept ; }}",
            "add rule {0} nat-prerouting jump services",
            "add chain {0} nat-output {{ type nat hook output priority -100 ; policy accept ; }}",
            "add rule {0} nat-output jump services",
            "add chain {0} nat-postrouting {{ type nat hook postrouting priority 100 ; policy accept ; }}",
            "add rule {0} nat-postrouting jump masquerading",
        ])
        {
            text.Append(CultureInfo.InvariantCulture, $"{string.Format(CultureInfo.InvariantCulture, line, Table)}\n");
        }
    }

    private static void AppendChains(StringBuilder text, BenchmarkCluster cluster, int service)
    {
        if (cluster.HasNodePorts)
        {
            text.Append(CultureInfo.InvariantCulture, $"add chain {Table} {ExternalChain(service)}\n");
        }

        for (int port = 0; port < cluster.Ports; port++)
        {
            text.Append(CultureInfo.InvariantCulture, $"add chain {Table} {ServiceChain(service, port)}\n");
            for (int endpoint = 0; endpoint < cluster.Endpoints; endpoint++)
            {
                text.Append(CultureInfo.InvariantCulture, $"add chain {Table} {EndpointChain(service, port, endpoint)}\n");
            }
        }
    }

    private static void AppendRules(StringBuilder text, BenchmarkCluster cluster, int service)
    {
        for (int port = 0; port < cluster.Ports; port++)
        {
            AppendRules(text, cluster, service, port);
        }
    }

    private static void AppendRules(StringBuilder text, BenchmarkCluster cluster, int service, int port)
    {
        string protocol = cluster.RuleProtocol;
        string chain = ServiceChain(service, port);
        text.Append(
            CultureInfo.InvariantCulture,
            $"add rule {Table} {chain} ip daddr {BenchmarkCluster.ClusterAddress(service)} {protocol} dport "
            + $"{BenchmarkCluster.FirstPort + port} ip saddr != {ServiceNode.PodRange} jump mark-for-masquerade\n");
        if (cluster.HasNodePorts)
        {
            text.Append(CultureInfo.InvariantCulture, $"add rule {Table} {ExternalChain(service)} jump mark-for-masquerade\n");
            text.Append(CultureInfo.InvariantCulture, $"add rule {Table} {ExternalChain(service)} goto {chain}\n");
        }

        int number = 0;
        foreach (string address in cluster.AddressesOf(service))
        {
            string endpoint = EndpointChain(service, port, number++);
            text.Append(CultureInfo.InvariantCulture, $"add rule {Table} {endpoint} ip saddr {address} jump mark-for-masquerade\n");
            text.Append(
                CultureInfo.InvariantCulture,
                $"add rule {Table} {endpoint} meta l4proto {protocol} dnat to {address}:{cluster.EndpointPortOf(service, port)}\n");
        }

        string choices = string.Join(
            ", ",
            Enumerable.Range(0, cluster.Endpoints).Select(endpoint => $"{endpoint} : goto {EndpointChain(service, port, endpoint)}"));
        text.Append(CultureInfo.InvariantCulture, $"add rule {Table} {chain} numgen random mod {cluster.Endpoints} vmap {{ {choices} }}\n");
    }

    private static void AppendElements(StringBuilder text, BenchmarkCluster cluster, int first, int count)
    {
        for (int service = first; service < first + count; service++)
        {
            for (int port = 0; port < cluster.Ports; port++)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"add element {Table} service-ips {{ {BenchmarkCluster.ClusterAddress(service)} . {cluster.RuleProtocol} . "
                    + $"{BenchmarkCluster.FirstPort + port} : goto {ServiceChain(service, port)} }}\n");
            }

            if (cluster.HasNodePorts)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"add element {Table} service-nodeports {{ {cluster.RuleProtocol} . {BenchmarkCluster.NodePort(service)} : "
                    + $"goto {ExternalChain(service)} }}\n");
            }
        }
    }

    private static string ServiceChain(int service, int port) =>
        string.Create(CultureInfo.InvariantCulture, $"service-{BenchmarkCluster.Name(service)}-{port}");

    private static string ExternalChain(int service) => "external-" + BenchmarkCluster.Name(service);

    private static string EndpointChain(int service, int port, int endpoint) =>
        string.Create(CultureInfo.InvariantCulture, $"endpoint-{BenchmarkCluster.Name(service)}-{port}-{endpoint}");
}
