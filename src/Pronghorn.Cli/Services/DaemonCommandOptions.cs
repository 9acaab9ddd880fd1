// SPDX-License-Identifier: Apache-2.0
using System;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Net;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.Cli.Services;

/// <summary>The options of <c>pronghorn lb enable</c>.</summary>
internal sealed class DaemonCommandOptions
{
    private readonly Option<string?> _manifests = new("--manifests")
    {
        Description = "Follow this directory of Service, EndpointSlice and Node manifests.",
    };

    private readonly Option<string?> _kubeconfig = new("--kubeconfig")
    {
        Description = "Follow the API server of this kubeconfig file (default: the one of the pod that this runs in).",
    };

    private readonly Option<string?> _proxyName = new("--service-proxy-name")
    {
        Description = "Serve services with this service-proxy-name label (default: those without).",
    };

    private readonly Option<string?> _nodeName = new("--node-name") { Description = "Name of this node (default: the host's)." };

    private readonly Option<string?> _zone = new("--zone") { Description = "Zone of this node (default: from its object)." };

    private readonly Option<string?> _cgroup = new("--cgroup")
    {
        Description = "Serve the processes of this cgroup v2 folder (default: all).",
    };

    private readonly Option<string[]> _interfaces = Many("--interface", "Interface that clients and other nodes are behind.");

    private readonly Option<string[]> _podInterfaces = Many("--pod-interface", "Pattern of pods' interfaces on the node, as \"cali*\".");

    private readonly Option<XdpChoice> _xdp = new("--xdp")
    {
        Description = "Take packets of --interface by XDP: automatic, native or off (tc alone).",
    };

    private readonly Option<string[]> _pods = Many("--pod-cidr", "Range of the cluster's pods, as 10.0.0.0/8.");

    private readonly Option<string[]> _nodePorts = Many("--node-port-addresses", "Range in which node ports are served (default: all).");

    private readonly Option<bool> _noLocalhost = new("--no-localhost-node-ports")
    {
        Description = "Serve no node ports on loopback addresses.",
    };

    private readonly Option<bool> _masqueradeAll = new("--masquerade-all")
    {
        Description = "Masquerade everything through a cluster address.",
    };

    private readonly Option<bool> _endsTcp = new("--terminate-tcp")
    {
        Description = "End TCP connections to endpoints that are gone too, not only UDP.",
    };

    private readonly Option<string?> _config = new("--config") { Description = "File with sizes of maps and timeouts (JSON)." };

    private readonly Option<string> _health = new("--healthz-bind-address")
    {
        Description = "Where /healthz and /livez are answered; empty: nowhere.",
        DefaultValueFactory = _ => "[::]:10256",
    };

    private readonly Option<string> _metrics = new("--metrics-bind-address")
    {
        Description = "Where /metrics is answered; empty: nowhere.",
        DefaultValueFactory = _ => "127.0.0.1:10249",
    };

    internal static Option<string> Instance { get; } = new("--instance")
    {
        Description = "Name of the instance, where there are several.",
        DefaultValueFactory = _ => "default",
    };

    internal void AddTo(Command command)
    {
        Option[] options =
        [
            _manifests, _kubeconfig, _proxyName, _nodeName, _zone, _cgroup, _interfaces, _podInterfaces, _xdp, _pods, _nodePorts,
            _noLocalhost, _masqueradeAll, _endsTcp, _config, _health, _metrics, Instance,
        ];
        Array.ForEach(options, command.Add);
    }

    internal DaemonOptions Read(ParseResult result)
    {
        string name = result.GetValue(_nodeName) ?? Environment.MachineName.ToLowerInvariant();
        (IClusterSource source, string text) = ReadSource(result, name);
        DaemonConfiguration configuration = result.GetValue(_config) is { } file
            ? DaemonConfiguration.Read(file) : new DaemonConfiguration();
        return new DaemonOptions
        {
            Instance = result.GetValue(Instance)!,
            Source = source,
            SourceText = text,
            Node = new NodeFacts
            {
                Name = name,
                Zone = result.GetValue(_zone) ?? "",
                PodRanges = [.. (result.GetValue(_pods) ?? []).Select(one => ReadRange("--pod-cidr", one))],
                NodePortRanges = [.. (result.GetValue(_nodePorts) ?? []).Select(one => ReadRange("--node-port-addresses", one))],
                LocalhostNodePorts = !result.GetValue(_noLocalhost),
                MasqueradeAll = result.GetValue(_masqueradeAll),
            },
            Cgroup = result.GetValue(_cgroup),
            Interfaces = [.. result.GetValue(_interfaces) ?? []],
            PodInterfaces = [.. result.GetValue(_podInterfaces) ?? []],
            Xdp = result.GetValue(_xdp),
            Maps = configuration.Maps,
            Connections = configuration.Connections,
            EndsTcp = result.GetValue(_endsTcp),
            HealthEndPoint = ReadEndPoint("--healthz-bind-address", result.GetValue(_health)),
            MetricsEndPoint = ReadEndPoint("--metrics-bind-address", result.GetValue(_metrics)),
        };
    }

    private static Option<string[]> Many(string name, string description) => new(name)
    {
        Description = description + " May be repeated.",
        AllowMultipleArgumentsPerToken = false,
    };

    private static AddressRange ReadRange(string option, string text) => AddressRange.TryParse(text, out AddressRange range)
        ? range : throw new CommandException($"{option}: \"{text}\" is not a range like 10.0.0.0/8", ExitStatus.Usage);

    private static IPEndPoint? ReadEndPoint(string option, string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        if (IPEndPoint.TryParse(text, out IPEndPoint? where) && where.Port != 0)
        {
            return where;
        }

        throw new CommandException($"{option}: \"{text}\" is not an address with a port, as 127.0.0.1:10249", ExitStatus.Usage);
    }

    private (IClusterSource Source, string Text) ReadSource(ParseResult result, string nodeName)
    {
        string? manifests = result.GetValue(_manifests);
        string? kubeconfig = result.GetValue(_kubeconfig);
        if (manifests is not null && kubeconfig is not null)
        {
            throw new CommandException("--manifests and --kubeconfig are two sources; give one", ExitStatus.Usage);
        }

        if (manifests is not null)
        {
            return Directory.Exists(manifests)
                ? (new ManifestDirectory(manifests, nodeName), "manifests in " + Path.GetFullPath(manifests))
                : throw new CommandException($"{manifests}: no such directory");
        }

        if (kubeconfig is null && !InCluster.IsAvailable)
        {
            throw new CommandException(
                "say where services are told: --manifests DIR, or --kubeconfig FILE (in a pod with a service account neither is needed)",
                ExitStatus.Usage);
        }

        ApiServerAccess access = kubeconfig is not null ? Kubeconfig.Read(kubeconfig) : InCluster.Read();
        var settings = new KubernetesApiSettings { NodeName = nodeName, ServiceProxyName = result.GetValue(_proxyName) };
        return (new KubernetesApiSource(access, settings), $"API server {access.Server}");
    }
}
