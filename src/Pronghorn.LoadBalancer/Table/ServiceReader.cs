// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Reads a service object; whatever is wrong in it becomes a problem, and the rest is still read.</summary>
internal sealed partial class ServiceReader
{
    /// <summary>Says that another proxy serves the service.</summary>
    internal const string ProxyNameLabel = "service.kubernetes.io/service-proxy-name";

    /// <summary>Says that the service is headless although it has an address.</summary>
    internal const string HeadlessLabel = "service.kubernetes.io/headless";

    private const string TypeClusterIp = "ClusterIP";
    private const string TypeNodePort = "NodePort";
    private const string TypeLoadBalancer = "LoadBalancer";
    private const string TypeExternalName = "ExternalName";

    private readonly Service _service;
    private readonly ServiceSpec _spec;
    private readonly string? _proxyName;
    private readonly ProblemList _problems;

    private ServiceReader(Service service, string? proxyName, ProblemList problems)
    {
        _proxyName = proxyName;
        _service = service;
        _spec = service.Spec;
        _problems = problems;
    }

    private bool HasNodePorts => _spec.Type is TypeNodePort or TypeLoadBalancer;

    internal static ServiceSettings Read(Service service, string? proxyName, ProblemList problems)
    {
        problems.Begin("Service", service.Metadata.FullName);
        return new ServiceReader(service, proxyName, problems).Read();
    }

    private ServiceSettings Read()
    {
        string? skipReason = FindSkipReason();
        if (skipReason is not null)
        {
            return new ServiceSettings { Name = _service.Metadata.FullName, SkipReason = skipReason };
        }

        ImmutableArray<IpAddress> clusterAddresses = ReadClusterAddresses();
        ImmutableArray<IpAddress> external = ReadExternalAddresses(clusterAddresses);
        bool accessible = HasNodePorts || external.Length > 0;
        bool externalLocal = ReadPolicy(_spec.ExternalTrafficPolicy, "spec.externalTrafficPolicy") && accessible;
        return new ServiceSettings
        {
            Name = _service.Metadata.FullName,
            Families = ReadFamilies(clusterAddresses, external),
            Ports = ReadPorts(),
            IsExternallyAccessible = accessible,
            IsExternalLocal = externalLocal,
            IsInternalLocal = ReadPolicy(_spec.InternalTrafficPolicy, "spec.internalTrafficPolicy"),
            HasSourceRanges = HasSourceRanges(),
            PublishesNotReady = _spec.PublishNotReadyAddresses,
            Preference = ReadPreference(),
            AffinityTimeout = ReadAffinity(),
            Algorithm = ReadAlgorithm(),
            DirectReturn = ReadForwardingMode(),
            HealthCheckNodePort = externalLocal && _spec.Type == TypeLoadBalancer ? ReadHealthCheckNodePort() : (ushort)0,
        };
    }

    /// <summary>The labels are also what an API source asks the server to leave out; a directory of manifests cannot.</summary>
    private string? FindSkipReason()
    {
        if (_spec.Type == TypeExternalName)
        {
            return "it is of type ExternalName, which only DNS serves";
        }

        string? proxy = _service.Metadata.Labels?.GetValueOrDefault(ProxyNameLabel);
        bool hasProxyName = _service.Metadata.Labels?.ContainsKey(ProxyNameLabel) ?? false;
        if (hasProxyName ? _proxyName is null || proxy != _proxyName : _proxyName is not null)
        {
            return hasProxyName ? $"its label {ProxyNameLabel} leaves it to \"{proxy}\"" : $"it has no label {ProxyNameLabel}";
        }

        if (_service.Metadata.Labels?.ContainsKey(HeadlessLabel) ?? false)
        {
            return $"it has the label {HeadlessLabel}";
        }

        if (_spec.Type is not (null or "" or TypeClusterIp or TypeNodePort or TypeLoadBalancer))
        {
            _problems.Add(
                "spec.type", $"\"{_spec.Type}\" is not ClusterIP, NodePort, LoadBalancer or ExternalName; served as ClusterIP");
        }

        string? first = FirstClusterAddress();
        if (first is null)
        {
            _problems.Add("spec.clusterIP", "no address, so nothing is served; name one (a cluster allocates it), or \"None\"");
            return "it has no cluster address";
        }

        return first == "None" ? "it is headless (clusterIP None)" : null;
    }

    private string? FirstClusterAddress()
    {
        string? first = _spec.ClusterIPs?.FirstOrDefault(text => !string.IsNullOrEmpty(text)) ?? _spec.ClusterIP;
        return string.IsNullOrEmpty(first) ? null : first;
    }

    private ImmutableArray<PortSettings> ReadPorts()
    {
        ImmutableArray<PortSettings>.Builder ports = ImmutableArray.CreateBuilder<PortSettings>();
        IReadOnlyList<ServicePort> objects = _spec.Ports ?? [];
        if (objects.Count == 0)
        {
            _problems.Add("spec.ports", "no ports, so nothing is served");
        }

        for (int index = 0; index < objects.Count; index++)
        {
            if (ReadPort(objects[index], $"spec.ports[{index}]", ports) is { } port)
            {
                ports.Add(port);
            }
        }

        return ports.ToImmutable();
    }

    private PortSettings? ReadPort(ServicePort? port, string field, IReadOnlyList<PortSettings> earlier)
    {
        if (port is null)
        {
            _problems.Add(field, "null; a port is an object");
            return null;
        }

        if (!Protocols.TryParse(port.Protocol, out IpProtocol protocol))
        {
            _problems.Add($"{field}.protocol", $"\"{port.Protocol}\" is not TCP, UDP or SCTP; the port is not served");
            return null;
        }

        if (!Protocols.IsPort(port.Port))
        {
            _problems.Add($"{field}.port", $"{port.Port} is not in 1..65535; the port is not served");
            return null;
        }

        if (earlier.Any(other => other.Protocol == protocol && other.Port == port.Port))
        {
            _problems.Add($"{field}.port", $"{port.Port}/{Protocols.NameOf(protocol)} is there already; the first one counts");
            return null;
        }

        if (earlier.Any(other => other.Protocol == protocol && other.Name == port.Name))
        {
            _problems.Add(
                $"{field}.name",
                $"\"{port.Name}\" is there already, so its endpoints cannot be told apart; the port is not served");
            return null;
        }

        return new PortSettings(port.Name, protocol, (ushort)port.Port, ReadNodePort(port, protocol, field, earlier));
    }

    private ushort ReadNodePort(ServicePort port, IpProtocol protocol, string field, IReadOnlyList<PortSettings> earlier)
    {
        if (port.NodePort == 0)
        {
            return 0;
        }

        string? mistake = this switch
        {
            _ when !Protocols.IsPort(port.NodePort) => $"{port.NodePort} is not in 1..65535; no node port",
            { HasNodePorts: false } => $"{port.NodePort}, but the type is {_spec.Type ?? TypeClusterIp}; no node port",
            _ when earlier.Any(other => other.Protocol == protocol && other.NodePort == port.NodePort)
                => $"{port.NodePort}/{Protocols.NameOf(protocol)} is there already; the first one counts",
            _ => null,
        };
        if (mistake is not null)
        {
            _problems.Add($"{field}.nodePort", mistake);
            return 0;
        }

        return (ushort)port.NodePort;
    }
}
