// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>Turns what is known of the node into writes of the settings, the node's addresses and the pods' ranges.</summary>
/// <remarks>One thread at a time.</remarks>
public sealed class NodePlanner
{
    private static readonly IpAddress s_loopbackIpv4 = IpAddress.FromIpv4(0x7F00_0001);
    private static readonly IpAddress s_loopbackIpv6 = new(0, 1);

    private readonly ulong _cookie;
    private readonly int _maglevSize;
    private readonly ConnectionSettings _connections;
    private readonly Dictionary<NetworkAddress, NodeAddressFlags> _addresses;
    private readonly HashSet<AddressRangeKey> _podRanges;
    private SettingsValue _settings;

    /// <summary>Begins with what the maps hold.</summary>
    /// <param name="content">Their content.</param>
    /// <param name="cookie">Cookie of the node's network namespace.</param>
    /// <param name="maglevSize">Entries of a Maglev table.</param>
    /// <param name="connections">Ports and timeouts.</param>
    public NodePlanner(MapContent content, ulong cookie, int maglevSize, ConnectionSettings connections)
    {
        ArgumentNullException.ThrowIfNull(content);
        _addresses = new Dictionary<NetworkAddress, NodeAddressFlags>(content.NodeAddresses);
        _podRanges = [.. content.PodRanges];
        _settings = content.Settings;
        _cookie = cookie;
        _maglevSize = maglevSize;
        _connections = connections;
    }

    /// <summary>Plans for what is known of the node now.</summary>
    public IReadOnlyList<MapWrite> Apply(NodeFacts facts)
    {
        ArgumentNullException.ThrowIfNull(facts);
        var writes = new List<MapWrite>();
        SettingsValue settings = MakeSettings(facts);
        if (settings != _settings)
        {
            writes.Add(MapWrite.Put(ServiceMap.Settings, 0u, settings));
            _settings = settings;
        }

        ApplyAddresses(facts, writes);
        ApplyPodRanges(facts, writes);
        return writes;
    }

    private void ApplyAddresses(NodeFacts facts, List<MapWrite> writes)
    {
        var wanted = new Dictionary<NetworkAddress, NodeAddressFlags>();
        foreach (IpAddress address in facts.Addresses.Append(s_loopbackIpv4).Append(s_loopbackIpv6))
        {
            // The programs take any address of 127.0.0.0/8 for this one.
            IpAddress key = address is { IsLoopback: true, IsIpv4: true } ? s_loopbackIpv4 : address;
            bool servesPorts = facts.ServesNodePortsOn(address);
            wanted[key] = NodeAddressFlags.Source | (servesPorts ? NodeAddressFlags.Ports : NodeAddressFlags.None);
        }

        foreach ((NetworkAddress address, NodeAddressFlags flags) in wanted)
        {
            if (!_addresses.TryGetValue(address, out NodeAddressFlags present) || present != flags)
            {
                writes.Add(MapWrite.Put(ServiceMap.NodeAddresses, address, flags));
                _addresses[address] = flags;
            }
        }

        foreach (NetworkAddress address in _addresses.Keys.Where(address => !wanted.ContainsKey(address)).ToArray())
        {
            writes.Add(MapWrite.Delete(ServiceMap.NodeAddresses, address));
            _addresses.Remove(address);
        }
    }

    private void ApplyPodRanges(NodeFacts facts, List<MapWrite> writes)
    {
        var wanted = facts.PodRanges.Select(range => AddressRangeKey.From(range)).ToHashSet();
        foreach (AddressRangeKey range in wanted.Where(range => !_podRanges.Contains(range)))
        {
            writes.Add(MapWrite.Put(ServiceMap.PodRanges, range, 1u));
        }

        foreach (AddressRangeKey range in _podRanges.Where(range => !wanted.Contains(range)))
        {
            writes.Add(MapWrite.Delete(ServiceMap.PodRanges, range));
        }

        _podRanges.Clear();
        _podRanges.UnionWith(wanted);
    }

    private SettingsValue MakeSettings(NodeFacts facts)
    {
        IpAddress ipv4 = facts.PrimaryAddresses.FirstOrDefault(address => address.IsIpv4, IpAddress.AnyIpv4);
        IpAddress ipv6 = facts.PrimaryAddresses.FirstOrDefault(address => !address.IsIpv4, IpAddress.AnyIpv6);
        return new SettingsValue
        {
            NodeNetnsCookie = _cookie,
            NodeIpv4 = ipv4,
            NodeIpv6 = ipv6,
            MasqueradeFirst = _connections.MasqueradeFirst,
            MasqueradeLast = _connections.MasqueradeLast,
            NodePortFirst = _connections.NodePortFirst,
            NodePortLast = _connections.NodePortLast,
            Flags = (ipv4.IsAny ? SettingFlags.None : SettingFlags.Ipv4) | (ipv6.IsAny ? SettingFlags.None : SettingFlags.Ipv6),
            TcpTimeout = (uint)_connections.TcpTimeout.TotalSeconds,
            TcpOpeningTimeout = (uint)_connections.TcpOpeningTimeout.TotalSeconds,
            TcpClosingTimeout = (uint)_connections.TcpClosingTimeout.TotalSeconds,
            UdpTimeout = (uint)_connections.UdpTimeout.TotalSeconds,
            SctpTimeout = (uint)_connections.SctpTimeout.TotalSeconds,
            MaglevSize = (uint)_maglevSize,
        };
    }
}
