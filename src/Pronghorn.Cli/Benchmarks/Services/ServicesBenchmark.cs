// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Pronghorn's service load balancer and rule sets of kube-proxy's shape, side by side.</summary>
internal static class ServicesBenchmark
{
    /// <summary>Runs everything; a way that cannot be set up is left out and reported.</summary>
    internal static ServiceResults Run(ServicesBenchmarkOptions options)
    {
        RequirePrograms(options);
        TrafficProgram.Require();
        using Interruption interruption = new();
        LabCleanup.RemoveStale();
        PronghornWay.RemoveStale();
        var results = new ServiceResults();
        try
        {
            foreach (int services in options.Services)
            {
                Run(services, options, results, interruption.Token);
            }
        }
        catch (LabException failure)
        {
            throw new CommandException(failure.Message);
        }

        return results;
    }

    private static void Run(
        int services, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        if (options.Parts.Contains(ServicesBenchmarkOptions.Connections) || options.Parts.Contains(ServicesBenchmarkOptions.Changes))
        {
            RunConnections(services, options, results, cancellation);
        }

        if (options.Parts.Contains(ServicesBenchmarkOptions.Packets))
        {
            RunPackets(services, options, results, cancellation);
        }
    }

    private static void RequirePrograms(ServicesBenchmarkOptions options)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("bench needs root: it makes network namespaces");
        }

        foreach (string? program in (string?[])["ip", "ethtool", "nsenter", "setpriv", .. options.Ways.Select(RuleWay.ProgramOf)])
        {
            if (program is not null && ProgramFile.Find(program) is null)
            {
                throw new CommandException(
                    $"{program} is not installed; on Debian: apt-get install iptables nftables iproute2 ethtool util-linux, "
                    + "or leave its way out with --ways");
            }
        }
    }

    private static void RunConnections(
        int services, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        Terminal.Note($"{services} services, {options.Endpoints} endpoints and {options.Ports} ports each, ClusterIP");
        var cluster = new BenchmarkCluster(services, options.Endpoints, nodePorts: false, options.Ports);
        using ServiceStage stage = ServiceStage.Create(cluster, options, results, cancellation);
        List<ChildProcess> servers = [];
        try
        {
            foreach (ServiceWay way in stage.Ways)
            {
                servers.Add(TrafficProgram.Serve(way.Node, cancellation));
            }

            if (options.Parts.Contains(ServicesBenchmarkOptions.Connections))
            {
                new ConnectionMeasurements(stage, options, results, cancellation).Run();
            }

            if (options.Parts.Contains(ServicesBenchmarkOptions.Changes))
            {
                new ChangeMeasurements(stage, options, results, cancellation).Run();
            }
        }
        finally
        {
            servers.ForEach(server => server.Dispose());
        }
    }

    private static void RunPackets(
        int services, ServicesBenchmarkOptions options, ServiceResults results, CancellationToken cancellation)
    {
        if (services > BenchmarkCluster.MaximumNodePorts)
        {
            Terminal.Note(
                $"{services} services, NodePort: not measured, because there are only {BenchmarkCluster.MaximumNodePorts} node ports");
            return;
        }

        Terminal.Note($"{services} services, {options.Endpoints} endpoints each, NodePort");
        var cluster = new BenchmarkCluster(services, options.Endpoints, nodePorts: true);
        using ServiceStage stage = ServiceStage.Create(cluster, options, results, cancellation);
        using var measurements = new PacketMeasurements(stage, options, results, cancellation);
        measurements.Run();
    }
}
