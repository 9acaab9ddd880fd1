// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>What a server does with a request for a content that another node has.</summary>
public enum LasWay
{
    /// <summary>Asks the other node and passes the answer on: recv(2) and send(2).</summary>
    Relay,

    /// <summary>The same with splice(2): the bytes stay in the kernel.</summary>
    Splice,

    /// <summary>Gives the connection to the other node; relays where that does not come about.</summary>
    Handoff,
}

/// <summary>How a server of content works.</summary>
public sealed record LasOptions
{
    /// <summary>The node's name, as in pop_struct.conf.</summary>
    public required string Node { get; init; }

    /// <summary>Where it listens, and what others name it by; no wildcard.</summary>
    public required TcpEnd Listen { get; init; }

    /// <summary>Workers: threads with a listener each. As many as svcWorkerNum of tcpm.conf(5).</summary>
    public int Workers { get; init; } = 1;

    /// <summary>What becomes of requests for others' contents.</summary>
    public LasWay Way { get; init; } = LasWay.Handoff;

    /// <summary>Where the LDS answers; null: every content is this node's.</summary>
    public TcpEnd? Lds { get; init; }

    /// <summary>Where contents come from; null: they are generated here.</summary>
    public Uri? Origin { get; init; }

    /// <summary>Folder of the files of /media, the same on every node; null: there are none.</summary>
    public string? Media { get; init; }

    /// <summary>
    /// How long a stream stays here before its connection is given to the next node of pop_struct.conf, in the middle of the answer;
    /// zero: to its end.
    /// </summary>
    public TimeSpan Roam { get; init; }

    /// <summary>The handoff daemon's folder of Unix sockets.</summary>
    public string? SocketDirectory { get; init; }

    /// <summary>Congestion control of connections (TCP_CONGESTION of tcp(7)); null: the host's.</summary>
    public string? CongestionControl { get; init; }
}
