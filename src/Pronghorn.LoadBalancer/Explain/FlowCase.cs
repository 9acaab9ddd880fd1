// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json.Serialization;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>A state of a cluster with flows and what is to become of them: one line of a file of cases.</summary>
public sealed record FlowCase
{
    /// <summary>Where pods are when a case tells them apart: the ranges that kube-proxy's tests use.</summary>
    private static readonly string[] s_podRanges = ["10.0.0.0/8", "fd00:10::/64"];

    /// <summary>Name of the case.</summary>
    public string? Test { get; init; }

    /// <summary>Line in the source that the case is from; tells apart the states of one test.</summary>
    public string? Line { get; init; }

    /// <summary>Services.</summary>
    public IReadOnlyList<Service>? Services { get; init; }

    /// <summary>Endpoint slices.</summary>
    public IReadOnlyList<EndpointSlice>? EndpointSlices { get; init; }

    /// <summary>Name of the node.</summary>
    public string? Hostname { get; init; }

    /// <summary>Primary address of the node.</summary>
    [JsonPropertyName("nodeIP")]
    public string? NodeIP { get; init; }

    /// <summary>All addresses of the node.</summary>
    [JsonPropertyName("nodeIPs")]
    public IReadOnlyList<string>? NodeIPs { get; init; }

    /// <summary>Labels of the node.</summary>
    public IReadOnlyDictionary<string, string>? NodeLabels { get; init; }

    /// <summary>Ranges in which node ports are served: "[192.168.0.0/24 127.0.0.1/32]".</summary>
    public string? NodePortAddresses { get; init; }

    /// <summary>Whether node ports are served on loopback addresses.</summary>
    public bool LocalhostNodePorts { get; init; }

    /// <summary>Whether everything through a cluster address is masqueraded.</summary>
    public bool MasqueradeAll { get; init; }

    /// <summary>Whether pods are told apart: they are in 10.0.0.0/8 and fd00:10::/64.</summary>
    public bool DetectLocal { get; init; }

    /// <summary>The flows.</summary>
    public IReadOnlyList<CaseFlow>? Flows { get; init; }

    /// <summary>Name and line.</summary>
    [JsonIgnore]
    public string Name => Line is null ? Test ?? "" : $"{Test} (line {Line})";

    /// <summary>The node of the case.</summary>
    /// <exception cref="FormatException">An address or range cannot be read.</exception>
    public NodeFacts ToNodeFacts()
    {
        IpAddress[] addresses = [.. (NodeIPs ?? []).Select(text => IpAddress.Parse(text))];
        IpAddress[] primary = NodeIP is null ? [] : [IpAddress.Parse(NodeIP)];
        return new NodeFacts
        {
            Name = Hostname ?? "",
            Zone = NodeLabels?.GetValueOrDefault(NodeFacts.ZoneLabel) ?? "",
            PrimaryAddresses = [.. primary],
            Addresses = [.. primary.Concat(addresses).Distinct()],
            PodRanges = DetectLocal ? [.. s_podRanges.Select(ReadRange)] : [],
            NodePortRanges =
            [
                .. (NodePortAddresses ?? "").Trim('[', ']').Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(ReadRange),
            ],
            LocalhostNodePorts = LocalhostNodePorts,
            MasqueradeAll = MasqueradeAll,
        };
    }

    /// <summary>The table that the services of the case make.</summary>
    /// <exception cref="FormatException">An address or range of the node cannot be read.</exception>
    public FlowTable ToTable()
    {
        NodeFacts node = ToNodeFacts();
        ClusterState cluster = new();
        cluster.Apply(new ServicesListed(Services ?? []));
        cluster.Apply(new EndpointSlicesListed(EndpointSlices ?? []));
        return new FlowTable(
            cluster.Services.Select(one => ServiceResolver.Resolve(one, cluster.SlicesOf(one.Metadata.FullName), node)), node);
    }

    /// <summary>Whether an address is a pod's in the cases, however the node is set up to tell.</summary>
    public static bool IsPod(IpAddress address) => s_podRanges.Any(range => ReadRange(range).Contains(address));

    private static AddressRange ReadRange(string text) => AddressRange.TryParse(text, out AddressRange range)
        ? range : throw new FormatException($"'{text}' is not an address range.");
}

/// <summary>One flow of a case.</summary>
public sealed record CaseFlow
{
    /// <summary>What it shows.</summary>
    public string? Name { get; init; }

    /// <summary>Sender.</summary>
    [JsonPropertyName("sourceIP")]
    public string? SourceIP { get; init; }

    /// <summary>TCP, UDP or SCTP.</summary>
    public string? Protocol { get; init; }

    /// <summary>Addressed.</summary>
    [JsonPropertyName("destIP")]
    public string? DestIP { get; init; }

    /// <summary>1..65535.</summary>
    public int DestPort { get; init; }

    /// <summary>"ip:port, ip:port" the permitted backends; REJECT; DROP; ACCEPT (health check); empty: not a service.</summary>
    public string? Output { get; init; }

    /// <summary>Whether the source is rewritten.</summary>
    public bool Masq { get; init; }

    /// <summary>The flow.</summary>
    /// <exception cref="FormatException">An address, the protocol or the port cannot be read.</exception>
    public Flow ToFlow()
    {
        if (!Protocols.TryParse(Protocol, out IpProtocol protocol) || !Protocols.IsPort(DestPort))
        {
            throw new FormatException($"'{DestPort}/{Protocol}' is not a port and protocol.");
        }

        return new Flow(IpAddress.Parse(SourceIP), IpAddress.Parse(DestIP), (ushort)DestPort, protocol);
    }
}
