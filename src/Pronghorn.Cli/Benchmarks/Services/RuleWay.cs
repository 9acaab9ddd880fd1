// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Rule sets of netfilter, as kube-proxy makes them, or none.</summary>
internal sealed class RuleWay : ServiceWay
{
    private static readonly TimeSpan s_addLimit = TimeSpan.FromSeconds(60);

    private readonly string _folder;

    internal RuleWay(string name, ServiceNode node)
        : base(name, node) => _folder = Directory.CreateTempSubdirectory("pronghorn-rules-").FullName;

    /// <inheritdoc/>
    internal override bool HasServices => Name != NoRules;

    private string RulesFile => Path.Combine(_folder, "rules");

    /// <summary>The program that a way needs; null if none.</summary>
    internal static string? ProgramOf(string way) => way switch
    {
        IptablesLegacy => "iptables-legacy-restore",
        IptablesNft => "iptables-nft-restore",
        Nftables => "nft",
        _ => null,
    };

    /// <inheritdoc/>
    internal override void Load(BenchmarkCluster cluster, TimeSpan limit, CancellationToken cancellation)
    {
        if (HasServices)
        {
            File.WriteAllText(RulesFile, Name == Nftables ? NftablesRules.Whole(cluster) : IptablesRules.Whole(cluster));
            Restore([], limit, cancellation);
        }
    }

    /// <inheritdoc/>
    internal override void PrepareAdding(BenchmarkCluster cluster, int service)
    {
        // What kube-proxy takes to put the text together is not counted: only what the kernel and its tools take.
        File.WriteAllText(RulesFile, Name == Nftables ? NftablesRules.Added(cluster, service) : IptablesRules.Added(cluster, service));
    }

    /// <inheritdoc/>
    internal override void Add(BenchmarkCluster cluster, int service, CancellationToken cancellation) =>
        Restore(["--noflush"], s_addLimit, cancellation);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        Directory.Delete(_folder, recursive: true);
    }

    private void Restore(string[] options, TimeSpan limit, CancellationToken cancellation)
    {
        string[] line = Name switch
        {
            Nftables => ["nft", "-f", RulesFile],
            IptablesNft => ["iptables-nft-restore", .. options, RulesFile],

            // A lock of its own: nobody else is in this namespace.
            _ => ["env", $"XTABLES_LOCKFILE={Path.Combine(_folder, "lock")}", "iptables-legacy-restore", "-w", "5", .. options, RulesFile],
        };
        RunOnNode(line, limit, cancellation);
    }
}
