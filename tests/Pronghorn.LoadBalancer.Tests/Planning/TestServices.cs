// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Tests.Planning;

/// <summary>Services by number, each with an address and a node port of its own.</summary>
internal static class TestServices
{
    public static ServiceState Make(int number, params Backend[] backends)
    {
        var name = new ObjectName("shop", $"s{number}");
        var view = new FrontendView(FrontendAction.Forward, EndpointScope.Cluster);
        var external = new FrontendView(FrontendAction.Forward, EndpointScope.Cluster, Masquerade: true);
        var clusterIp = new FrontendKey(IpAddress.FromIpv4(0x0A60_0000 + (uint)number), 80, IpProtocol.Tcp);
        var nodePort = new FrontendKey(IpAddress.AnyIpv4, (ushort)(30_000 + number), IpProtocol.Tcp);
        return new ServiceState
        {
            Name = name,
            Created = DateTimeOffset.UnixEpoch.AddSeconds(number),
            Ports =
            [
                new ServicePortState
                {
                    Name = new ServicePortName(name, "http", IpProtocol.Tcp, IsIpv6: false),
                    Frontends =
                    [
                        new Frontend(clusterIp, FrontendKind.ClusterIp, view, view, external),
                        new Frontend(nodePort, FrontendKind.NodePort, view, view, external),
                    ],
                    ClusterBackends = [.. backends],
                    LocalBackends = [.. backends.Where(backend => backend.IsLocal)],
                },
            ],
        };
    }

    /// <summary>A service with its usual four endpoints.</summary>
    public static ServiceState Make(int number) => Make(number, [.. Enumerable.Range(4 * number, 4).Select(Endpoint)]);

    public static Backend Endpoint(int number) =>
        new(IpAddress.FromIpv4(0x0AF4_0000 + (uint)number), 8080, IpProtocol.Tcp, number % 4 == 0);

    /// <summary>Changes the service's only port.</summary>
    public static ServiceState With(this ServiceState service, Func<ServicePortState, ServicePortState> change) =>
        service with { Ports = [change(service.Ports[0])] };

    /// <summary>Makes its cluster address that of another service.</summary>
    public static ServiceState WithClusterIpOf(this ServiceState service, ServiceState other) => service.With(port => port with
    {
        Frontends = port.Frontends.SetItem(0, port.Frontends[0] with { Key = other.Ports[0].Frontends[0].Key }),
    });
}
