// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>The addresses of a service.</summary>
internal sealed partial class ServiceReader
{
    private bool HasSourceRanges() =>
        _spec.Type == TypeLoadBalancer && _spec.LoadBalancerSourceRanges is { Count: > 0 };

    private ImmutableArray<IpAddress> ReadClusterAddresses()
    {
        bool hasList = _spec.ClusterIPs is { Count: > 0 };
        IReadOnlyList<string> texts = hasList ? _spec.ClusterIPs! : [_spec.ClusterIP ?? ""];
        if (hasList && !string.IsNullOrEmpty(_spec.ClusterIP) && _spec.ClusterIP != texts[0])
        {
            _problems.Add("spec.clusterIP", $"{_spec.ClusterIP} is not spec.clusterIPs[0] ({texts[0]}); the list counts");
        }

        ImmutableArray<IpAddress>.Builder addresses = ImmutableArray.CreateBuilder<IpAddress>(texts.Count);
        for (int index = 0; index < texts.Count; index++)
        {
            string field = hasList ? $"spec.clusterIPs[{index}]" : "spec.clusterIP";
            if (ReadAddress(texts[index], field) is not { } address)
            {
                continue;
            }

            if (addresses.Any(other => other.IsIpv4 == address.IsIpv4))
            {
                _problems.Add(field, $"{address} is a second address of its family; only the first counts");
                continue;
            }

            addresses.Add(address);
            CompareFamily(address, index);
        }

        return addresses.ToImmutable();
    }

    /// <summary>The address itself says its family, so the list of families can only contradict it.</summary>
    private void CompareFamily(IpAddress address, int index)
    {
        string? family = _spec.IpFamilies is { } families && index < families.Count ? families[index] : null;
        if (family is not null && family != FamilyName(!address.IsIpv4))
        {
            _problems.Add($"spec.ipFamilies[{index}]", $"\"{family}\", but the cluster address is {address}; the address counts");
        }
    }

    private ImmutableArray<IpAddress> ReadExternalAddresses(ImmutableArray<IpAddress> clusterAddresses)
    {
        ImmutableArray<IpAddress>.Builder addresses = ImmutableArray.CreateBuilder<IpAddress>();
        IReadOnlyList<string> texts = _spec.ExternalIPs ?? [];
        for (int index = 0; index < texts.Count; index++)
        {
            string field = $"spec.externalIPs[{index}]";
            if (ReadAddress(texts[index], field) is { } address && HasFamily(address, clusterAddresses, field))
            {
                addresses.Add(address);
            }
        }

        return addresses.ToImmutable();
    }

    private ImmutableArray<IpAddress> ReadLoadBalancerAddresses(ImmutableArray<IpAddress> clusterAddresses)
    {
        ImmutableArray<IpAddress>.Builder addresses = ImmutableArray.CreateBuilder<IpAddress>();
        IReadOnlyList<LoadBalancerIngress?> ingress = _spec.Type == TypeLoadBalancer
            ? _service.Status.LoadBalancer?.Ingress ?? [] : [];
        for (int index = 0; index < ingress.Count; index++)
        {
            // A name without an address is the cloud's own affair; a proxy wants to see the packets it is addressed by.
            if (string.IsNullOrEmpty(ingress[index]?.Ip) || ingress[index]!.IpMode == "Proxy")
            {
                continue;
            }

            string field = $"status.loadBalancer.ingress[{index}]";
            if (ingress[index]!.IpMode is not (null or "VIP"))
            {
                _problems.Add($"{field}.ipMode", $"\"{ingress[index]!.IpMode}\" is not VIP or Proxy; taken as VIP");
            }

            if (ReadAddress(ingress[index]!.Ip, $"{field}.ip") is { } address
                && HasFamily(address, clusterAddresses, $"{field}.ip"))
            {
                addresses.Add(address);
            }
        }

        return addresses.ToImmutable();
    }

    private ImmutableArray<AddressRange> ReadSourceRanges()
    {
        if (!HasSourceRanges())
        {
            return [];
        }

        ImmutableArray<AddressRange>.Builder ranges = ImmutableArray.CreateBuilder<AddressRange>();
        IReadOnlyList<string?> texts = _spec.LoadBalancerSourceRanges!;
        for (int index = 0; index < texts.Count; index++)
        {
            if (AddressRange.TryParse(texts[index], out AddressRange range))
            {
                ranges.Add(range);
            }
            else
            {
                _problems.Add(
                    $"spec.loadBalancerSourceRanges[{index}]",
                    $"\"{texts[index]}\" is not an address range like 192.0.2.0/24; nobody is admitted by it");
            }
        }

        return ranges.ToImmutable();
    }

    private ImmutableArray<FamilyAddresses> ReadFamilies(
        ImmutableArray<IpAddress> clusterAddresses, ImmutableArray<IpAddress> external)
    {
        ImmutableArray<IpAddress> loadBalancer = ReadLoadBalancerAddresses(clusterAddresses);
        ImmutableArray<AddressRange> ranges = ReadSourceRanges();
        return
        [
            .. clusterAddresses.Select(cluster => new FamilyAddresses(
                cluster,
                [.. loadBalancer.Where(address => address.IsIpv4 == cluster.IsIpv4)],
                [.. external.Where(address => address.IsIpv4 == cluster.IsIpv4)],
                [.. ranges.Where(range => range.Address.IsIpv4 == cluster.IsIpv4)])),
        ];
    }

    private IpAddress? ReadAddress(string? text, string field)
    {
        if (!AddressText.TryParse(text, out IpAddress address))
        {
            _problems.Add(field, $"\"{text}\" is not an IP address; not served");
            return null;
        }

        if (AddressText.FindUnusable(address) is { } reason)
        {
            _problems.Add(field, $"{address} is {reason}, which cannot be the address of a service; not served");
            return null;
        }

        return address;
    }

    private bool HasFamily(IpAddress address, ImmutableArray<IpAddress> clusterAddresses, string field)
    {
        if (clusterAddresses.IsEmpty || clusterAddresses.Any(cluster => cluster.IsIpv4 == address.IsIpv4))
        {
            return true;
        }

        _problems.Add(
            field, $"{address} is not served: the service has no cluster address of {FamilyName(!address.IsIpv4)}");
        return false;
    }

    private static string FamilyName(bool isIpv6) => isIpv6 ? "IPv6" : "IPv4";
}
