// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.DataPlane;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>The ways side by side, each on its own node, with the same services.</summary>
internal sealed class ServiceStage : IDisposable
{
    private readonly List<ServiceWay> _ways = [];

    private ServiceStage(BenchmarkCluster cluster) => Cluster = cluster;

    /// <summary>The services.</summary>
    internal BenchmarkCluster Cluster { get; }

    /// <summary>The ways that were set up.</summary>
    internal IReadOnlyList<ServiceWay> Ways => _ways;

    /// <summary>Sets the ways up; one that fails, or takes too long, is left out and said.</summary>
    internal static ServiceStage Create(
        BenchmarkCluster cluster, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        var stage = new ServiceStage(cluster);
        try
        {
            foreach (string name in options.Ways)
            {
                stage.Load(name, options, results, cancellation);
            }

            return stage;
        }
        catch
        {
            stage.Dispose();
            throw;
        }
    }

    /// <summary>The ways in an order that differs from round to round, so that none always comes first.</summary>
    internal IEnumerable<ServiceWay> InTurn(int round) =>
        Enumerable.Range(0, _ways.Count).Select(index => _ways[(index + round) % _ways.Count]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ServiceWay way in _ways)
        {
            way.Dispose();
        }
    }

    private static long KernelMemory() => File.ReadLines("/proc/meminfo")
        .Where(line => line.StartsWith("Slab:", StringComparison.Ordinal) || line.StartsWith("VmallocUsed:", StringComparison.Ordinal)
            || line.StartsWith("Percpu:", StringComparison.Ordinal))
        .Sum(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));

    private void Load(string name, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        ServiceWay way = Make(name);
        try
        {
            long memory = KernelMemory();
            way.Start();
            long began = Stopwatch.GetTimestamp();
            way.Load(Cluster, options.LoadLimit, cancellation);
            double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
            Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"    {name}: set up in {seconds:0.0} s"));
            if (way.HasServices && !Cluster.HasNodePorts)
            {
                double mebibytes = Math.Max(0, KernelMemory() - memory) / 1024.0;
                results.Add(ServiceMetric.Load, Cluster.Services, ServicePositions.None, name, seconds);

                // With what is there for services, however few.
                results.Add(ServiceMetric.KernelMemory, Cluster.Services, ServicePositions.None, name, mebibytes);
            }

            _ways.Add(way);
        }
        catch (CommandException failure)
        {
            way.Dispose();
            results.Fail($"{Cluster.Services} services, {name}: left out: {failure.Message}");
        }
        catch
        {
            way.Dispose();
            throw;
        }
    }

    private ServiceWay Make(string name)
    {
        try
        {
            // A node with a name is left alone by the lab's own signal handlers: here, measuring stops first.
            ServiceNode node = ServiceNode.Create(new ServiceNodeOptions
            {
                Name = LabCleanup.CreatePrefix(),
                Ipv6 = false,
                MoreAddresses = Cluster.Endpoints,
                DisableOffloads = Cluster.HasNodePorts,
            });
            return name == ServiceWay.Pronghorn
                ? new PronghornWay(node, Cluster.HasNodePorts ? XdpChoice.Native : XdpChoice.Automatic)
                : new RuleWay(name, node);
        }
        catch (LabException failure)
        {
            throw new CommandException($"the network cannot be made: {failure.Message}");
        }
    }
}
