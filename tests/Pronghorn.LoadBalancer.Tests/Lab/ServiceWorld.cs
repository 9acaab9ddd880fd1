// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.LoadBalancer.Tests.Sources;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>
/// A node with two pods that serve ("a" and "b"), one that asks, and a client outside. Servers are at port 8080 by TCP and 8081 by
/// UDP of "a" and "b"; a service has the ports 80/TCP to the one and 80/UDP to the other.
/// </summary>
public sealed class ServiceWorld : IDisposable
{
    public const string NodeName = "node-1";
    public const string NotServed = "not served";

    private const int TcpPort = 8080;
    private const int UdpPort = 8081;

    // Longer than the second after which a lost SYN is sent again.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(2);

    private readonly List<Server> _servers = [];
    private int _last;

    public ServiceWorld()
    {
        Lab = new ServiceLab(ServiceNode.Create(new ServiceNodeOptions { Pods = 3 }), [ServiceNode.EdgeInterface], Problems);
        Lab.Restart(Facts);
        foreach (int pod in (int[])[0, 1])
        {
            _servers.Add(Lab.Listen(Pod(pod), IpProtocol.Tcp, new IPEndPoint(IPAddress.Parse(ServiceNode.PodAddress(pod)), TcpPort)));
            _servers.Add(Lab.Listen(Pod(pod), IpProtocol.Tcp, new IPEndPoint(IPAddress.Parse(ServiceNode.PodAddress6(pod)), TcpPort)));
            _servers.Add(Lab.Listen(Pod(pod), IpProtocol.Udp, new IPEndPoint(IPAddress.Parse(ServiceNode.PodAddress(pod)), UdpPort)));
            _servers.Add(Lab.Listen(Pod(pod), IpProtocol.Sctp, new IPEndPoint(IPAddress.Parse(ServiceNode.PodAddress(pod)), TcpPort)));
        }

        // What no proxy translates ends at the node, at a server that says so.
        LabCommand.Run("ip", "-n", Node.Name, "route", "add", "local", "10.96.0.0/16", "dev", "lo");
        LabCommand.Run("ip", "-n", Node.Name, "route", "add", "local", "1.2.0.0/16", "dev", "lo");
        _servers.Add(Lab.Listen(Node, IpProtocol.Tcp, new IPEndPoint(IPAddress.Any, 80)));
        Lab.ApplyAsync(new ServicesListed([]), new EndpointSlicesListed([])).GetAwaiter().GetResult();
    }

    internal static NodeFacts Facts { get; } = new()
    {
        Name = NodeName,
        Addresses = [IpAddress.Parse(ServiceNode.NodeAddress), IpAddress.Parse(ServiceNode.NodeAddress6)],
        PrimaryAddresses = [IpAddress.Parse(ServiceNode.NodeAddress), IpAddress.Parse(ServiceNode.NodeAddress6)],
        PodRanges = [Range(ServiceNode.PodRange), Range(ServiceNode.PodRange6)],
    };

    public ServiceLab Lab { get; }

    public NetworkNamespace Client => Pod(2);

    public NetworkNamespace Node => Lab.Node.Node;

    public NetworkNamespace Outside => Lab.Node.External;

    internal CollectedProblems Problems { get; } = new();

    public void Dispose()
    {
        _servers.ForEach(server => server.Dispose());
        Lab.Dispose();
    }

    public NetworkNamespace Pod(int pod) => Lab.Node.Pods[pod];

    /// <summary>A service of a name, a ClusterIP and a node port of its own.</summary>
    internal Service MakeService(Func<ServiceSpec, ServiceSpec>? change = null, IReadOnlyDictionary<string, string>? labels = null)
    {
        int number = ++_last;
        ServiceSpec spec = new()
        {
            Type = "ClusterIP",
            ClusterIP = string.Create(CultureInfo.InvariantCulture, $"10.96.0.{number}"),
            Ports =
            [
                new ServicePort { Name = "tcp", Protocol = "TCP", Port = 80, NodePort = 31000 + number },
                new ServicePort { Name = "udp", Protocol = "UDP", Port = 80, NodePort = 31000 + number },
                new ServicePort { Name = "sctp", Protocol = "SCTP", Port = 80, NodePort = 31000 + number },
            ],
        };
        return new Service
        {
            Metadata = new Metadata
            {
                Namespace = "shop",
                Name = string.Create(CultureInfo.InvariantCulture, $"s{number}"),
                Labels = labels,
            },
            Spec = change is null ? spec : change(spec),
        };
    }

