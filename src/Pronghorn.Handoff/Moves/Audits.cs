// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// Compares what two nodes think of the connections between them: over each new stream, and from time to time. So neither a word that
/// was lost nor a daemon that was away for a while leaves an entry that nobody ends.
/// </summary>
/// <param name="node">This node.</param>
/// <param name="lifetimes">Connections that it was given.</param>
/// <param name="unsettled">Moves that wait for word of the other side.</param>
public sealed class Audits(SteeredNode node, Lifetimes lifetimes, Unsettled unsettled)
{
    /// <summary>What this node gave to another: as many messages as it takes.</summary>
    /// <param name="owner">The other's addresses.</param>
    public IEnumerable<Audit> About(IReadOnlyCollection<IpAddress> owner)
    {
        ArgumentNullException.ThrowIfNull(owner);
        SteeringTables tables = node.Layer.Tables;
        List<AuditItem> items = [.. unsettled.Leaving.Where(item => owner.Contains(item.Target.Address))];
        foreach (GivenEntry given in tables.ListGiven())
        {
            // A connection that only passed by here is its anchor's to ask for: who answers must know that nothing comes this way any more.
            if (given.Mode == SteeringMode.Redirect && owner.Contains(given.Owner)
                && !tables.FindTaken(given.Local, given.Remote, out _))
            {
                items.Add(new AuditItem(given.Stay, given.Local, given.Remote, given.Target, IsUnsettled: false));
            }
        }

        return items.Chunk(Audit.MostItems).Select(static chunk => new Audit([.. chunk]));
    }

    /// <summary>What an anchor may not have heard: where connections went that were here. Not of those that may be taken back.</summary>
    /// <param name="anchor">Its addresses.</param>
    public IEnumerable<Moved> LeftFrom(IReadOnlyCollection<IpAddress> anchor)
    {
        ArgumentNullException.ThrowIfNull(anchor);
        HashSet<Stay> undecided = [.. unsettled.Leaving.Select(static item => item.Stay)];
        return lifetimes.ListLeft(anchor).Where(moved => !undecided.Contains(moved.Stay));
    }

    /// <summary>Says what is otherwise here.</summary>
    /// <param name="audit">What another node thinks that it gave to this one.</param>
    /// <param name="asker">That node.</param>
    public void Answer(Audit audit, IMessageSender asker)
    {
        ArgumentNullException.ThrowIfNull(audit);
        ArgumentNullException.ThrowIfNull(asker);
        foreach (AuditItem item in audit.Items)
        {
            if (AnswerTo(item) is { } answer)
            {
                _ = asker.SendAsync(answer, CancellationToken.None).AsTask();
            }
        }
    }

    /// <summary>Says whether a connection was given, once that is decided; the other asks again.</summary>
    /// <param name="asked">What another node restored, and did not hear of any more.</param>
    /// <param name="asker">That node.</param>
    public void Answer(Asked asked, IMessageSender asker)
    {
        ArgumentNullException.ThrowIfNull(asked);
        ArgumentNullException.ThrowIfNull(asker);
        SteeringMode? mode = null;
        foreach (GivenEntry given in node.Layer.Tables.ListGiven())
        {
            mode = given.Stay == asked.Stay ? given.Mode : mode;
        }

        if (mode != SteeringMode.Hold)
        {
            _ = asker.SendAsync(new Decided(asked.Stay, mode is not null), CancellationToken.None).AsTask();
        }
    }

    /// <summary>A connection that this node gave is not at its owner any more, or never came to be there.</summary>
    public void Take(Ended ended)
    {
        ArgumentNullException.ThrowIfNull(ended);
        unsettled.Settle(ended.Stay, isOwned: !ended.HasNeverLived);
        if (!ended.HasNeverLived)
        {
            lifetimes.Bury(ended);
        }
    }

    private Message? AnswerTo(AuditItem item)
    {
        if (unsettled.Decide(item.Stay, isGiven: true))
        {
            return new Owned(item.Stay);
        }

        switch (lifetimes.StateOf(item.Target, item.Remote, item.Stay))
        {
            case TakenState.Open:
                return item.IsUnsettled ? new Owned(item.Stay) : null;
            case TakenState.Ended:
                return new Ended(item.Stay, item.Known, item.Remote);
            case TakenState.NeverLived:
                return new Ended(item.Stay, item.Known, item.Remote, item.IsUnsettled);
        }

        SteeringTables tables = node.Layer.Tables;
        if (tables.FindGiven(item.Target, item.Remote, out GivenEntry given) && given.Stay.Connection == item.Stay.Connection)
        {
            return AnswerTo(item, given);
        }

        bool isTaken = tables.FindTaken(item.Target, item.Remote, out TakenEntry taken);
        return isTaken && taken.Stay == item.Stay ? null : Gone(item);
    }

    // Of a shared address, it may have gone on by another node; who asks may then ask all.
    private Message Gone(AuditItem item) => node.SharedAddresses.Contains(item.Known.Address)
        ? new Released(item.Stay, item.Known, item.Remote) : new Ended(item.Stay, item.Known, item.Remote);

    /// <summary>The connection was here, or was to come back here, and is elsewhere.</summary>
    private Message? AnswerTo(AuditItem item, GivenEntry given)
    {
        if (given.Mode == SteeringMode.Hold)
        {
            return null;
        }

        if (given.Stay.IsAfter(item.Stay))
        {
            // It was here. While one that went back to the asker may be taken back, that is not decided.
            return item.IsUnsettled ? new Owned(item.Stay)
                : given.Mode != SteeringMode.Redirect || unsettled.Leaving.Any(leaving => leaving.Stay == given.Stay) ? null
                : given.Target == item.Known ? Gone(item)
                : new Moved(given.Stay, item.Known, item.Remote, given.Target);
        }

        // It was to come back when this daemon's predecessor ended, and is with the asker still.
        return new Ended(item.Stay, item.Known, item.Remote, HasNeverLived: item.IsUnsettled && given.Mode == SteeringMode.Redirect);
    }
}
