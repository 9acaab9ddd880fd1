// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>Short ways to say the objects of a test: node "here" in zone "a" with pods in 10.0.0.0/8.</summary>
internal static class World
{
    internal static NodeFacts Node { get; } = new()
    {
        Name = "here",
        Zone = "a",
        PrimaryAddresses = [IpAddress.Parse("192.168.0.2"), IpAddress.Parse("2001:db8::1")],
        Addresses = [IpAddress.Parse("192.168.0.2"), IpAddress.Parse("192.168.1.2"), IpAddress.Parse("2001:db8::1")],
        PodRanges = [Range("10.0.0.0/8"), Range("fd00:10::/32")],
    };

    internal static AddressRange Range(string text)
    {
        Assert.True(AddressRange.TryParse(text, out AddressRange range), text);
        return range;
    }

    /// <summary>A service "shop/cart" with one port, 80, and the cluster address 172.30.0.1.</summary>
    internal static Service Service(ServiceSpec? spec = null, Dictionary<string, string>? annotations = null) => new()
    {
        Metadata = new Metadata { Namespace = "shop", Name = "cart", Annotations = annotations },
        Spec = (spec ?? new ServiceSpec()) with
        {
            ClusterIP = spec?.ClusterIP ?? (spec?.ClusterIPs is null ? "172.30.0.1" : null),
            Ports = spec?.Ports ?? [new ServicePort { Port = 80 }],
        },
    };

    internal static Service WithIngress(this Service service, params LoadBalancerIngress[] ingress) => service with
    {
        Status = new ServiceStatus { LoadBalancer = new LoadBalancerStatus { Ingress = ingress } },
    };

    /// <summary>
    /// An endpoint in a few words: "10.0.0.1", "10.0.0.1@here", then flags: notready, terminating (serving), dead (terminating and not
    /// serving), zone=Z, forzone=Z, fornode=N.
    /// </summary>
    internal static Endpoint Endpoint(string text)
    {
        string[] words = text.Split(' ');
        string[] place = words[0].Split('@');
        bool ends = words.Contains("terminating") || words.Contains("dead");
        return new Endpoint
        {
            Addresses = [place[0]],
            NodeName = place.Length > 1 ? place[1] : null,
            Conditions = new EndpointConditions
            {
                Ready = ends || words.Contains("notready") ? false : null,
                Serving = words.Contains("dead") ? false : null,
                Terminating = ends ? true : null,
            },
            Zone = Values(words, "zone").FirstOrDefault(),
            Hints = new EndpointHints { ForZones = Hints(words, "forzone"), ForNodes = Hints(words, "fornode") },
        };
    }

    /// <summary>A slice of "shop/cart" with one port, 8080 and no name.</summary>
    internal static EndpointSlice Slice(params string[] endpoints) => Slice("cart-1", [new EndpointPort { Port = 8080 }], endpoints);

    internal static EndpointSlice Slice(string name, EndpointPort[] ports, params string[] endpoints) => new()
    {
        Metadata = new Metadata
        {
            Namespace = "shop",
            Name = name,
            Labels = new Dictionary<string, string> { [EndpointSlice.ServiceNameLabel] = "cart" },
        },
        AddressType = endpoints.Any(text => text.Contains(':')) ? "IPv6" : "IPv4",
        Ports = ports,
        Endpoints = [.. endpoints.Select(Endpoint)],
    };

    internal static ServiceState Resolve(Service service, params EndpointSlice[] slices) =>
        ServiceResolver.Resolve(service, slices, Node);

    /// <summary>A set of backends as "10.0.0.1:8080 10.0.0.2:8080".</summary>
    internal static string Text(this IEnumerable<Backend> backends) => string.Join(
        ' ', backends.Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Address}:{one.Port}")));

    /// <summary>The frontend of an address and port, TCP unless said otherwise.</summary>
    internal static Frontend Frontend(this ServiceState state, string address, int port, IpProtocol protocol = IpProtocol.Tcp)
    {
        FrontendKey key = new(IpAddress.Parse(address), (ushort)port, protocol);
        return Assert.Single(state.Ports.SelectMany(one => one.Frontends), frontend => frontend.Key == key);
    }

    private static NamedHint[]? Hints(string[] words, string key)
    {
        NamedHint[] hints = [.. Values(words, key).Select(name => new NamedHint { Name = name })];
        return hints.Length == 0 ? null : hints;
    }

    private static IEnumerable<string> Values(string[] words, string key) =>
        words.Where(word => word.StartsWith(key + "=", System.StringComparison.Ordinal)).Select(word => word[(key.Length + 1)..]);
}
