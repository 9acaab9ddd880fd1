// SPDX-License-Identifier: Apache-2.0
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>Where the state of the cluster comes from: a Kubernetes API server, or a directory of manifests.</summary>
public interface IClusterSource
{
    /// <summary>
    /// Follows the cluster until cancelled. A source that loses its server keeps trying and sends nothing meanwhile: what was
    /// told last stays true. The first thing told of services and of slices is the whole of them.
    /// </summary>
    /// <param name="changes">Takes the changes in order; bounded, so that a slow reader slows the source.</param>
    /// <param name="reports">Told of every problem: what, where, what to do.</param>
    /// <param name="cancellation">Ends it.</param>
    Task RunAsync(ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation);
}
