// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Lab.Cdn.Servers;

namespace Pronghorn.Lab.Cdn.Network;

/// <summary>How to build a <see cref="CdnLab"/>.</summary>
public sealed record CdnLabOptions
{
    /// <summary>The pronghorn program: all servers are its subcommands.</summary>
    public required IReadOnlyList<string> Program { get; init; }

    /// <summary>Edges, 1 to 16.</summary>
    public int Edges { get; init; } = 3;

    /// <summary>Workers of each server: svcWorkerNum.</summary>
    public int Workers { get; init; } = 1;

    /// <summary>Ways of which there are servers on each edge, each at a port of its own.</summary>
    public IReadOnlyList<LasWay> Ways { get; init; } = [LasWay.Relay, LasWay.Splice, LasWay.Handoff];

    /// <summary>Folder of the files of /media, which every edge has; null for none.</summary>
    public string? Media { get; init; }

    /// <summary>How long a stream stays at an edge before its connection moves on, where handoff is the way; zero: to its end.</summary>
    public TimeSpan Roam { get; init; }

    /// <summary>A name under which it outlives this process, until <see cref="CdnLab.Remove"/>; null for one that does not.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// Whether the edges have the machine's last CPU to themselves, receiving included, and everything else runs on the others: for
    /// measurements.
    /// </summary>
    public bool Pins { get; init; }
}
