// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// Moves that lost sight of the other daemon at the moment of the decision. The target has not heard whether the connection is its own,
/// or the origin whether it works there; what the daemons tell each other over the next stream settles both.
/// </summary>
/// <remarks>Any thread.</remarks>
public sealed class Unsettled
{
    private static readonly TimeSpan s_askEvery = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<Stay, TaskCompletionSource<bool>> _arriving = new();
    private readonly ConcurrentDictionary<Stay, (AuditItem Item, TaskCompletionSource<bool> Answer)> _leaving = new();
    private readonly ConcurrentDictionary<Stay, AuditItem> _recovered = new();
    private readonly ConcurrentDictionary<(TcpEnd Known, TcpEnd Remote), TaskCompletionSource> _departing = new();

    /// <summary>Connections that this node gave and whose new owner has not said that they work there.</summary>
    public IEnumerable<AuditItem> Leaving
    {
        get
        {
            foreach ((AuditItem item, _) in _leaving.Values)
            {
                yield return item;
            }

            foreach (AuditItem item in _recovered.Values)
            {
                yield return item;
            }
        }
    }

    /// <summary>At the origin: a former daemon gave the connection, and may have ended before it said so.</summary>
    internal void Remember(AuditItem item) => _recovered[item.Stay] = item;

    /// <summary>At the target: asks the origin, as soon as it is back, whether the connection is this node's.</summary>
    /// <param name="stay">The stay that would begin.</param>
    /// <param name="origin">The origin, over whatever stream there is.</param>
    /// <param name="limit">How long to ask.</param>
    /// <returns>Whether it is.</returns>
    internal async Task<bool> AskForDecisionAsync(Stay stay, IMessageSender origin, TimeSpan limit)
    {
        var decision = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _arriving[stay] = decision;
        long began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < limit)
        {
            try
            {
                return await decision.Task.WaitAsync(s_askEvery);
            }
            catch (TimeoutException)
            {
                await origin.SendAsync(new Asked(stay), CancellationToken.None);
            }
        }

        // Whoever takes it out decides it.
        return !_arriving.TryRemove(stay, out _) && await decision.Task;
    }

    /// <summary>At the target: what the origin has decided.</summary>
    /// <returns>Whether somebody waited for that.</returns>
    internal bool Decide(Stay stay, bool isGiven) =>
        _arriving.TryRemove(stay, out TaskCompletionSource<bool>? waiting) && waiting.TrySetResult(isGiven);

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

    /// <summary>At the origin: a connection has been given, and its socket is kept until <see cref="EndDeparture"/>.</summary>
    internal TaskCompletionSource BeginDeparture(TcpEnd known, TcpEnd remote) =>
        _departing[(known, remote)] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>At the origin: the socket has gone, or is the connection's again.</summary>
    internal void EndDeparture(TcpEnd known, TcpEnd remote, TaskCompletionSource departure)
    {
        _departing.TryRemove(new KeyValuePair<(TcpEnd, TcpEnd), TaskCompletionSource>((known, remote), departure));
        departure.SetResult();
    }

    /// <summary>
    /// At a target that gave the connection away itself a moment ago: its new owner can give it back before it has said that it works
    /// there, while the former socket still has the ends.
    /// </summary>
    internal async Task WaitForDepartureAsync(TcpEnd known, TcpEnd remote, TimeSpan limit)
    {
        if (_departing.TryGetValue((known, remote), out TaskCompletionSource? departure))
        {
            await Task.WhenAny(departure.Task, Task.Delay(limit));
        }
    }

    /// <summary>At the origin: what the new owner says.</summary>
    internal void Settle(Stay stay, bool isOwned)
    {
        _recovered.TryRemove(stay, out _);
        if (_leaving.TryGetValue(stay, out (AuditItem Item, TaskCompletionSource<bool> Answer) waiting))
        {
            waiting.Answer.TrySetResult(isOwned);
        }
    }
}
