// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>Objects with anything in any place: they are refused as JSON, or resolved to a table that the data plane can use.</summary>
public sealed class MutatedObjectTests
{
    private const int Rounds = 2000;

    private const string Service = """
        {"kind":"Service","metadata":{"namespace":"shop","name":"cart","uid":"u","creationTimestamp":"2026-01-01T00:00:00Z",
        "labels":{"app":"cart"},"annotations":{"pronghorn.io/algorithm":"maglev","pronghorn.io/forwarding-mode":"dsr"}},
        "spec":{"type":"LoadBalancer","clusterIP":"172.30.0.1","clusterIPs":["172.30.0.1","fd00:172::1"],"ipFamilies":["IPv4","IPv6"],
        "externalIPs":["198.51.100.1","2001:db8::9"],
        "sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}},
        "externalTrafficPolicy":"Local","internalTrafficPolicy":"Local","healthCheckNodePort":31000,"trafficDistribution":"PreferSameNode",
        "loadBalancerSourceRanges":["192.0.2.0/24","192.168.0.0/16"],"publishNotReadyAddresses":false,
        "ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":"web","nodePort":30080},{"name":"dns","protocol":"UDP","port":53}]},
        "status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.5","ipMode":"VIP"},{"hostname":"a.example"}]}}}
        """;

    private const string Slice = """
        {"metadata":{"namespace":"shop","name":"cart-1","labels":{"kubernetes.io/service-name":"cart"}},"addressType":"IPv4",
        "ports":[{"name":"http","protocol":"TCP","port":8080},{"name":"dns","protocol":"UDP","port":5353}],
        "endpoints":[{"addresses":["10.0.1.1"],"nodeName":"here","zone":"a","conditions":{"ready":true,"serving":true,"terminating":false},
        "hints":{"forZones":[{"name":"a"}],"forNodes":[{"name":"here"}]}},{"addresses":["10.0.1.2"],"nodeName":"there","zone":"b"}]}
        """;

    private const string Node = """
        {"metadata":{"name":"here","labels":{"topology.kubernetes.io/zone":"a"}},
        "spec":{"podCIDR":"10.4.0.0/24","podCIDRs":["10.4.0.0/24"]},
        "status":{"addresses":[{"type":"InternalIP","address":"192.168.0.2"},{"type":"Hostname","address":"here"}]}}
        """;

    private static readonly string[] s_oddities =
    [
        "null", "0", "1", "-1", "70000", "1e9", "99999999999999", "true", "\"\"", "\"None\"", "\"Local\"", "\"Cluster\"", "\"TCP\"",
        "\"x\"", "\"IPv6\"", "\"0.0.0.0\"", "\"::\"", "\"10.0.0.1/0\"",
        "\"::/0\"", "\"fe80::1%eth0\"", "\"::ffff:10.0.0.1\"", "\"ExternalName\"",
        "\"NodePort\"", "\"PreferClose\"", "\"2001:db8::77\"", "\"172.30.0.1\"",
        "[]", "{}", "[null]", "[\"\"]", "[{}]", "[[]]", "{\"a\":null}",
    ];

