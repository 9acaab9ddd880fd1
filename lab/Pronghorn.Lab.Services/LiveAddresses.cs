// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Services;

/// <summary>Gives the namespaces of a <see cref="ServiceNode"/> with three pods the addresses that flow cases speak of.</summary>
/// <remarks>The first pod has the clients' addresses, the second those of the node's own endpoints, the third all others.</remarks>
internal sealed class LiveAddresses(ServiceNode node)
{
    private const int ClientPod = 0;
    private const int LocalPod = 1;
    private const int RemotePod = 2;

    private readonly HashSet<IpAddress> _own = [];
    private readonly HashSet<IpAddress> _clients = [];
    private readonly HashSet<IpAddress> _outside = [];
    private readonly Dictionary<IpAddress, int> _backends = [];

    internal void SetNode(IEnumerable<IpAddress> addresses)
    {
        foreach (IpAddress address in addresses)
        {
            if (_own.Add(address) && address.ToString() != ServiceNode.NodeAddress)
            {
                Change(node.Node, "add", address, ServiceNode.EdgeInterface);
            }
        }
    }

    internal void SetBackends(IEnumerable<(IpAddress Address, bool IsLocal)> wanted)
    {
        foreach ((IpAddress address, bool isLocal) in wanted)
        {
            int pod = isLocal ? LocalPod : RemotePod;
            if (_backends.TryGetValue(address, out int before))
            {
                if (before == pod)
                {
                    continue;
                }

                Change(node.Pods[before], "delete", address, ServiceNode.Interface);
            }

            // An address is of one place only: a client in one state may be an endpoint in another.
            if (_clients.Remove(address))
            {
                Change(node.Pods[ClientPod], "delete", address, ServiceNode.Interface);
            }

            AddToPod(pod, address);
            _backends[address] = pod;
        }
    }

    internal NetworkNamespace BackendPlace(IpAddress address) => node.Pods[_backends[address]];

    /// <summary>Where a flow comes from. What comes from its own destination comes from the node, which has that address, too.</summary>
    internal NetworkNamespace PlaceOf(Flow flow, NodeFacts facts)
    {
        if (facts.IsOwn(flow.Source) || flow.Source == flow.Destination)
        {
            return node.Node;
        }

        if (_backends.TryGetValue(flow.Source, out int pod))
        {
            return node.Pods[pod];
        }

        return FlowCase.IsPod(flow.Source) ? node.Pods[ClientPod] : node.External;
    }

    /// <summary>Where a flow arrives that is not translated.</summary>
    internal NetworkNamespace StrayPlace(Flow flow, NodeFacts facts) => facts.IsOwn(flow.Destination) || flow.Source == flow.Destination
        || ReferenceEquals(PlaceOf(flow, facts), node.External) ? node.Node : node.External;

    /// <summary>Adds the addresses that a flow needs; those that stand for something else in other flows go when it is disposed.</summary>
    internal IDisposable Add(Flow flow, NetworkNamespace source, NodeFacts facts)
    {
        var passing = new Removal();
        if (ReferenceEquals(source, node.Pods[ClientPod]) && _clients.Add(flow.Source))
        {
            AddToPod(ClientPod, flow.Source);
        }
        else if (ReferenceEquals(source, node.External) && !_outside.Contains(flow.Source))
        {
            _outside.Add(flow.Source);
            Change(node.External, "add", flow.Source, ServiceNode.Interface);
            passing.Add(() =>
            {
                _outside.Remove(flow.Source);
                Change(node.External, "delete", flow.Source, ServiceNode.Interface);
            });
        }

        if (!facts.IsOwn(flow.Destination))
        {
            NetworkNamespace stray = StrayPlace(flow, facts);
            Change(stray, "add", flow.Destination, "lo");
            passing.Add(() => Change(stray, "delete", flow.Destination, "lo"));
        }

        return passing;
    }

    private static void Change(NetworkNamespace place, string verb, IpAddress address, string name) => LabCommand.Run(
        "ip",
        ["-n", place.Name, "address", verb, Prefix(address), "dev", name, .. verb == "add" && !address.IsIpv4 ? ["nodad"] : (string[])[]]);

    private static string Prefix(IpAddress address) => address.IsIpv4 ? $"{address}/32" : $"{address}/128";

    private void AddToPod(int pod, IpAddress address)
    {
        Change(node.Pods[pod], "add", address, ServiceNode.Interface);
        string family = address.IsIpv4 ? "-4" : "-6";
        LabCommand.Run(
            "ip", "-n", node.Node.Name, family, "route", "replace", Prefix(address), "dev", ServiceNode.PodInterface(pod));
    }

    private sealed class Removal : IDisposable
    {
        private readonly List<Action> _actions = [];

        public void Add(Action action) => _actions.Add(action);

        public void Dispose() => Enumerable.Reverse(_actions).ToList().ForEach(action => action());
    }
}
