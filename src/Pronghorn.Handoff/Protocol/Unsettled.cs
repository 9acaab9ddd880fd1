// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// Moves that lost sight of the other daemon at the moment of the decision. The target has not heard whether the connection is its own,
/// or the origin whether it works there; what the daemons tell each other over the next stream settles both.
/// </summary>
/// <remarks>Any thread.</remarks>
public sealed class Unsettled
{
    private readonly ConcurrentDictionary<Stay, TaskCompletionSource> _arriving = new();
    private readonly ConcurrentDictionary<Stay, (AuditItem Item, TaskCompletionSource<bool> Answer)> _leaving = new();

    /// <summary>Connections that this node gave and whose new owner has not said that they work there.</summary>
    public IEnumerable<AuditItem> Leaving
    {
        get
        {
            foreach ((AuditItem item, _) in _leaving.Values)
            {
                yield return item;
            }
        }
    }

    /// <summary>At the target: waits for the origin to say that the connection is this node's.</summary>
    /// <returns>Whether it said so in time.</returns>
    internal async Task<bool> WaitForCommitAsync(Stay stay, TimeSpan limit)
    {
        var committed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _arriving[stay] = committed;
        try
        {
            await committed.Task.WaitAsync(limit);
            return true;
        }
        catch (TimeoutException)
        {
            return !_arriving.TryRemove(new KeyValuePair<Stay, TaskCompletionSource>(stay, committed));
        }
    }

    /// <summary>At the target: the origin has given the connection. Whether somebody waited for that.</summary>
    internal bool Commit(Stay stay) => _arriving.TryRemove(stay, out TaskCompletionSource? waiting) && waiting.TrySetResult();

    /// <summary>At the origin: waits for the new owner to say whether the connection works there.</summary>
    /// <returns>True: it does. False: it never has. Null: not known in time.</returns>
    internal async Task<bool?> WaitForOwnerAsync(AuditItem item, TimeSpan limit)
    {
        var answer = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _leaving[item.Stay] = (item, answer);
        try
        {
            return await answer.Task.WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            return null;
        }
        finally
        {
            _leaving.TryRemove(item.Stay, out _);
        }
    }

    /// <summary>At the origin: what the new owner says.</summary>
    internal void Settle(Stay stay, bool isOwned)
    {
        if (_leaving.TryGetValue(stay, out (AuditItem Item, TaskCompletionSource<bool> Answer) waiting))
        {
            waiting.Answer.TrySetResult(isOwned);
        }
    }
}
