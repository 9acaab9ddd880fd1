// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.Cli.Services;

/// <summary>The objects of a cluster, read once as the daemon would read them.</summary>
internal sealed class ExplainedCluster
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly IClusterSource _source;
    private readonly string _origin;
    private readonly NodeFacts _node;

    private ExplainedCluster(IClusterSource source, string origin, NodeFacts node)
    {
        _source = source;
        _origin = origin;
        _node = node;
    }

    /// <summary>A directory of manifests.</summary>
    internal static ExplainedCluster OfManifests(string directory, NodeFacts node) => Directory.Exists(directory)
        ? new ExplainedCluster(new ManifestDirectory(directory, node.Name), directory, node)
        : throw new CommandException($"{directory}: no such directory");

    /// <summary>The API server that a kubeconfig file names.</summary>
    internal static ExplainedCluster OfKubeconfig(string file, NodeFacts node)
    {
        try
        {
            KubernetesApiSettings settings = new() { NodeName = node.Name };
            return new ExplainedCluster(new KubernetesApiSource(Kubeconfig.Read(file), settings), file, node);
        }
        catch (ApiAccessException mistake)
        {
            throw new CommandException(mistake.Message);
        }
    }

    /// <summary>Reads the objects and resolves them for the node.</summary>
    /// <param name="note">Takes what is wrong in them.</param>
    internal FlowExplainer Read(Action<string> note)
    {
        ClusterState cluster = ReadAsync(note).GetAwaiter().GetResult();
        return new FlowExplainer(cluster, cluster.Node is null ? _node : _node.With(cluster.Node));
    }

    private async Task<ClusterState> ReadAsync(Action<string> note)
    {
        using CancellationTokenSource done = new(s_patience);
        Channel<ClusterChange> changes = Channel.CreateUnbounded<ClusterChange>();
        Task reading = _source.RunAsync(changes.Writer, new NotedProblems(note), done.Token);
        ClusterState cluster = new();
        try
        {
            while (!cluster.IsComplete)
            {
                cluster.Apply(await changes.Reader.ReadAsync(done.Token).ConfigureAwait(false));
            }
        }
        catch (OperationCanceledException)
        {
            await reading.ConfigureAwait(false);
            throw new CommandException($"{_origin}: not all services and endpoint slices came within {s_patience.TotalSeconds:0} s");
        }

        await done.CancelAsync().ConfigureAwait(false);
        await reading.ConfigureAwait(false);
        return cluster;
    }

    private sealed class NotedProblems(Action<string> note) : IProblemSink
    {
        public void Report(Problem problem) => note(problem.ToString());
    }
}
