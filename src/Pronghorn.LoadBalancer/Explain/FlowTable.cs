// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>
/// Does in user space what the programs of the data plane do with the tables: find the frontend, take the view of the client's class.
/// It says what should happen to a packet, so it is also what the programs are tested against.
/// </summary>
public sealed class FlowTable
{
    private readonly Dictionary<FrontendKey, (ServiceState Service, ServicePortState Port, Frontend Frontend)> _frontends = [];
    private readonly Dictionary<ushort, ObjectName> _healthChecks = [];
    private readonly NodeFacts _node;

    /// <summary>Makes the table of resolved services. Of two that claim one address and port, the older has it.</summary>
    public FlowTable(IEnumerable<ServiceState> services, NodeFacts node)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(node);
        _node = node;
        foreach (ServiceState service in services
            .OrderBy(service => service.Created ?? DateTimeOffset.MaxValue)
            .ThenBy(service => service.Name.ToString(), StringComparer.Ordinal))
        {
            Add(service);
        }
    }

    /// <summary>What becomes of a flow.</summary>
    public FlowVerdict Evaluate(Flow flow)
    {
        ArgumentNullException.ThrowIfNull(flow);
        ClientClass client = _node.ClassOf(flow.Source);
        if (!TryFind(flow, out (ServiceState Service, ServicePortState Port, Frontend Frontend) found))
        {
            bool isHealthCheck = flow.Protocol == IpProtocol.Tcp && _node.IsOwn(flow.Destination);
            return isHealthCheck && _healthChecks.TryGetValue(flow.Port, out ObjectName owner)
                ? new FlowVerdict { Outcome = FlowOutcome.Accept, Client = client, Service = owner }
                : new FlowVerdict { Outcome = FlowOutcome.Pass, Client = client };
        }

        FrontendView view = found.Frontend[client];
        FlowVerdict verdict = new()
        {
            Outcome = FlowOutcome.Reject,
            Client = client,
            Service = found.Service.Name,
            Port = found.Port,
            Frontend = found.Frontend,
        };
        if (view.ChecksSource && !IsAdmitted(flow.Source, client, view, found.Port))
        {
            return verdict with { Outcome = FlowOutcome.Drop, IsOutsideSourceRanges = true };
        }

        return view.Action switch
        {
            FrontendAction.Forward => Forward(verdict, view, flow),
            FrontendAction.Drop => verdict with { Outcome = FlowOutcome.Drop },
            _ => verdict,
        };
    }

    private static FlowVerdict Forward(FlowVerdict verdict, FrontendView view, Flow flow)
    {
        ImmutableArray<Backend> backends = verdict.Port!.BackendsOf(view.Scope);
        return verdict with
        {
            Outcome = FlowOutcome.Forward,
            Backends = backends,
            // A pod that is sent to itself would see its own address as the sender and answer without the way back.
            Masquerades = view.Masquerade || backends.Any(backend => backend.Address == flow.Source),
        };
    }

    /// <summary>The node's own connections are translated at the socket, where their source is not known yet.</summary>
    private static bool IsAdmitted(IpAddress source, ClientClass client, FrontendView view, ServicePortState port) =>
        client == ClientClass.Node ? view.NodeAllowed : port.SourceRanges.Any(range => range.Contains(source));

    private bool TryFind(Flow flow, out (ServiceState Service, ServicePortState Port, Frontend Frontend) found)
    {
        if (_frontends.TryGetValue(new FrontendKey(flow.Destination, flow.Port, flow.Protocol), out found))
        {
            return true;
        }

        IpAddress any = flow.Destination.IsIpv4 ? IpAddress.AnyIpv4 : IpAddress.AnyIpv6;
        return _node.ServesNodePortsOn(flow.Destination)
            && _frontends.TryGetValue(new FrontendKey(any, flow.Port, flow.Protocol), out found);
    }

    private void Add(ServiceState service)
    {
        foreach (ServicePortState port in service.Ports)
        {
            foreach (Frontend frontend in port.Frontends)
            {
                _frontends.TryAdd(frontend.Key, (service, port, frontend));
            }
        }

        if (service.HealthCheckNodePort != 0)
        {
            _healthChecks.TryAdd(service.HealthCheckNodePort, service.Name);
        }
    }
}