    /// <summary>Seeds; a failure names its own.</summary>
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 8)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void MutatedObjects_AreRefusedOrResolveToATableThatHolds(int seed)
    {
        Random random = new(seed);
        string[] services = [Service, .. RecordedObjects("Service")];
        string[] slices = [Slice, .. RecordedObjects("EndpointSlice")];
        int resolved = 0;
        for (int round = 0; round < Rounds; round++)
        {
            byte[] service = Mutate(services[random.Next(services.Length)], random);
            byte[] first = Mutate(slices[random.Next(slices.Length)], random);
            byte[] second = Mutate(slices[0], random);
            if (TryRead(service, KubernetesJson.ReadService) is { } readService)
            {
                EndpointSlice[] readSlices =
                [
                    .. new[] { first, second }.Select(json => TryRead(json, KubernetesJson.ReadEndpointSlice)).OfType<EndpointSlice>(),
                ];
                AssertHolds(ServiceResolver.Resolve(readService, readSlices, World.Node));
                resolved++;
            }
        }

        Assert.InRange(resolved, Rounds / 10, Rounds);
    }

    [Fact]
    public void ObjectsAsTheServerStoresThem_HaveNoProblem()
    {
        EndpointSlice slice = KubernetesJson.ReadEndpointSlice(Encoding.UTF8.GetBytes(Slice));
        foreach (string json in (string[])[Service, .. RecordedObjects("Service")])
        {
            Assert.Empty(World.Resolve(KubernetesJson.ReadService(Encoding.UTF8.GetBytes(json)), slice).Problems);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void MutatedNodes_AreRefusedOrTellWhatCanBeRead(int seed)
    {
        Random random = new(seed);
        int read = 0;
        for (int round = 0; round < Rounds; round++)
        {
            if (TryRead(Mutate(Node, random), KubernetesJson.ReadNode) is { } node)
            {
                NodeFacts facts = World.Node.With(node);
                Assert.NotNull(facts.Zone);
                Assert.InRange(facts.PrimaryAddresses.Length, 1, 2);
                Assert.All(World.Node.Addresses, address => Assert.Contains(address, facts.Addresses));
                read++;
            }
        }

        Assert.InRange(read, Rounds / 10, Rounds);
    }

    private static void AssertHolds(ServiceState state)
    {
        Frontend[] frontends = [.. state.Ports.SelectMany(port => port.Frontends)];
        Assert.Equal(frontends.Length, frontends.Select(frontend => frontend.Key).Distinct().Count());
        Assert.Equal(state.Ports.Length, state.Ports.Select(port => port.Name).Distinct().Count());
        Assert.All(state.Problems, problem => Assert.NotEmpty(problem.Message));
        foreach (ServicePortState port in state.Ports)
        {
            Assert.InRange(port.AffinityTimeout.TotalSeconds, 0, 86400);
            Assert.Equal(port.ClusterBackends.Distinct(), port.ClusterBackends);
            Assert.Equal(port.LocalBackends.Distinct(), port.LocalBackends);
            Assert.All(port.LocalBackends, backend => Assert.True(backend.IsLocal));
            Assert.All(port.ClusterBackends.Concat(port.LocalBackends), backend =>
            {
                Assert.Equal(port.Name.IsIpv6, !backend.Address.IsIpv4);
                Assert.Equal(port.Name.Protocol, backend.Protocol);
                Assert.NotEqual(0, backend.Port);
                Assert.False(backend.Address.IsAny || backend.Address.IsMulticast || backend.Address.IsLoopback);
            });
            foreach (Frontend frontend in port.Frontends)
            {
                Assert.NotEqual(0, frontend.Key.Port);
                Assert.Equal(port.Name.IsIpv6, !frontend.Key.Address.IsIpv4);
                Assert.Equal(frontend.Kind == FrontendKind.NodePort, frontend.Key.Address.IsAny);
                foreach (FrontendView view in new[] { frontend.Pod, frontend.Node, frontend.External })
                {
                    Assert.True(view.Action != FrontendAction.Forward || port.BackendsOf(view.Scope).Length > 0);
                }
            }
        }
    }

    private static IEnumerable<string> RecordedObjects(string kind)
    {
        foreach (string path in Recordings.FindAll("apiserver", ".json"))
        {
            if (JsonNode.Parse(File.ReadAllText(path)) is JsonObject json && json["kind"]?.ToString() == kind)
            {
                yield return json.ToJsonString();
            }
        }
    }

    private static T? TryRead<T>(byte[] json, Func<ReadOnlyMemory<byte>, T> read)
        where T : class
    {
        try
        {
            return read(json);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[] Mutate(string text, Random random)
    {
        JsonNode root = JsonNode.Parse(text)!;
        for (int changes = random.Next(4); changes > 0; changes--)
        {
            List<JsonNode> places = [.. Containers(root)];
            JsonNode place = places[random.Next(places.Count)];
            if (place is JsonObject fields && fields.Count > 0)
            {
                string name = fields.ElementAt(random.Next(fields.Count)).Key;
                ChangeField(fields, name, random);
            }
            else if (place is JsonArray items)
            {
                ChangeItem(items, random);
            }
        }

        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static void ChangeField(JsonObject fields, string name, Random random)
    {
        if (random.Next(4) == 0)
        {
            fields.Remove(name);
        }
        else
        {
            fields[name] = Odd(random);
        }
    }

    private static void ChangeItem(JsonArray items, Random random)
    {
        switch (random.Next(4))
        {
            case 0 when items.Count > 0:
                items.RemoveAt(random.Next(items.Count));
                break;
            case 1 when items.Count > 0:
                items.Add(items[random.Next(items.Count)]?.DeepClone());
                break;
            case 2 when items.Count > 0:
                items[random.Next(items.Count)] = Odd(random);
                break;
            default:
                items.Insert(random.Next(items.Count + 1), Odd(random));
                break;
        }
    }

    private static JsonNode? Odd(Random random) => JsonNode.Parse(s_oddities[random.Next(s_oddities.Length)]);

    private static IEnumerable<JsonNode> Containers(JsonNode node)
    {
        yield return node;
        IEnumerable<JsonNode?> children = node switch
        {
            JsonObject fields => fields.Select(field => field.Value),
            JsonArray items => items,
            _ => [],
        };
        foreach (JsonNode child in children.OfType<JsonNode>().Where(child => child is JsonObject or JsonArray).SelectMany(Containers))
        {
            yield return child;
        }
    }
}
