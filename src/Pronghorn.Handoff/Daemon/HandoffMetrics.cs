// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Web;

namespace Pronghorn.Handoff.Daemon;

/// <summary>
/// What a daemon has done and how it is, in Prometheus' words. Counters begin with the daemon, those of packets with the programs.
/// </summary>
internal static class HandoffMetrics
{
    private const string Prefix = "pronghorn_handoff_";

    internal static string Write(HandoffStatus status, HandoffCounts counts, MoveDurations node)
    {
        var text = new MetricsText();
        WriteMoves(text, counts);
        WriteHistogram(text, "freeze_seconds", "How long a peer's segments were held during a move", counts.Freezes);
        WriteHistogram(text, "capture_seconds", "Of a freeze, what this node did itself as the origin", node.Captures);
        WriteHistogram(text, "restore_seconds", "Of a freeze, what this node did itself as the target", node.Restores);
        Counter(text, "undelivered", "Connections that came and that no worker could be given", status.Undelivered);
        Counter(text, "workers_rejected", "Processes that found all sessions of a worker's socket taken", status.WorkersRejected);
        Gauge(text, "taken", "Connections that other nodes gave and that have not ended", status.TakenNow);
        Gauge(text, "listeners", "Listeners that workers take connections for", status.Listeners);
        Gauge(text, "moves_under_way", "Moves that have begun and not ended", status.MovesUnderWay);
        Gauge(text, "held_bytes", "Bytes of packets that wait", status.HeldBytes);
        Counter(text, "held_dropped_frames", "Frames dropped because too many waited", status.HeldDropped);
        WriteTables(text, status);
        WriteSteering(text, "packets", "Packets, by what the programs did with them", status.Packets);
        WriteSteering(text, "bytes", "Bytes of packets with their headers, by what the programs did with them", status.Bytes);
        WriteSought(text, status);
        WritePeers(text, status);
        return text.ToString();
    }

    private static void WriteMoves(MetricsText text, HandoffCounts counts)
    {
        // Read before the other, which is counted first: so this is never more.
        long unconfirmed = counts.Unconfirmed;
        Counter(text, "given", "Connections given to other nodes", counts.Given);
        Counter(text, "given_unconfirmed", "Of those given, ones whose new owner has not said that they work there", unconfirmed);
        text.Begin(Prefix + "refused_total", "counter", "Moves that did not come about");
        foreach (RefusalReason reason in Enum.GetValues<RefusalReason>())
        {
            if (reason != RefusalReason.None)
            {
                text.Add(Prefix + "refused_total", counts.Refused(reason), ("reason", reason.ToString()));
            }
        }
    }

    private static void WriteHistogram(MetricsText text, string name, string help, DurationHistogram histogram)
    {
        name = Prefix + name;
        text.Begin(name, "histogram", help);
        long below = 0;
        for (int interval = 0; interval <= DurationHistogram.Limits.Length; interval++)
        {
            below += histogram.Count(interval);
            string limit = interval < DurationHistogram.Limits.Length
                ? (DurationHistogram.Limits[interval] / 1e6).ToString("R", CultureInfo.InvariantCulture) : "+Inf";
            text.Add(name + "_bucket", below, ("le", limit));
        }

        text.Add(name + "_sum", histogram.Sum.TotalSeconds);
        text.Add(name + "_count", below);
    }

    private static void WriteTables(MetricsText text, HandoffStatus status)
    {
        text.Begin(Prefix + "entries", "gauge", "Entries of a table in use, of connections that have just ended among them");
        text.Add(Prefix + "entries", status.InboundEntries, ("table", "given"));
        text.Add(Prefix + "entries", status.OutboundEntries, ("table", "taken"));
        text.Begin(Prefix + "entries_limit", "gauge", "Entries that a table can have");
        text.Add(Prefix + "entries_limit", status.InboundLimit, ("table", "given"));
        text.Add(Prefix + "entries_limit", status.OutboundLimit, ("table", "taken"));
    }

    private static void WriteSteering(MetricsText text, string unit, string help, IReadOnlyDictionary<string, ulong> counters)
    {
        text.Begin($"{Prefix}{unit}_total", "counter", help);
        foreach ((string name, ulong value) in counters)
        {
            text.Add($"{Prefix}{unit}_total", value, ("action", name));
        }
    }

    private static void WriteSought(MetricsText text, HandoffStatus status)
    {
        text.Begin(
            Prefix + "sought_total", "counter", "Connections at shared addresses that other nodes were asked for, by what came of it");
        text.Add(Prefix + "sought_total", status.SoughtFound, ("result", "found"));
        text.Add(Prefix + "sought_total", status.SoughtUnknown, ("result", "unknown"));
        text.Add(Prefix + "sought_total", status.SoughtUnanswered, ("result", "unanswered"));
    }

    private static void WritePeers(MetricsText text, HandoffStatus status)
    {
        text.Begin(Prefix + "peer_connected", "gauge", "Whether there is a stream with another node's daemon");
        foreach (PeerStatus peer in status.Peers)
        {
            text.Add(Prefix + "peer_connected", peer.IsConnected ? 1 : 0, ("peer", peer.Name));
        }

        text.Begin(Prefix + "peer_silent", "gauge", "Whether there is a stream and nothing comes from the daemon");
        foreach (PeerStatus peer in status.Peers)
        {
            text.Add(Prefix + "peer_silent", peer.IsSilent ? 1 : 0, ("peer", peer.Name));
        }

        text.Begin(Prefix + "peer_given_up_total", "counter", "Connections given up because the node that had them did not answer");
        foreach (PeerStatus peer in status.Peers)
        {
            text.Add(Prefix + "peer_given_up_total", peer.GivenUp, ("peer", peer.Name));
        }

        Counter(text, "streams_rejected", "Streams of those who could not show that they are a peer", status.PeersRejected);
    }

    private static void Counter(MetricsText text, string name, string help, double value) =>
        text.AddMetric($"{Prefix}{name}_total", "counter", help, value);

    private static void Gauge(MetricsText text, string name, string help, double value) =>
        text.AddMetric(Prefix + name, "gauge", help, value);
}
