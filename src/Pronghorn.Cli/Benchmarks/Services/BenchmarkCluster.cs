// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>
/// The services of a benchmark, the same for every way. Those that measurements go to, and those added while it runs, have backends that
/// answer; the endpoints of all others are addresses where nobody is, all of them different, so that tables are as large as they would be.
/// </summary>
internal sealed class BenchmarkCluster
{
    /// <summary>First port of each service; others follow.</summary>
    internal const int FirstPort = 80;

    /// <summary>Port of endpoints where nobody is; of a service's other ports, those after it.</summary>
    internal const int EndpointPort = 8080;

    /// <summary>First port of the backends that answer: one for each of <see cref="ServicePositions.TargetCount"/> services.</summary>
    internal const int FirstBackendPort = 8000;

    /// <summary>Node ports are counted from here; more services than this leaves room for cannot have one.</summary>
    internal const int FirstNodePort = 30_000;

    /// <summary>Most services that can have a node port.</summary>
    internal const int MaximumNodePorts = 30_000;

    private const uint FirstClusterAddress = (172u << 24) | (30u << 16);
    private const uint FirstEndpointAddress = (10u << 24) | (128u << 16);

    private readonly HashSet<int> _answering;

    /// <summary>Describes a cluster.</summary>
    /// <param name="services">Services, 1 or more.</param>
    /// <param name="endpoints">Endpoints of each, 1 to 64.</param>
    /// <param name="nodePorts">Whether each has a node port; then there is one port.</param>
    /// <param name="ports">Ports of each; clients use the last one, whose rules come last.</param>
    internal BenchmarkCluster(int services, int endpoints, bool nodePorts, int ports = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(services, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(endpoints, 64);
        Services = services;
        Endpoints = endpoints;
        HasNodePorts = nodePorts;
        Ports = nodePorts ? 1 : ports;
        _answering = [.. ServicePositions.For(services).SelectMany(position => ServicePositions.Targets(services, position))];
    }

    /// <summary>How many services there are at first.</summary>
    internal int Services { get; }

    /// <summary>Endpoints of each.</summary>
    internal int Endpoints { get; }

    /// <summary>Ports of each.</summary>
    internal int Ports { get; }

    /// <summary>Whether each has a node port; then they speak UDP, else TCP.</summary>
    internal bool HasNodePorts { get; }

    /// <summary>The protocol as the API writes it.</summary>
    internal string Protocol => HasNodePorts ? "UDP" : "TCP";

    /// <summary>The protocol as rules write it.</summary>
    internal string RuleProtocol => HasNodePorts ? "udp" : "tcp";

    /// <summary>Name of a service.</summary>
    internal static string Name(int service) => string.Create(CultureInfo.InvariantCulture, $"service-{service}");

    /// <summary>Its cluster address.</summary>
    internal static string ClusterAddress(int service) => Dotted(FirstClusterAddress + 1 + (uint)service);

    /// <summary>Its node port.</summary>
    internal static int NodePort(int service) => FirstNodePort + service;

    /// <summary>The port of its backends that answer.</summary>
    internal static int BackendPort(int service) => FirstBackendPort + (service % ServicePositions.TargetCount);

    /// <summary>Its endpoints' port for one of its ports, by number from 0.</summary>
    internal int EndpointPortOf(int service, int port) =>
        port == Ports - 1 && IsAnswering(service) ? BackendPort(service) : EndpointPort + port;

    /// <summary>The addresses of its endpoints.</summary>
    internal IEnumerable<string> AddressesOf(int service) => Enumerable.Range(0, Endpoints).Select(endpoint => IsAnswering(service)
        ? ServiceNode.MoreAddress(endpoint)
        : Dotted(FirstEndpointAddress + (uint)((service * Endpoints) + endpoint)));

    /// <summary>Where clients in the cluster connect to, for the services at a position.</summary>
    internal string Targets(string position) => string.Join(',', ServicePositions.Targets(Services, position).Select(Target));

    /// <summary>Where clients in the cluster connect to for one service.</summary>
    internal string Target(int service) =>
        string.Create(CultureInfo.InvariantCulture, $"{ClusterAddress(service)}:{FirstPort + Ports - 1}");

    /// <summary>The backends themselves, for clients that use no service.</summary>
    internal string Backends() => string.Join(
        ',',
        Enumerable.Range(0, Math.Min(ServicePositions.TargetCount, Services)).Select(number => string.Create(
            CultureInfo.InvariantCulture, $"{ServiceNode.MoreAddress(number % Endpoints)}:{BackendPort(number)}")));

    private bool IsAnswering(int service) => service >= Services || _answering.Contains(service);

    private static string Dotted(uint address) => string.Create(
        CultureInfo.InvariantCulture, $"{address >> 24}.{(address >> 16) & 255}.{(address >> 8) & 255}.{address & 255}");
}
