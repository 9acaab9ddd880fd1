// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>
/// Turns policies and endpoints into what each class of clients gets. An external address is short-cut for clients inside:
/// under externalTrafficPolicy Local they reach the cluster's endpoints as if the packet had come back from outside to a node that has
/// one.
/// </summary>
internal sealed class FrontendBuilder
{
    private readonly ServiceSettings _settings;
    private readonly EndpointSelection _selection;
    private readonly NodeFacts _node;

    internal FrontendBuilder(ServiceSettings settings, EndpointSelection selection, NodeFacts node)
    {
        _settings = settings;
        _selection = selection;
        _node = node;
    }

    /// <summary>
    /// The frontends of a port in one family. An address named twice is one frontend: the stricter kind (the load balancer's, with
    /// source ranges) goes before an external address.
    /// </summary>
    internal ImmutableArray<Frontend> Build(FamilyAddresses family, PortSettings port)
    {
        ImmutableArray<Frontend>.Builder frontends = ImmutableArray.CreateBuilder<Frontend>();
        Add(frontends, InternalFrontend(new FrontendKey(family.Cluster, port.Port, port.Protocol), family));
        foreach (IpAddress address in family.LoadBalancer)
        {
            Add(frontends, LoadBalancerFrontend(new FrontendKey(address, port.Port, port.Protocol), family));
        }

        foreach (IpAddress address in family.External)
        {
            Add(frontends, ExternalFrontend(FrontendKind.ExternalIp, new FrontendKey(address, port.Port, port.Protocol)));
        }

        if (port.NodePort != 0)
        {
            IpAddress any = family.IsIpv6 ? IpAddress.AnyIpv6 : IpAddress.AnyIpv4;
            Add(frontends, ExternalFrontend(FrontendKind.NodePort, new FrontendKey(any, port.NodePort, port.Protocol)));
        }

        return frontends.ToImmutable();
    }

    /// <summary>The load balancer addresses are admitted with the ranges: on the way to itself a node uses them as its source.</summary>
    internal ImmutableArray<AddressRange> SourceRangesOf(FamilyAddresses family)
    {
        if (!_settings.HasSourceRanges || family.LoadBalancer.IsEmpty)
        {
            return [];
        }

        return AdmitsNode(family)
            ? [.. family.SourceRanges.Concat(family.LoadBalancer.Select(AddressRange.Of)).Distinct()]
            : [.. family.SourceRanges.Distinct()];
    }

    private static void Add(ImmutableArray<Frontend>.Builder frontends, Frontend frontend)
    {
        if (!frontends.Any(other => other.Key == frontend.Key))
        {
            frontends.Add(frontend);
        }
    }

    private Frontend InternalFrontend(FrontendKey key, FamilyAddresses family)
    {
        // Without ranges of pods nobody can be told to be outside, so nobody is masqueraded.
        bool masquerades = _node.MasqueradeAll || KnowsPods(family.IsIpv6);
        FrontendView pod = Scoped(_settings.IsInternalLocal, _node.MasqueradeAll);
        FrontendView others = Scoped(_settings.IsInternalLocal, masquerades);
        return new Frontend(key, FrontendKind.ClusterIp, pod, others, others);
    }

    private Frontend ExternalFrontend(FrontendKind kind, FrontendKey key)
    {
        if (!_settings.IsExternalLocal)
        {
            FrontendView all = Scoped(isLocal: false, masquerades: true);
            return new Frontend(key, kind, all, all, all);
        }

        // A socket's program knows a pod by its namespace, a packet's only by the ranges: without them both take it for a client outside.
        FrontendView external = Scoped(isLocal: true, masquerades: false);
        return new Frontend(
            key,
            kind,
            Pod: KnowsPods(!key.Address.IsIpv4) ? Scoped(isLocal: false, masquerades: false) : external,
            Node: Scoped(isLocal: false, masquerades: true),
            External: external);
    }

    private bool KnowsPods(bool isIpv6) => _node.PodRanges.Any(range => range.Address.IsIpv4 != isIpv6);

    private Frontend LoadBalancerFrontend(FrontendKey key, FamilyAddresses family)
    {
        Frontend frontend = ExternalFrontend(FrontendKind.LoadBalancer, key);
        if (!_settings.HasSourceRanges)
        {
            return frontend;
        }

        bool nodeAllowed = AdmitsNode(family);
        return frontend with
        {
            Pod = Checked(frontend.Pod, nodeAllowed: false),
            Node = Checked(frontend.Node, nodeAllowed),
            External = Checked(frontend.External, nodeAllowed: false),
        };
    }

    /// <summary>A service without any endpoint refuses everybody; who may come in is asked after that, as with kube-proxy.</summary>
    private static FrontendView Checked(FrontendView view, bool nodeAllowed) => view.Action == FrontendAction.Forward
        ? view with { ChecksSource = true, NodeAllowed = nodeAllowed } : view;

    private FrontendView Scoped(bool isLocal, bool masquerades)
    {
        if (!_selection.HasAny)
        {
            return new FrontendView(FrontendAction.Reject, EndpointScope.Cluster);
        }

        if (!isLocal)
        {
            return new FrontendView(FrontendAction.Forward, EndpointScope.Cluster, masquerades);
        }

        return _selection.Local.Length > 0
            ? new FrontendView(FrontendAction.Forward, EndpointScope.Local, masquerades)
            : new FrontendView(FrontendAction.Drop, EndpointScope.Local);
    }

    private bool AdmitsNode(FamilyAddresses family)
    {
        foreach (IpAddress address in _node.PrimaryAddresses)
        {
            if (family.SourceRanges.Any(range => range.Contains(address)))
            {
                return true;
            }
        }

        return false;
    }
}
