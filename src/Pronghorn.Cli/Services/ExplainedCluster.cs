// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.Cli.Services;

/// <summary>A directory of manifests, read once.</summary>
internal sealed class ExplainedCluster(string directory, NodeFacts node)
{
    /// <summary>Reads the directory as the daemon would, and resolves it for the node.</summary>
    /// <param name="note">Takes what is wrong in the manifests.</param>
    internal FlowExplainer Read(Action<string> note)
    {
        if (!Directory.Exists(directory))
        {
            throw new CommandException($"{directory}: no such directory");
        }

        ClusterState cluster = ReadAsync(note).GetAwaiter().GetResult();
        return new FlowExplainer(cluster, cluster.Node is null ? node : node.With(cluster.Node));
    }

    private async Task<ClusterState> ReadAsync(Action<string> note)
    {
        using CancellationTokenSource done = new();
        Channel<ClusterChange> changes = Channel.CreateUnbounded<ClusterChange>();
        ManifestDirectory source = new(directory, node.Name);
        Task reading = source.RunAsync(changes.Writer, new NotedProblems(note), done.Token);
        ClusterState cluster = new();
        while (!cluster.IsComplete)
        {
            cluster.Apply(await changes.Reader.ReadAsync().ConfigureAwait(false));
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
