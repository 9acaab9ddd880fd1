// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>
/// Keeps the maps true to the cluster: takes changes, resolves the services that they touch, plans and writes. Whatever
/// waits when a batch is done goes into the next one together, so that a burst costs no more than it must and a single
/// change waits for nothing.
/// </summary>
public sealed partial class ServiceProxy
{
    /// <summary>Changes in one batch, so that what came first is not held up by what never ends.</summary>
    private const int LargestBatch = 4096;

    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(30);

    private readonly ServiceProxyOptions _options;
    private readonly IMapStore _store;
    private readonly MapWriter _writer;
    private readonly IProblemSink _problems;
    private readonly Lock _gate = new();
    private readonly ClusterState _cluster = new();
    private readonly Dictionary<ObjectName, ServiceState> _states = [];
    private readonly Dictionary<ObjectName, ImmutableArray<Problem>> _told = [];
    private readonly ProxyMetrics _metrics = new();
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Planner _planner;
    private NodePlanner _nodePlanner;
    private HostChanged? _host;
    private NodeFacts _facts;
    private int _failures;

    /// <summary>Begins with what the maps hold; writes nothing before services and endpoints are known as a whole.</summary>
    /// <param name="store">The maps.</param>
    /// <param name="options">What is configured.</param>
    /// <param name="problems">Is told of everything wrong, once.</param>
    public ServiceProxy(IMapStore store, ServiceProxyOptions options, IProblemSink problems)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(options);
        _store = store;
        _writer = new MapWriter(store);
        _options = options;
        _problems = problems;
        _facts = options.Node;
        Begin();
    }

    /// <summary>Completes when the maps were made right for the first time.</summary>
    public Task Synchronized => _synced.Task;

    /// <summary>Is told after each batch whose services have changed; on the proxy's thread.</summary>
    public Action<IReadOnlyCollection<ServiceState>>? Changed { get; set; }

    /// <summary>
    /// Is told after each batch which endpoints are in no slice of their service any more (one that terminates is still in it).
    /// </summary>
    public Action<IReadOnlyCollection<BackendEnd>>? EndpointsGone { get; set; }

    /// <summary>Works until there are no more changes, or it is cancelled. The maps stay as they are.</summary>
    public async Task RunAsync(ChannelReader<ClusterChange> changes, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(changes);
        var batch = new List<ClusterChange>();
        while (await changes.WaitToReadAsync(cancellation))
        {
            long arrived = Stopwatch.GetTimestamp();
            while (batch.Count < LargestBatch && changes.TryRead(out ClusterChange? change))
            {
                batch.Add(change);
            }

            Process(batch, arrived);
            batch.Clear();
            while (_failures > 0)
            {
                await Task.Delay(PauseAfter(_failures), cancellation);
                Rebuild();
            }
        }
    }

    private static TimeSpan PauseAfter(int failures) =>
        TimeSpan.FromMilliseconds(Math.Min(10 * Math.Pow(2, failures), s_longestPause.TotalMilliseconds));

    private static bool IsSame(NodeFacts left, NodeFacts right) =>
        left.Zone == right.Zone
        && left.PrimaryAddresses.SequenceEqual(right.PrimaryAddresses)
        && left.Addresses.SequenceEqual(right.Addresses)
        && left.PodRanges.SequenceEqual(right.PodRanges);

    /// <summary>Takes changes and makes the maps say the same.</summary>
    private void Process(List<ClusterChange> batch, long arrived)
    {
        lock (_gate)
        {
            _metrics.LastQueued = DateTimeOffset.UtcNow;
            bool wasComplete = _cluster.IsComplete;
            var touched = new HashSet<ObjectName>();
            foreach (ClusterChange change in batch)
            {
                Take(change, touched);
            }

            if (!_cluster.IsComplete)
            {
                return;
            }

            if (!wasComplete || UpdateFacts())
            {
                UpdateFacts();
                touched = [.. _states.Keys, .. _cluster.Services.Select(service => service.Metadata.FullName)];
            }

            Resolve(touched, out List<ServiceState> applied, out List<ObjectName> removed);
            Write(applied, removed, isWhole: !wasComplete, arrived);
            Tell(touched);
            TellGone(touched);
        }
    }

    private void Take(ClusterChange change, HashSet<ObjectName> touched)
    {
        switch (change)
        {
            case HostChanged host:
                _host = host;
                return;
            case NodeApplied { Node.Metadata.Name: var name } when name != _options.Node.Name:
                return;
            case NodeApplied:
                // Whether all services are to be resolved anew is decided by what the facts come to: a node tells its state often.
                _cluster.Apply(change);
                return;
            case ServiceApplied or ServiceRemoved or ServicesListed:
                _metrics.ServiceChanges++;
                break;
            default:
                _metrics.EndpointChanges++;
                break;
        }

        touched.UnionWith(_cluster.Apply(change));
    }

    /// <summary>Puts together what is known of the node, and writes it.</summary>
    /// <returns>Whether it is another than before.</returns>
    private bool UpdateFacts()
    {
        NodeFacts facts = _options.Node;
        if (_host is not null)
        {
            facts = facts with
            {
                Addresses = [.. facts.Addresses.Concat(_host.Addresses).Distinct()],
                PrimaryAddresses = [.. facts.PrimaryAddresses.Concat(_host.Primary).DistinctBy(address => address.IsIpv4)],
            };
        }

        facts = _cluster.Node is null ? facts : facts.With(_cluster.Node);
        bool differs = !IsSame(facts, _facts);
        _facts = facts;
        return differs;
    }

    private void Resolve(HashSet<ObjectName> touched, out List<ServiceState> applied, out List<ObjectName> removed)
    {
        applied = [];
        removed = [];
        foreach (ObjectName name in touched)
        {
            if (_cluster.FindService(name) is { } service)
            {
                ServiceState state = ServiceResolver.Resolve(service, _cluster.SlicesOf(name), _facts);
                _states[name] = state;
                applied.Add(state);
            }
            else if (_states.Remove(name))
            {
                removed.Add(name);
            }
        }
    }

    [MemberNotNull(nameof(_planner), nameof(_nodePlanner))]
    private void Begin()
    {
        MapContent content = _store.Read();
        _planner = Planner.Restore(content, new PlannerOptions
        {
            MaglevSize = _options.MaglevSize,
            Capacities = new MapCapacities(_store.CapacityOf),
        });
        _nodePlanner = new NodePlanner(content, _options.NodeCookie, _options.MaglevSize, _options.Connections);
    }
}
