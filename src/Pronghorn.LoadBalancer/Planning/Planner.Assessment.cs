// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>What the planner tells of its state.</summary>
public sealed partial class Planner
{
    /// <summary>What the maps hold once all plans are executed; of counters, who has one.</summary>
    public MapContent Describe()
    {
        var content = new MapContent();
        foreach (FrontendEntry entry in _frontends.Entries)
        {
            content.Services.Add(ServiceKey.From(entry.Key), entry.Written);
        }

        foreach (BackendEntry entry in _backends.Entries)
        {
            content.Backends.Add(entry.Id, BackendValue.From(entry.ToBackend()));
        }

        foreach (ServiceRecord service in _services.Values)
        {
            foreach (PortRecord port in service.Ports.Values)
            {
                Describe(port, content);
            }
        }

        return content;
    }

    /// <summary>Identifiers of the service ports that are in the maps.</summary>
    public IReadOnlyDictionary<ServicePortName, uint> ReadIdentifiers() =>
        _services.Values.SelectMany(service => service.Ports).ToDictionary(port => port.Key, port => port.Value.Id);

    private static void Describe(PortRecord port, MapContent content)
    {
        content.Counted.Add(port.Id);
        foreach (AddressRange range in port.Ranges)
        {
            content.SourceRanges.Add(SourceRangeKey.From(port.Id, range));
        }

        foreach (BackendSet set in port.Sets)
        {
            for (int slot = 0; slot < set.Count; slot++)
            {
                content.Slots.Add(new SlotKey { Set = set.Id, Slot = (uint)slot }, set[slot].Id);
                if (set.HasMembers)
                {
                    content.Members.Add(new MemberKey { Set = set.Id, Backend = set[slot].Id });
                }
            }

            if (set.HasTable)
            {
                content.Tables.Add(set.Id, []);
            }
        }
    }

    /// <summary>Works out anew which claims of the services in question lose.</summary>
    private void AssessConflicts()
    {
        foreach (ServiceRecord service in _disputed)
        {
            ImmutableArray<Problem> problems = ConflictsOf(service);
            if (!problems.SequenceEqual(service.Problems))
            {
                service.Problems = problems;
                _reassessed.Add(service.Name);
            }
        }

        _disputed.Clear();
    }

    private static ImmutableArray<Problem> ConflictsOf(ServiceRecord service)
    {
        var problems = new List<Problem>();
        foreach (FrontendEntry entry in service.Claims)
        {
            if (entry.Owner!.Service != service && entry.ClaimOf(service) is { } claim)
            {
                problems.Add(new Problem(
                    $"Service {service.Name}",
                    FieldOf(claim),
                    $"{Text(entry.Key)} is already served for Service {entry.Owner.Service.Name}, which is older or, at equal age, "
                        + "comes first by name. It stays with that one; change either of them."));
            }
        }

        return [.. problems];
    }

    private static string Text(in FrontendKey key)
    {
        string protocol = key.Protocol.ToString().ToUpperInvariant();
        if (key.Address.IsAny)
        {
            return $"node port {key.Port}/{protocol}";
        }

        return key.Address.IsIpv4 ? $"{key.Address}:{key.Port}/{protocol}" : $"[{key.Address}]:{key.Port}/{protocol}";
    }

    private static string FieldOf(Claim claim) => claim.Frontend.Kind switch
    {
        FrontendKind.ClusterIp => "spec.clusterIPs",
        FrontendKind.NodePort => claim.Port.State.Name.Port.Length == 0
            ? "spec.ports[0].nodePort"
            : $"spec.ports[name={claim.Port.State.Name.Port}].nodePort",
        FrontendKind.LoadBalancer => "status.loadBalancer.ingress",
        _ => "spec.externalIPs",
    };
}

/// <summary>Orders names by their octets, the namespace first.</summary>
internal sealed class ObjectNameOrder : IComparer<ObjectName>
{
    public static ObjectNameOrder Instance { get; } = new();

    public int Compare(ObjectName x, ObjectName y)
    {
        int order = string.CompareOrdinal(x.Namespace, y.Namespace);
        return order != 0 ? order : string.CompareOrdinal(x.Name, y.Name);
    }
}
