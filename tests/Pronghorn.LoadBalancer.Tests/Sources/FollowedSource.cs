// SPDX-License-Identifier: Apache-2.0
using System;
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
    private readonly Task _running;

    public FollowedSource(IClusterSource source) => _running = source.RunAsync(_changes.Writer, Problems, _cancellation.Token);

    public CollectedProblems Problems { get; } = new();

    /// <summary>The next change, whatever it is.</summary>
    public async Task<ClusterChange> NextAsync()
    {
        using var limit = new CancellationTokenSource(s_limit);
        return await _changes.Reader.ReadAsync(limit.Token);
    }

    /// <summary>The next change of a type; others before it are passed over.</summary>
    public async Task<T> NextAsync<T>()
        where T : ClusterChange
    {
        while (true)
        {
            if (await NextAsync() is T wanted)
            {
                return wanted;
            }
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
