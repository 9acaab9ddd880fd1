// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Threading;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>UDP packets from outside to node ports.</summary>
internal sealed class PacketMeasurements : IDisposable
{
    /// <summary>Flows without packets are forgotten after this time, in every way.</summary>
    internal static readonly TimeSpan FlowTimeout = TimeSpan.FromSeconds(2);

    private const int KnownFlows = 256;
    private const int WarmUpPackets = 4096;

    /// <summary>Few enough that connection tracking (262,144 entries by default) has room for all rounds.</summary>
    private const int NewFlows = 20_000;

    private readonly ServiceStage _stage;
    private readonly ServicesBenchmarkOptions _options;
    private readonly ServiceResults _results;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<ServiceWay, PacketGenerator> _generators = [];

    internal PacketMeasurements(
        ServiceStage stage, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        _stage = stage;
        _options = options;
        _results = results;
        _cancellation = cancellation;
    }

    private TimeSpan Time => TimeSpan.FromSeconds(_options.Seconds);

    /// <summary>All of them, in rounds.</summary>
    internal void Run()
    {
        foreach (ServiceWay way in _stage.Ways)
        {
            SetUp(way);
        }

        for (int round = 0; round < _options.Rounds; round++)
        {
            Terminal.Note($"    packets, round {round + 1} of {_options.Rounds}");
            foreach (string position in _options.Positions(_stage.Cluster.Services))
            {
                foreach (ServiceWay way in _stage.InTurn(round))
                {
                    Measure(way, position);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PacketGenerator generator in _generators.Values)
        {
            generator.Dispose();
        }
    }

    private void SetUp(ServiceWay way)
    {
        PacketGenerator generator = PacketGenerator.Create(way.Node, way.OwnsEdge, countsAtEdge: !way.HasServices);
        _generators.Add(way, generator);
        if (way is PronghornWay ours)
        {
            // The backend's end takes redirected frames, because the counting program is there.
            ours.RedirectTo(generator.PodIndex);
        }

        // Every neighbour is known before packets come that nobody answers.
        way.Node.Pods[0].Run(
            "ip", "neigh", "replace", ServiceNode.GatewayAddress, "lladdr", generator.PodMac, "dev", ServiceNode.Interface);
        for (int i = 0; i < _stage.Cluster.Endpoints; i++)
        {
            way.Node.Node.Run(
                "ip", "neigh", "replace", ServiceNode.MoreAddress(i), "lladdr", generator.BackendMac, "dev", ServiceNode.PodInterface(0));
        }

        if (way.HasServices && way is RuleWay)
        {
            // As for ours: flows of former rounds do not fill connection tracking.
            way.Node.Node.TryRun("sysctl", "-qw", $"net.netfilter.nf_conntrack_udp_timeout={FlowTimeout.TotalSeconds}");
        }
    }

    private void Measure(ServiceWay way, string position)
    {
        int services = _stage.Cluster.Services;
        PacketGenerator generator = _generators[way];
        int[] ports = [.. ServicePositions.Targets(services, position).Select(BenchmarkCluster.NodePort)];
        generator.Aim(KnownFlows, ports);
        generator.Run(Time, WarmUpPackets, _cancellation);
        PacketRun known = generator.Run(Time, long.MaxValue, _cancellation);
        _cancellation.ThrowIfCancellationRequested();
        if (!way.HasServices)
        {
            Add(ServiceMetric.Ceiling, way, ServicePositions.None, known);
            return;
        }

        generator.Aim(long.MaxValue, ports);
        PacketRun fresh = generator.Run(Time, NewFlows, _cancellation);
        _cancellation.ThrowIfCancellationRequested();
        Add(ServiceMetric.PacketsEstablished, way, position, known);
        Add(ServiceMetric.PacketsNew, way, position, fresh);
    }

    private void Add(ServiceMetric metric, ServiceWay way, string position, PacketRun run)
    {
        if (run.Delivered == 0)
        {
            _results.Fail($"{metric.Name}, {_stage.Cluster.Services} services, {position}, {way.Name}: of {run.Sent} packets none arrived");
            return;
        }

        _results.Add(metric, _stage.Cluster.Services, position, way.Name, run.Rate);
        Terminal.Note(string.Create(
            CultureInfo.InvariantCulture,
            $"        {way.Name,-16} {position,-7} {metric.Name,-20} {run.Rate / 1e6:0.0000} M/s, "
            + $"{100.0 * run.Delivered / Math.Max(run.Sent, 1):0} % of those sent"));
    }
}
