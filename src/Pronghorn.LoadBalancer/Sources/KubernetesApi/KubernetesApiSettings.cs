// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>How an API server is followed.</summary>
public sealed record KubernetesApiSettings
{
    /// <summary>Name of this node: its Node object is followed; null: none is.</summary>
    public string? NodeName { get; init; }

    /// <summary>
    /// The value of the label service.kubernetes.io/service-proxy-name that this proxy serves; null: services without it, as
    /// kube-proxy.
    /// </summary>
    public string? ServiceProxyName { get; init; }

    /// <summary>Pauses between tries.</summary>
    public RetrySettings Retry { get; init; } = RetrySettings.Default;

    /// <summary>How long the server may take to begin an answer, and to send a page of a list.</summary>
    public TimeSpan AnswerTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long one watch lasts at least, before it is begun anew from where it ended; at most twice as long.</summary>
    public TimeSpan WatchTime { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>By which clock the pauses between tries pass.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
