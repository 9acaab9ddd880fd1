// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Services;

/// <summary>
/// Compares flow cases with what really happens: each state is brought about in namespaces, each flow is sent by real sockets, and
/// the servers that get it are the result. Flows from pods and from the node go through the socket layer, those from outside through the
/// packet layer.
/// </summary>
/// <remarks>
/// The source's address is compared where a packet was translated only: a connection that is translated at connect() keeps its own.
/// A flow that no service has and one that is let in to a health check both reach whoever has the address, so they are not told apart.
/// </remarks>
public sealed class LiveFlows : IDisposable
{
    /// <summary>Attempts that a flow is given at least; a backend that should not be chosen shows itself in so many.</summary>
    private const int FewestAttempts = 12;

    /// <summary>Attempts after which a backend that was not seen is not chosen: one of three is missed once in 10^10.</summary>
    private const int MostAttempts = 60;

    private const string RemoteInterface = "pod2";

    /// <summary>An answer over veth takes microseconds; this is longer than the second after which a lost SYN is sent again.</summary>
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(2);

    private readonly LiveAddresses _addresses;
    private readonly ServiceLab _lab;

    /// <summary>Builds the namespaces. Needs root.</summary>
    /// <param name="problems">Is told of what is wrong with the objects of a case.</param>
    public LiveFlows(IProblemSink problems)
    {
        ServiceNode node = ServiceNode.Create(new ServiceNodeOptions { Pods = 3 });
        try
        {
            _lab = new ServiceLab(node, [ServiceNode.EdgeInterface, RemoteInterface], problems);
        }
        catch
        {
            node.Dispose();
            throw;
        }

        _addresses = new LiveAddresses(node);
    }

    /// <summary>Brings about the states and sends the flows, one after the other.</summary>
    public async Task<FlowCaseReport> CompareAsync(IEnumerable<FlowCase> cases)
    {
        ArgumentNullException.ThrowIfNull(cases);
        List<FlowDifference> differences = [];
        int flows = 0;
        foreach (FlowCase one in cases)
        {
            NodeFacts facts = await BringAboutAsync(one);
            foreach (CaseFlow wanted in one.Flows ?? [])
            {
                flows++;
                Flow flow = wanted.ToFlow();
                (string actual, bool? masquerades) = await SendAsync(one, facts, wanted, flow);
                if (FlowCases.Difference(one, wanted, flow, actual, masquerades) is { } difference)
                {
                    differences.Add(difference);
                }
            }
        }

        return new FlowCaseReport(flows, flows - differences.Count, differences);
    }

    /// <inheritdoc/>
    public void Dispose() => _lab.Dispose();

    private static IPEndPoint End(IpAddress address, int port) => new(IPAddress.Parse(address.ToString()), port);

    private static string OutputOf(ProbeResult result, CaseFlow wanted, IReadOnlyCollection<Server> strays)
    {
        if (result.Server is { } server && strays.Contains(server))
        {
            return wanted.Output == "ACCEPT" ? "ACCEPT" : "";
        }

        return result.ToString();
    }

    private async Task<NodeFacts> BringAboutAsync(FlowCase one)
    {
        NodeFacts facts = one.ToNodeFacts();

        // The cases name one primary address; a node of two families has one of each, and masquerades by it.
        facts = facts with
        {
            PrimaryAddresses = [.. facts.PrimaryAddresses.Concat(facts.Addresses).DistinctBy(address => address.IsIpv4)],
        };
        _addresses.SetNode(facts.Addresses);
        _addresses.SetBackends(from slice in one.EndpointSlices ?? []
                               from endpoint in slice.Endpoints ?? []
                               from address in endpoint.Addresses ?? []
                               select (IpAddress.Parse(address), endpoint.NodeName == facts.Name));
        _lab.Restart(facts);
        await _lab.ApplyAsync(new ServicesListed(one.Services ?? []), new EndpointSlicesListed(one.EndpointSlices ?? []));
        _lab.ForgetConnections();
        return facts;
    }

    private async Task<(string Output, bool? Masquerades)> SendAsync(FlowCase one, NodeFacts facts, CaseFlow wanted, Flow flow)
    {
        NetworkNamespace place = _addresses.PlaceOf(flow, facts);
        bool isOutside = ReferenceEquals(place, _lab.Node.External);
        bool isNode = ReferenceEquals(place, _lab.Node.Node);
        using IDisposable added = _addresses.Add(flow, place, facts);
        List<Server> strays = [];
        List<Server> servers = [];
        try
        {
            Server stray = _lab.Listen(_addresses.StrayPlace(flow, facts), flow.Protocol, End(flow.Destination, flow.Port));
            strays.Add(stray);
            servers = [stray, .. ListenAsBackends(one, flow)];

            // A client on the node leaves its address to the kernel; from a loopback address none leads to a pod.
            bool isBound = !isNode || (flow.Source == flow.Destination && !flow.Source.IsLoopback);
            IPEndPoint? local = isBound ? End(flow.Source, 0) : null;
            HashSet<string> expected = [.. (wanted.Output ?? "").Split(',', StringSplitOptions.TrimEntries)];
            HashSet<string> found = [];
            bool? masquerades = null;
            for (int attempt = 0; attempt < MostAttempts; attempt++)
            {
                using Socket client = _lab.Open(place, flow.Protocol, local, isIpv6: !flow.Destination.IsIpv4)[0];
                ProbeResult result = Probe.Send(client, End(flow.Destination, flow.Port), servers, s_silence);
                found.Add(OutputOf(result, wanted, strays));
                bool isTranslatedPacket = isOutside && result.Server is { } server && !strays.Contains(server);
                if (isTranslatedPacket)
                {
                    masquerades = (masquerades ?? false) || !result.Source!.Address.Equals(local!.Address);
                }

                bool isWrong = !found.IsSubsetOf(expected);
                bool isChosen = result.Outcome == ProbeOutcome.Answered;
                if (isWrong || !isChosen || (attempt + 1 >= FewestAttempts && expected.IsSubsetOf(found)))
                {
                    break;
                }
            }

            return (string.Join(", ", found), masquerades);
        }
        finally
        {
            servers.ForEach(server => server.Dispose());
        }
    }

    /// <summary>Servers at all endpoints of the flow's protocol, whether they should be chosen or not.</summary>
    private IEnumerable<Server> ListenAsBackends(FlowCase one, Flow flow)
    {
        IEnumerable<(IpAddress Address, int Port)> ends =
            from slice in one.EndpointSlices ?? []
            from port in slice.Ports ?? []
            where port.Port is not null && Protocols.TryParse(port.Protocol, out IpProtocol protocol) && protocol == flow.Protocol
            from endpoint in slice.Endpoints ?? []
            from address in endpoint.Addresses ?? []
            select (IpAddress.Parse(address), port.Port!.Value);
        return from end in ends.Distinct()
               select _lab.Listen(_addresses.BackendPlace(end.Address), flow.Protocol, End(end.Address, end.Port));
    }
}