    /// <summary>A service of type LoadBalancer with an address of its own.</summary>
    internal Service MakeLoadBalancer(Func<ServiceSpec, ServiceSpec> change)
    {
        Service service = MakeService(spec => change(spec with { Type = "LoadBalancer" }));
        string address = string.Create(CultureInfo.InvariantCulture, $"1.2.3.{_last}");
        return service with
        {
            Status = new ServiceStatus
            {
                LoadBalancer = new LoadBalancerStatus { Ingress = [new LoadBalancerIngress { Ip = address }] },
            },
        };
    }

    internal static string LoadBalancerAddressOf(Service service) => service.Status.LoadBalancer!.Ingress![0].Ip!;

    /// <summary>The endpoints of a service, told by pod number; all are on the node and ready.</summary>
    internal static EndpointSlice MakeSlice(Service service, params IEnumerable<int> pods) => MakeSlice(service, pods.Select(Ready));

    internal static EndpointSlice MakeSlice(Service service, params IEnumerable<Endpoint> endpoints) => new()
    {
        Metadata = new Metadata
        {
            Namespace = service.Metadata.Namespace,
            Name = service.Metadata.Name + "-1",
            Labels = new Dictionary<string, string> { [EndpointSlice.ServiceNameLabel] = service.Metadata.Name },
        },
        AddressType = "IPv4",
        Endpoints = [.. endpoints],
        Ports =
        [
            new EndpointPort { Name = "tcp", Protocol = "TCP", Port = TcpPort },
            new EndpointPort { Name = "udp", Protocol = "UDP", Port = UdpPort },
            new EndpointPort { Name = "sctp", Protocol = "SCTP", Port = TcpPort },
        ],
    };

    internal static Endpoint Ready(int pod) => At(pod, NodeName, ready: true, serving: true, terminating: false);

    internal static Endpoint Terminating(int pod) => At(pod, NodeName, ready: false, serving: true, terminating: true);

    internal static Endpoint At(int pod, string node, bool ready = true, bool serving = true, bool terminating = false) => new()
    {
        Addresses = [ServiceNode.PodAddress(pod)],
        NodeName = node,
        Conditions = new EndpointConditions { Ready = ready, Serving = serving, Terminating = terminating },
    };

    internal Task ApplyAsync(Service service, params IEnumerable<int> pods) =>
        Lab.ApplyAsync(new ServiceApplied(service), new EndpointSliceApplied(MakeSlice(service, pods)));

    internal Task ApplyAsync(Service service, params IEnumerable<Endpoint> endpoints) =>
        Lab.ApplyAsync(new ServiceApplied(service), new EndpointSliceApplied(MakeSlice(service, endpoints)));

    /// <summary>Asks once.</summary>
    internal ProbeResult Send(
        NetworkNamespace from, string address, int port, IpProtocol protocol = IpProtocol.Tcp)
    {
        using Socket client = Lab.Open(from, protocol, null, isIpv6: address.Contains(':', StringComparison.Ordinal))[0];
        return Probe.Send(client, new IPEndPoint(IPAddress.Parse(address), port), _servers, s_silence);
    }

    /// <summary>Asks some times and tells who answered, "a", "b" or both, or else what came of it.</summary>
    internal string Ask(
        NetworkNamespace from, string address, int port, IpProtocol protocol = IpProtocol.Tcp, int times = 24)
    {
        SortedSet<string> found = [];
        for (int i = 0; i < times && found.Count < 2; i++)
        {
            ProbeResult result = Send(from, address, port, protocol);
            found.Add(NameOf(result));
            if (result.Outcome != ProbeOutcome.Answered)
            {
                break;
            }
        }

        return string.Concat(found);
    }

    internal string Ask(NetworkNamespace from, Service service, IpProtocol protocol = IpProtocol.Tcp, int times = 24) =>
        Ask(from, service.Spec.ClusterIP!, 80, protocol, times);

    internal string AskNodePort(
        NetworkNamespace from, Service service, IpProtocol protocol = IpProtocol.Tcp, int times = 24) =>
        Ask(from, ServiceNode.NodeAddress, service.Spec.Ports![0].NodePort, protocol, times);

    internal static string NameOf(ProbeResult result) => result.Server?.End.Address.ToString() switch
    {
        null => result.ToString(),
        { } address when address == ServiceNode.PodAddress(0) || address == ServiceNode.PodAddress6(0) => "a",
        { } address when address == ServiceNode.PodAddress(1) || address == ServiceNode.PodAddress6(1) => "b",
        _ => NotServed,
    };

    internal Server ServerOf(int pod, IpProtocol protocol) => _servers.First(server =>
        server.Protocol == protocol && server.End.Address.ToString() == ServiceNode.PodAddress(pod));

    private static AddressRange Range(string text) =>
        AddressRange.TryParse(text, out AddressRange range) ? range : throw new FormatException(text);
}
