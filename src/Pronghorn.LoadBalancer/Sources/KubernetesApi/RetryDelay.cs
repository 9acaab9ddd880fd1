// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>How long to wait before the next try.</summary>
/// <param name="Initial">After the first failure.</param>
/// <param name="Maximum">At most, before the jitter.</param>
public sealed record RetrySettings(TimeSpan Initial, TimeSpan Maximum)
{
    /// <summary>
    /// 250 ms to 15 s. A server that restarts is back within seconds, and a node should not be much later; a thousand nodes
    /// that try each 15 s to 30 s are 50 requests a second.
    /// </summary>
    public static RetrySettings Default { get; } = new(TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(15));
}

/// <summary>Doubles with each failure, up to a limit; a random part of up to the same again keeps nodes from coming all at once.</summary>
internal sealed class RetryDelay(RetrySettings settings, Random random)
{
    private TimeSpan _next = settings.Initial;

    /// <summary>The next delay.</summary>
    public TimeSpan Next()
    {
        TimeSpan delay = _next * (1 + random.NextDouble());
        _next = _next * 2 < settings.Maximum ? _next * 2 : settings.Maximum;
        return delay;
    }

    /// <summary>It worked: begin again from the shortest.</summary>
    public void Reset() => _next = settings.Initial;
}
