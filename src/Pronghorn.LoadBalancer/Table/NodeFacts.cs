// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>What is known of this node, and how the proxy is configured: with the objects, all that decides.</summary>
public sealed record NodeFacts
{
    /// <summary>The label of a node that names its zone.</summary>
    public const string ZoneLabel = "topology.kubernetes.io/zone";

    private const uint Ipv4Loopback = 0x7F000001;

    /// <summary>Its name in the cluster; endpoints with it are local.</summary>
    public required string Name { get; init; }

    /// <summary>Its zone; empty if not known.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Its primary addresses, one of each family at most; sources of masqueraded packets.</summary>
    public ImmutableArray<IpAddress> PrimaryAddresses { get; init; } = [];

    /// <summary>All its addresses.</summary>
    public ImmutableArray<IpAddress> Addresses { get; init; } = [];

    /// <summary>Ranges of pod addresses; empty: pods cannot be told apart, and count as external.</summary>
    public ImmutableArray<AddressRange> PodRanges { get; init; } = [];

    /// <summary>Node ports are served on addresses in these ranges only; no range of a family: on all of the family.</summary>
    public ImmutableArray<AddressRange> NodePortRanges { get; init; } = [];

    /// <summary>Whether node ports are served on loopback addresses (IPv4 only, as kube-proxy).</summary>
    public bool LocalhostNodePorts { get; init; } = true;

    /// <summary>
    /// The value of the label service.kubernetes.io/service-proxy-name of the services that this proxy serves; null: services without
    /// the label, as kube-proxy.
    /// </summary>
    public string? ServiceProxyName { get; init; }

    /// <summary>Whether everything through a ClusterIP is masqueraded (kube-proxy --masquerade-all).</summary>
    public bool MasqueradeAll { get; init; }

    /// <summary>How backends are chosen where a service does not say.</summary>
    public SelectionAlgorithm DefaultAlgorithm { get; init; }

    /// <summary>Whether answers go straight from the backend's node where a service does not say.</summary>
    public bool DefaultDirectReturn { get; init; }

    /// <summary>
    /// These facts with what the node's object in the cluster says: zone and addresses, and its range of pods where none was
    /// configured. What cannot be read in it is left out.
    /// </summary>
    public NodeFacts With(Node node)
    {
        ArgumentNullException.ThrowIfNull(node);
        ImmutableArray<IpAddress>.Builder told = ImmutableArray.CreateBuilder<IpAddress>();
        foreach (NodeAddress one in node.Status.Addresses ?? [])
        {
            if (one is { Type: "InternalIP" or "ExternalIP" } && AddressText.TryParse(one.Address, out IpAddress address))
            {
                told.Add(address);
            }
        }

        // The first of a family is the primary one: the API lists them in that order (core/v1 NodeStatus.addresses).
        IpAddress[] primary = [.. told.Concat(PrimaryAddresses).DistinctBy(address => address.IsIpv4)];
        return this with
        {
            Zone = node.Metadata.Labels?.GetValueOrDefault(ZoneLabel) ?? Zone,
            PrimaryAddresses = [.. primary],
            Addresses = [.. Addresses.Concat(told).Distinct()],
            PodRanges = PodRanges.IsEmpty ? [.. ReadRanges(node.Spec.PodCIDRs)] : PodRanges,
        };
    }

    /// <summary>Whether an address is the node's own; all of 127.0.0.0/8 is, and ::1.</summary>
    public bool IsOwn(IpAddress address) => address.IsLoopback || Addresses.Contains(address);

    /// <summary>The class of a packet's sender. A node's own address goes before the range of pods that it may lie in.</summary>
    public ClientClass ClassOf(IpAddress source)
    {
        if (IsOwn(source))
        {
            return ClientClass.Node;
        }

        return PodRanges.Any(range => range.Contains(source)) ? ClientClass.Pod : ClientClass.External;
    }

    /// <summary>
    /// Whether node ports are served on an address. Ranges of one family say nothing of the other. ::1 never serves any: IPv6 has no
    /// way to send from the loopback address to elsewhere, so kube-proxy does not either. All of 127.0.0.0/8 is as 127.0.0.1 is.
    /// </summary>
    public bool ServesNodePortsOn(IpAddress address)
    {
        if (!IsOwn(address) || (address.IsLoopback && !(address.IsIpv4 && LocalhostNodePorts)))
        {
            return false;
        }

        AddressRange[] ranges = [.. NodePortRanges.Where(range => range.Address.IsIpv4 == address.IsIpv4)];
        IpAddress asked = address.IsLoopback ? IpAddress.FromIpv4(Ipv4Loopback) : address;
        return ranges.Length == 0 || ranges.Any(range => range.Contains(asked));
    }

    private static IEnumerable<AddressRange> ReadRanges(IReadOnlyList<string>? texts)
    {
        foreach (string text in texts ?? [])
        {
            if (AddressRange.TryParse(text, out AddressRange range))
            {
                yield return range;
            }
        }
    }
}
