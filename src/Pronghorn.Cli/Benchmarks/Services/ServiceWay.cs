// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>One way to serve the cluster's services, on a node of its own, so that the ways stand side by side.</summary>
internal abstract class ServiceWay : IDisposable
{
    internal const string Pronghorn = "pronghorn";
    internal const string IptablesLegacy = "iptables-legacy";
    internal const string IptablesNft = "iptables-nft";
    internal const string Nftables = "nftables";
    internal const string NoRules = "none";

    /// <summary>Name and place of the way.</summary>
    protected ServiceWay(string name, ServiceNode node)
    {
        Name = name;
        Node = node;
    }

    /// <summary>As in the results.</summary>
    internal string Name { get; }

    /// <summary>The node.</summary>
    internal ServiceNode Node { get; }

    /// <summary>Whether it finds services at all.</summary>
    internal virtual bool HasServices => true;

    /// <summary>Whether the way has an XDP program on the node's edge already.</summary>
    internal virtual bool OwnsEdge => false;

    /// <summary>Time that writing the last added service took alone; null where there is no such part.</summary>
    internal virtual TimeSpan? LastWrite => null;

    /// <summary>Loads what does not depend on services; not measured.</summary>
    /// <exception cref="CommandException">It failed.</exception>
    internal virtual void Start()
    {
    }

    /// <summary>Sets the services up.</summary>
    /// <exception cref="CommandException">It failed, or took longer than the limit.</exception>
    internal abstract void Load(BenchmarkCluster cluster, TimeSpan limit, CancellationToken cancellation);

    /// <summary>Gets ready whatever is written outside the measured time.</summary>
    internal abstract void PrepareAdding(BenchmarkCluster cluster, int service);

    /// <summary>Adds a service: from here to the first connection is measured.</summary>
    internal abstract void Add(BenchmarkCluster cluster, int service, CancellationToken cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Removes the way with its node.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            ServiceNode.Remove(Node.Name);
        }
    }

    /// <summary>Runs a command on the node to its end.</summary>
    protected void RunOnNode(IReadOnlyList<string> line, TimeSpan limit, CancellationToken cancellation) =>
        ChildProcess.Run(Node.Line(Node.Node, line[0], [.. line.Skip(1)]), limit, cancellation);
}
