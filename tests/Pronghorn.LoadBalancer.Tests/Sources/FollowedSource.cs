// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>Runs a source and hands out what it tells.</summary>
internal sealed class FollowedSource : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(2);

    private readonly Channel<ClusterChange> _changes = Channel.CreateBounded<ClusterChange>(16);
    private readonly CancellationTokenSource _cancellation = new();
    private readonly List<ClusterChange> _passedOver = [];
    private readonly Task _running;

    public FollowedSource(IClusterSource source) => _running = source.RunAsync(_changes.Writer, Problems, _cancellation.Token);

    public CollectedProblems Problems { get; } = new();

    /// <summary>The next change, whatever it is; not one that was passed over before.</summary>
    public async Task<ClusterChange> NextAsync()
    {
        using var limit = new CancellationTokenSource(s_limit);
        return await _changes.Reader.ReadAsync(limit.Token);
    }

    /// <summary>
    /// The next change of a type. Others before it are kept for later: kinds of objects are followed side by side, in no order
    /// between them.
    /// </summary>
    public async Task<T> NextAsync<T>()
        where T : ClusterChange
    {
        int kept = _passedOver.FindIndex(static change => change is T);
        if (kept >= 0)
        {
            var early = (T)_passedOver[kept];
            _passedOver.RemoveAt(kept);
            return early;
        }

        while (true)
        {
            ClusterChange change = await NextAsync();
            if (change is T wanted)
            {
                return wanted;
            }

            _passedOver.Add(change);
        }
    }

    /// <summary>Asserts that nothing is waiting to be read.</summary>
    public void AssertNothingMore() => Assert.False(_changes.Reader.TryPeek(out _));

    public async ValueTask DisposeAsync()
    {
        await _cancellation.CancelAsync();
        await _running;
        _cancellation.Dispose();
    }
}
