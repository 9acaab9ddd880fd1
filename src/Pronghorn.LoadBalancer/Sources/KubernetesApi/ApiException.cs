// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>The API server answered with an error (a Status object, meta/v1).</summary>
public sealed class ApiException : Exception
{
    /// <summary>Makes one.</summary>
    public ApiException(int code, string reason, string message, TimeSpan? retryAfter = null)
        : base(message)
    {
        Code = code;
        Reason = reason;
        RetryAfter = retryAfter;
    }

    /// <summary>HTTP status.</summary>
    public int Code { get; }

    /// <summary>The machine-readable reason: Gone, Expired, Forbidden, Timeout; may be empty.</summary>
    public string Reason { get; }

    /// <summary>How long the server asks to wait; null if it does not.</summary>
    public TimeSpan? RetryAfter { get; }

    /// <summary>Whether the version asked for is no longer kept: list again.</summary>
    public bool IsGone => Code == 410 || Reason is "Expired" or "Gone";

    /// <summary>
    /// Whether the server does not know streaming lists: it refuses the parameters (400, 422), or its storage cannot
    /// (a server whose WatchList feature is off answers 422 too).
    /// </summary>
    public bool RefusesStreamingList => Code is 400 or 422;
}
