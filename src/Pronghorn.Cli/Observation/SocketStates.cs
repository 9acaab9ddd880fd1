// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.Cli.Observation;

/// <summary>The states of TCP: as listings write them, and as filters name them (ss(8), STATE-FILTER).</summary>
internal static class SocketStates
{
    private static readonly (string Name, string Listed)[] s_states =
    [
        ("established", "ESTAB"), ("syn-sent", "SYN-SENT"), ("syn-recv", "SYN-RECV"), ("fin-wait-1", "FIN-WAIT-1"),
        ("fin-wait-2", "FIN-WAIT-2"), ("time-wait", "TIME-WAIT"), ("closed", "UNCONN"), ("close-wait", "CLOSE-WAIT"),
        ("last-ack", "LAST-ACK"), ("listening", "LISTEN"), ("closing", "CLOSING"),
    ];

    /// <summary>Every state, as listings write it.</summary>
    internal static IEnumerable<string> All => s_states.Select(state => state.Listed);

    /// <summary>Every name that a filter may use, groups last.</summary>
    internal static IEnumerable<string> Names =>
        [.. s_states.Select(state => state.Name), "all", "connected", "synchronized", "bucket", "big"];

    /// <summary>The states that a filter's name stands for, as listings write them; null where there is no such name.</summary>
    internal static IReadOnlyList<string>? Named(string name) => name.ToLowerInvariant() switch
    {
        "all" => [.. All],
        "connected" => Without("LISTEN", "UNCONN"),
        "synchronized" => Without("LISTEN", "UNCONN", "SYN-SENT"),
        "bucket" => ["SYN-RECV", "TIME-WAIT"],
        "big" => Without("SYN-RECV", "TIME-WAIT"),
        "listen" => ["LISTEN"],
        "estab" => ["ESTAB"],
        string other => s_states.Where(state => state.Name == other).Select(state => state.Listed).ToArray() is { Length: > 0 } found
            ? found
            : null,
    };

    private static string[] Without(params string[] left) => [.. All.Where(state => !left.Contains(state, StringComparer.Ordinal))];
}
