// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>TCP to ClusterIPs: new connections, and requests on kept ones.</summary>
internal sealed class ConnectionMeasurements
{
    private const double WarmUpSeconds = 0.1;

    /// <summary>More than this part of operations failed: the figure means nothing.</summary>
    private const double FailureShare = 0.001;

    private readonly ServiceStage _stage;
    private readonly ServicesBenchmarkOptions _options;
    private readonly ServiceResults _results;
    private readonly CancellationToken _cancellation;

    internal ConnectionMeasurements(
        ServiceStage stage, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        _stage = stage;
        _options = options;
        _results = results;
        _cancellation = cancellation;
    }

    private delegate TrafficRun Client(
        ServiceNode node, NetworkNamespace from, string targets, double seconds, CancellationToken cancellation);

    private BenchmarkCluster Cluster => _stage.Cluster;

    /// <summary>All of them, in rounds.</summary>
    internal void Run()
    {
        foreach (ServiceWay way in _stage.Ways)
        {
            // Addresses are resolved and code is warm before anything counts.
            string targets = way.HasServices ? Cluster.Targets(ServicePositions.First) : Cluster.Backends();
            TrafficProgram.Connect(way.Node, way.Node.Pods[1], targets, WarmUpSeconds, _cancellation);
            TrafficProgram.Connect(way.Node, way.Node.Node, targets, WarmUpSeconds, _cancellation);
        }

        for (int round = 0; round < _options.Rounds; round++)
        {
            Terminal.Note($"    connections, round {round + 1} of {_options.Rounds}");
            foreach (string position in _options.Positions(Cluster.Services))
            {
                ThroughServices(round, position);
            }

            foreach (ServiceWay way in _stage.InTurn(round))
            {
                NetworkNamespace pod = way.Node.Pods[1];
                Measure(way, ServiceMetric.ConnectionsDirect, ServicePositions.None, TrafficProgram.Connect, pod, Cluster.Backends());
            }
        }
    }

    private void ThroughServices(int round, string position)
    {
        string targets = Cluster.Targets(position);
        bool isLast = position == _options.Positions(Cluster.Services)[^1];
        foreach (ServiceWay way in _stage.InTurn(round))
        {
            if (way.HasServices)
            {
                Measure(way, ServiceMetric.ConnectionsPod, position, TrafficProgram.Connect, way.Node.Pods[1], targets);
            }
        }

        // One position says it for these: connections from the node walk the same rules, requests walk none of them.
        foreach (ServiceWay way in isLast ? _stage.InTurn(round) : (IEnumerable<ServiceWay>)[])
        {
            if (way.HasServices)
            {
                Measure(way, ServiceMetric.ConnectionsNode, position, TrafficProgram.Connect, way.Node.Node, targets);
                Measure(way, ServiceMetric.Requests, position, TrafficProgram.Request, way.Node.Pods[1], targets);
            }
            else
            {
                string backends = Cluster.Backends();
                Measure(way, ServiceMetric.ConnectionsNode, position, TrafficProgram.Connect, way.Node.Node, backends);
                Measure(way, ServiceMetric.Requests, position, TrafficProgram.Request, way.Node.Pods[1], backends);
            }
        }
    }

    private void Measure(
        ServiceWay way, ServiceMetric metric, string position, Client client, NetworkNamespace from, string targets)
    {
        TrafficRun run = client(way.Node, from, targets, _options.Seconds, _cancellation);
        if (run.Operations == 0 || run.Failures > run.Operations * FailureShare)
        {
            _results.Fail(string.Create(
                CultureInfo.InvariantCulture,
                $"{metric.Name}, {Cluster.Services} services, {position}, {way.Name}: {run.Failures} failures beside "
                + $"{run.Operations} successes"));
            return;
        }

        _results.Add(metric, Cluster.Services, position, way.Name, run.Rate);
        _results.Add(metric.Cpu, Cluster.Services, position, way.Name, run.CpuSecondsPerMillion);
    }
}
