// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.Web;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>A Prometheus histogram. Bounds double from a tenth of a millisecond, far below kube-proxy's first, up to minutes.</summary>
internal sealed class DurationHistogram
{
    private static readonly double[] s_bounds = [.. Enumerable.Range(0, 22).Select(power => 0.0001 * (1 << power))];

    private readonly long[] _counts = new long[s_bounds.Length + 1];
    private double _sum;

    public long Count => _counts.Sum();

    public void Observe(TimeSpan duration)
    {
        double seconds = duration.TotalSeconds;
        int index = Array.FindIndex(s_bounds, bound => seconds <= bound);
        _counts[index < 0 ? s_bounds.Length : index]++;
        _sum += seconds;
    }

    public void Write(MetricsText text, string name, string help)
    {
        text.Begin(name, "histogram", help);
        long below = 0;
        for (int index = 0; index < s_bounds.Length; index++)
        {
            below += _counts[index];
            text.Add($"{name}_bucket", below, ("le", s_bounds[index].ToString(CultureInfo.InvariantCulture)));
        }

        text.Add($"{name}_bucket", Count, ("le", "+Inf"));
        text.Add($"{name}_sum", _sum);
        text.Add($"{name}_count", Count);
    }
}

/// <summary>What a proxy counts. Guarded by the proxy's lock.</summary>
internal sealed class ProxyMetrics
{
    public DurationHistogram SyncDuration { get; } = new();

    public DurationHistogram ProgrammingDuration { get; } = new();

    public long ServiceChanges { get; set; }

    public long EndpointChanges { get; set; }

    public long SyncFailures { get; set; }

    public long Writes { get; set; }

    public long Rebuilds { get; set; }

    public DateTimeOffset LastSync { get; set; }

    public DateTimeOffset LastQueued { get; set; }

    /// <summary>Writes them with kube-proxy's names where they mean the same (Kubernetes pkg/proxy/metrics).</summary>
    public void Write(MetricsText text)
    {
        SyncDuration.Write(
            text, "kubeproxy_sync_proxy_rules_duration_seconds", "Time from taking a batch of changes to the maps having them");
        ProgrammingDuration.Write(
            text, "kubeproxy_network_programming_duration_seconds", "Time from a change's arrival at this node to the maps having it");
        text.AddMetric(
            "kubeproxy_sync_proxy_rules_service_changes_total", "counter", "Services that have changed", ServiceChanges);
        text.AddMetric(
            "kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", "Endpoint slices that have changed", EndpointChanges);
        text.AddMetric(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", "When the maps were last made right", Seconds(LastSync));
        text.AddMetric(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "When a change last arrived", Seconds(LastQueued));
        text.AddMetric("pronghorn_lb_map_writes_total", "counter", "Entries of maps that were written or removed", Writes);
        text.AddMetric("pronghorn_lb_map_write_failures_total", "counter", "Writes that the kernel refused", SyncFailures);
        text.AddMetric("pronghorn_lb_rebuilds_total", "counter", "Times that the maps were read and made right anew", Rebuilds);
    }

    private static double Seconds(DateTimeOffset time) =>
        time == default ? 0 : (time - DateTimeOffset.UnixEpoch).TotalSeconds;
}
