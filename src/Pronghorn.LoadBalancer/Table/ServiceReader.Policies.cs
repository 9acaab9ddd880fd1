// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>The policies of a service.</summary>
internal sealed partial class ServiceReader
{
    /// <summary>How a backend is chosen: maglev or random.</summary>
    internal const string AlgorithmAnnotation = "pronghorn.io/algorithm";

    /// <summary>Which way answers to external clients go: dsr or snat.</summary>
    internal const string ForwardingModeAnnotation = "pronghorn.io/forwarding-mode";

    /// <summary>Of session affinity, in seconds (core/v1 ClientIPConfig).</summary>
    internal const int DefaultAffinityTimeout = 10800;

    private const int LongestAffinityTimeout = 86400;

    private bool ReadPolicy(string? text, string field)
    {
        if (text is not (null or "" or "Cluster" or "Local"))
        {
            _problems.Add(field, $"\"{text}\" is not Cluster or Local; taken as Cluster");
        }

        return text == "Local";
    }

    private TimeSpan ReadAffinity()
    {
        if (_spec.SessionAffinity is null or "" or "None")
        {
            return TimeSpan.Zero;
        }

        if (_spec.SessionAffinity != "ClientIP")
        {
            _problems.Add("spec.sessionAffinity", $"\"{_spec.SessionAffinity}\" is not None or ClientIP; taken as None");
            return TimeSpan.Zero;
        }

        int seconds = _spec.SessionAffinityConfig?.ClientIP?.TimeoutSeconds ?? DefaultAffinityTimeout;
        if (seconds is < 1 or > LongestAffinityTimeout)
        {
            _problems.Add(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                $"{seconds} is not in 1..{LongestAffinityTimeout}; taken as {DefaultAffinityTimeout}");
            seconds = DefaultAffinityTimeout;
        }

        return TimeSpan.FromSeconds(seconds);
    }

    private Preference ReadPreference()
    {
        switch (_spec.TrafficDistribution)
        {
            case null or "":
                return Preference.None;
            case "PreferClose" or "PreferSameZone":
                return Preference.SameZone;
            case "PreferSameNode":
                return Preference.SameNode;
            default:
                _problems.Add(
                    "spec.trafficDistribution",
                    $"\"{_spec.TrafficDistribution}\" is not PreferClose, PreferSameZone or PreferSameNode; ignored");
                return Preference.None;
        }
    }

    private SelectionAlgorithm? ReadAlgorithm() => ReadAnnotation(AlgorithmAnnotation, "maglev", "random") switch
    {
        "maglev" => SelectionAlgorithm.Maglev,
        "random" => SelectionAlgorithm.Random,
        _ => null,
    };

    private bool? ReadForwardingMode() => ReadAnnotation(ForwardingModeAnnotation, "dsr", "snat") switch
    {
        "dsr" => true,
        "snat" => false,
        _ => null,
    };

    private string? ReadAnnotation(string name, params ReadOnlySpan<string> values)
    {
        if (_service.Metadata.Annotations is not { } annotations || !annotations.TryGetValue(name, out string? text))
        {
            return null;
        }

        if (values.Contains(text))
        {
            return text;
        }

        _problems.Add(
            $"metadata.annotations[{name}]", $"\"{text}\" is not {string.Join(" or ", values)}; the configured default counts");
        return null;
    }

    private ushort ReadHealthCheckNodePort()
    {
        int port = _spec.HealthCheckNodePort;
        if (port == 0)
        {
            return 0;
        }

        if (!Protocols.IsPort(port))
        {
            _problems.Add("spec.healthCheckNodePort", $"{port} is not in 1..65535; no health check");
            return 0;
        }

        return (ushort)port;
    }
}
