// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>How the packet layer tracks and translates connections. Timeouts are kube-proxy's and the kernel's conntrack ones.</summary>
public sealed record ConnectionSettings
{
    /// <summary>First source port of masqueraded connections: below those that the node's own sockets take by themselves.</summary>
    public ushort MasqueradeFirst { get; init; } = 1024;

    /// <summary>The last one: below the node ports.</summary>
    public ushort MasqueradeLast { get; init; } = 29_999;

    /// <summary>First node port; the API server's --service-node-port-range.</summary>
    public ushort NodePortFirst { get; init; } = 30_000;

    /// <summary>The last one.</summary>
    public ushort NodePortLast { get; init; } = 32_767;

    /// <summary>An established TCP connection without a packet; whole seconds.</summary>
    public TimeSpan TcpTimeout { get; init; } = TimeSpan.FromDays(1);

    /// <summary>One that is being opened.</summary>
    public TimeSpan TcpOpeningTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>One that is being closed.</summary>
    public TimeSpan TcpClosingTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>UDP.</summary>
    public TimeSpan UdpTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>SCTP.</summary>
    public TimeSpan SctpTimeout { get; init; } = TimeSpan.FromDays(1);

    /// <summary>What is wrong with them; empty when nothing is.</summary>
    public IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        foreach ((string name, ushort first, ushort last) in new[]
        {
            ("masqueradePorts", MasqueradeFirst, MasqueradeLast), ("nodePorts", NodePortFirst, NodePortLast),
        })
        {
            if (first == 0 || first > last)
            {
                problems.Add($"connections.{name} is {first}-{last}; the first must be 1 or more and not above the last");
            }
        }

        foreach ((string name, TimeSpan timeout) in new[]
        {
            ("tcpTimeout", TcpTimeout), ("tcpOpeningTimeout", TcpOpeningTimeout), ("tcpClosingTimeout", TcpClosingTimeout),
            ("udpTimeout", UdpTimeout), ("sctpTimeout", SctpTimeout),
        })
        {
            if (timeout < TimeSpan.FromSeconds(1) || timeout.TotalSeconds > int.MaxValue)
            {
                problems.Add($"connections.{name} is {timeout.TotalSeconds} s; it must be between 1 and {int.MaxValue}");
            }
        }

        return problems;
    }
}
