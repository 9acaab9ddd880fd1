// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Reads the slices of a service into one list of candidates for each of its ports and families.</summary>
internal sealed class EndpointReader
{
    private readonly Dictionary<(bool IsIpv6, string Port, IpProtocol Protocol), Dictionary<(IpAddress, ushort), EndpointCandidate>>
        _candidates = [];

    private readonly ServiceSettings _settings;
    private readonly NodeFacts _node;
    private readonly ProblemList _problems;

    private EndpointReader(ServiceSettings settings, NodeFacts node, ProblemList problems)
    {
        _settings = settings;
        _node = node;
        _problems = problems;
    }

    internal static EndpointReader Read(
        ServiceSettings settings, IReadOnlyList<EndpointSlice> slices, NodeFacts node, ProblemList problems)
    {
        EndpointReader reader = new(settings, node, problems);
        foreach (EndpointSlice slice in slices)
        {
            reader.ReadSlice(slice);
        }

        return reader;
    }

    /// <summary>The candidates of a service port, without duplicates, in order of address and port.</summary>
    internal EndpointCandidate[] CandidatesOf(bool isIpv6, PortSettings port)
    {
        if (!_candidates.TryGetValue((isIpv6, port.Name ?? "", port.Protocol), out var candidates))
        {
            return [];
        }

        EndpointCandidate[] sorted = [.. candidates.Values];
        Array.Sort(sorted, Compare);
        return sorted;
    }

    private static int Compare(EndpointCandidate left, EndpointCandidate right)
    {
        int byHigh = left.Address.High.CompareTo(right.Address.High);
        int byAddress = byHigh != 0 ? byHigh : left.Address.Low.CompareTo(right.Address.Low);
        return byAddress != 0 ? byAddress : left.Port.CompareTo(right.Port);
    }

    private static EndpointCondition ConditionOf(EndpointConditions? conditions, bool publishesNotReady)
    {
        if (publishesNotReady || (conditions?.Ready ?? true))
        {
            return EndpointCondition.Ready;
        }

        return (conditions?.Terminating ?? false) && (conditions?.Serving ?? true)
            ? EndpointCondition.ServingTerminating : EndpointCondition.Unusable;
    }

    private void ReadSlice(EndpointSlice slice)
    {
        _problems.Begin("EndpointSlice", slice.Metadata.FullName);
        if (slice.AddressType is not ("IPv4" or "IPv6"))
        {
            // Names are for DNS alone.
            if (slice.AddressType != "FQDN")
            {
                _problems.Add("addressType", $"\"{slice.AddressType}\" is not IPv4, IPv6 or FQDN; the slice is not used");
            }

            return;
        }

        bool isIpv6 = slice.AddressType == "IPv6";
        List<(string Name, IpProtocol Protocol, ushort Port)> ports = ReadPorts(slice);
        IReadOnlyList<Endpoint?> endpoints = slice.Endpoints ?? [];
        for (int index = 0; index < endpoints.Count; index++)
        {
            if (ReadEndpoint(slice, endpoints[index], index, isIpv6) is not { } candidate)
            {
                continue;
            }

            foreach ((string name, IpProtocol protocol, ushort port) in ports)
            {
                Merge((isIpv6, name, protocol), candidate with { Port = port });
            }
        }
    }

    private List<(string Name, IpProtocol Protocol, ushort Port)> ReadPorts(EndpointSlice slice)
    {
        List<(string, IpProtocol, ushort)> ports = [];
        IReadOnlyList<EndpointPort?> objects = slice.Ports ?? [];
        for (int index = 0; index < objects.Count; index++)
        {
            // A port without a number means that the slice does not say; kube-proxy takes 0 as the same.
            if (objects[index] is not { Port: not (null or 0) } port)
            {
                continue;
            }

            if (!Protocols.TryParse(port.Protocol, out IpProtocol protocol))
            {
                _problems.Add($"ports[{index}].protocol", $"\"{port.Protocol}\" is not TCP, UDP or SCTP; the port is not used");
            }
            else if (!Protocols.IsPort(port.Port.Value))
            {
                _problems.Add($"ports[{index}].port", $"{port.Port} is not in 1..65535; the port is not used");
            }
            else if (ports.Any(found => found.Item1 == (port.Name ?? "") && found.Item2 == protocol))
            {
                _problems.Add($"ports[{index}].name", $"\"{port.Name}\" is in this slice twice; the first one is used");
            }
            else if (_settings.Ports.Any(wanted => wanted.Name == (port.Name ?? "") && wanted.Protocol == protocol))
            {
                ports.Add((port.Name ?? "", protocol, (ushort)port.Port.Value));
            }
        }

        return ports;
    }

    private EndpointCandidate? ReadEndpoint(EndpointSlice slice, Endpoint? endpoint, int index, bool isIpv6)
    {
        // All addresses of an endpoint mean the same; consumers take the first (discovery/v1 Endpoint).
        string? text = endpoint?.Addresses is { Count: > 0 } addresses ? addresses[0] : null;
        string field = $"endpoints[{index}].addresses";
        if (text is null)
        {
            _problems.Add(field, "no address; the endpoint is not used");
            return null;
        }

        string? mistake = null;
        if (!AddressText.TryParse(text, out IpAddress address))
        {
            mistake = "is not an IP address";
        }
        else if (address.IsIpv4 == isIpv6)
        {
            mistake = $"is not an address of the slice's addressType {slice.AddressType}";
        }
        else if (AddressText.FindUnusable(address) is { } reason)
        {
            mistake = $"is {reason}";
        }

        if (mistake is not null)
        {
            _problems.Add($"{field}[0]", $"\"{text}\" {mistake}; the endpoint is not used");
            return null;
        }

        return new EndpointCandidate
        {
            Address = address,
            Port = 0,
            Condition = ConditionOf(endpoint!.Conditions, _settings.PublishesNotReady),
            IsLocal = !string.IsNullOrEmpty(endpoint.NodeName) && endpoint.NodeName == _node.Name,
            NodeName = endpoint.NodeName,
            Zone = endpoint.Zone,
            Hints = endpoint.Hints,
            Slice = slice.Metadata.FullName,
        };
    }

    /// <summary>
    /// One endpoint may stand in several slices while they are rewritten. The best condition wins: a stale slice must not
    /// take away what a fresh one says. It is local if any says so, as with kube-proxy.
    /// </summary>
    private void Merge((bool IsIpv6, string Port, IpProtocol Protocol) port, EndpointCandidate candidate)
    {
        if (!_candidates.TryGetValue(port, out var candidates))
        {
            candidates = [];
            _candidates.Add(port, candidates);
        }

        (IpAddress Address, ushort Port) key = (candidate.Address, candidate.Port);
        if (!candidates.TryGetValue(key, out EndpointCandidate? known))
        {
            candidates.Add(key, candidate);
            return;
        }

        EndpointCandidate better = candidate.Condition > known.Condition
            || (candidate.Condition == known.Condition && candidate.IsLocal && !known.IsLocal) ? candidate : known;
        candidates[key] = better with { IsLocal = known.IsLocal || candidate.IsLocal };
    }
}
