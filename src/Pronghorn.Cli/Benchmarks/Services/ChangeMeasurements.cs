// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>How long it takes from a change in the source to the first connection that sees it: a service is added.</summary>
internal sealed class ChangeMeasurements
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly ServiceStage _stage;
    private readonly ServicesBenchmarkOptions _options;
    private readonly ServiceResults _results;
    private readonly CancellationToken _cancellation;

    internal ChangeMeasurements(
        ServiceStage stage, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        _stage = stage;
        _options = options;
        _results = results;
        _cancellation = cancellation;
    }

    /// <summary>One service a round and way. The first of each way is not counted: it is the one that finds everything cold.</summary>
    internal void Run()
    {
        Terminal.Note("    changes");
        for (int round = 0; round <= _options.Rounds; round++)
        {
            foreach (ServiceWay way in _stage.InTurn(round).Where(way => way.HasServices))
            {
                try
                {
                    Add(way, round);
                }
                catch (CommandException failure)
                {
                    _results.Fail($"change, {_stage.Cluster.Services} services, {way.Name}: {failure.Message}");
                }
            }
        }
    }

    private void Add(ServiceWay way, int round)
    {
        int service = _stage.Cluster.Services + round;
        way.PrepareAdding(_stage.Cluster, service);
        using ChildProcess watcher = TrafficProgram.Watch(
            way.Node, way.Node.Pods[1], _stage.Cluster.Target(service), s_limit, _cancellation);

        // Both clocks are CLOCK_MONOTONIC.
        long began = Stopwatch.GetTimestamp();
        way.Add(_stage.Cluster, service, _cancellation);
        double written = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        string output = watcher.WaitForEnd(s_limit + s_limit, _cancellation);
        double seen = double.Parse(output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1], CultureInfo.InvariantCulture) / 1e6;
        double start = began * 1000.0 / Stopwatch.Frequency;
        if (round > 0)
        {
            double write = way.LastWrite?.TotalMilliseconds ?? written;
            _results.Add(ServiceMetric.ChangeVisible, _stage.Cluster.Services, ServicePositions.None, way.Name, seen - start);
            _results.Add(ServiceMetric.ChangeWrite, _stage.Cluster.Services, ServicePositions.None, way.Name, write);
        }
    }
}
