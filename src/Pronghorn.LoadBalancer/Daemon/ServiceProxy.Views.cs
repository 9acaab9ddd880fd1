// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Web;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>What a proxy tells of itself, from any thread.</summary>
public sealed partial class ServiceProxy
{
    /// <summary>What is known of the node.</summary>
    public NodeFacts Facts
    {
        get
        {
            lock (_gate)
            {
                return _facts;
            }
        }
    }

    /// <summary>All services as they are resolved, by name.</summary>
    public ImmutableArray<ServiceState> ReadServices()
    {
        lock (_gate)
        {
            return [.. _states.Values.OrderBy(state => state.Name.ToString(), StringComparer.Ordinal)];
        }
    }

    /// <summary>What is wrong with each service that something is wrong with.</summary>
    public IReadOnlyDictionary<ObjectName, ImmutableArray<Problem>> ReadProblemsByService()
    {
        lock (_gate)
        {
            return _told.ToImmutableDictionary();
        }
    }

    /// <summary>Everything that is wrong now.</summary>
    public ImmutableArray<Problem> ReadProblems()
    {
        lock (_gate)
        {
            return [.. _told.Values.SelectMany(problems => problems)];
        }
    }

    /// <summary>Identifiers of service ports, by name.</summary>
    public IReadOnlyDictionary<ServicePortName, uint> ReadIdentifiers()
    {
        lock (_gate)
        {
            return _planner.ReadIdentifiers();
        }
    }

    /// <summary>Entries of each map: used, and how many there may be.</summary>
    public ImmutableArray<(ServiceMap Map, int Used, int Capacity)> ReadUsage()
    {
        lock (_gate)
        {
            ServiceMap[] maps =
            [
                ServiceMap.Services, ServiceMap.Slots, ServiceMap.Backends, ServiceMap.Members, ServiceMap.SourceRanges,
                ServiceMap.ServiceCounts, ServiceMap.Maglev,
            ];
            return [.. maps.Select(map => (map, _planner.UsedOf(map), _store.CapacityOf(map)))];
        }
    }

    /// <summary>Batches written, entries written, and when the maps were last made right.</summary>
    public (long Batches, long Writes, DateTimeOffset LastSync) ReadProgress()
    {
        lock (_gate)
        {
            return (_metrics.SyncDuration.Count, _metrics.Writes, _metrics.LastSync);
        }
    }

    /// <summary>Whether the maps have all that was told, none of it left out for want of room, and since when.</summary>
    public (bool IsHealthy, DateTimeOffset LastSync) ReadHealth()
    {
        lock (_gate)
        {
            return (_synced.Task.IsCompletedSuccessfully && _failures == 0 && _planner.Pending.Count == 0, _metrics.LastSync);
        }
    }

    /// <summary>Says what would happen to a flow now, and why. Changes wait meanwhile.</summary>
    public FlowExplanation Explain(Flow flow)
    {
        lock (_gate)
        {
            return new FlowExplainer(_cluster, _facts).Explain(flow);
        }
    }

    /// <summary>Writes the metrics.</summary>
    internal void WriteMetrics(MetricsText text)
    {
        lock (_gate)
        {
            _metrics.Write(text);
        }
    }
}
