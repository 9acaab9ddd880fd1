// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack;

/// <summary>Events that are counted. Names follow Linux's /proc/net/snmp and netstat where they mean the same.</summary>
public enum Counter : byte
{
    /// <summary>Frames received.</summary>
    FramesIn,

    /// <summary>Frames handed to a device.</summary>
    FramesOut,

    /// <summary>Bytes received, link header included.</summary>
    BytesIn,

    /// <summary>Bytes handed to a device, link header included.</summary>
    BytesOut,

    /// <summary>TCP segments received.</summary>
    TcpInSegs,

    /// <summary>TCP segments sent, retransmissions included.</summary>
    TcpOutSegs,

    /// <summary>Segments retransmitted.</summary>
    TcpRetransSegs,

    /// <summary>Resets sent.</summary>
    TcpOutRsts,

    /// <summary>Resets that ended a connection.</summary>
    TcpEstabResets,

    /// <summary>Active opens.</summary>
    TcpActiveOpens,

    /// <summary>Passive opens.</summary>
    TcpPassiveOpens,

    /// <summary>Handshakes that failed.</summary>
    TcpAttemptFails,

    /// <summary>SYN cookies sent (Linux: SyncookiesSent).</summary>
    TcpSynCookiesSent,

    /// <summary>Valid SYN cookies that came back (Linux: SyncookiesRecv).</summary>
    TcpSynCookiesReceived,

    /// <summary>Acknowledgments that no cookie explains, at a listener that gave out some (Linux: SyncookiesFailed).</summary>
    TcpSynCookiesFailed,

    /// <summary>Retransmission time-outs.</summary>
    TcpTimeouts,

    /// <summary>Fast recoveries entered.</summary>
    TcpFastRecoveries,

    /// <summary>Recoveries found needless and undone.</summary>
    TcpUndos,

    /// <summary>Tail loss probes sent.</summary>
    TcpLossProbes,

    /// <summary>Challenge ACKs sent.</summary>
    TcpChallengeAcks,

    /// <summary>Challenge ACKs held back by the rate limit.</summary>
    TcpChallengeAcksSuppressed,

    /// <summary>Acknowledgments sent without data.</summary>
    TcpPureAcksOut,

    /// <summary>Delayed acknowledgments sent by the timer.</summary>
    TcpDelayedAcks,

    /// <summary>Segments received out of order and kept.</summary>
    TcpOutOfOrder,

    /// <summary>Zero-window probes sent.</summary>
    TcpWindowProbes,

    /// <summary>Keep-alive probes sent.</summary>
    TcpKeepAlives,

    /// <summary>Connections given up after too many retransmissions.</summary>
    TcpAbortOnTimeout,

    /// <summary>Connections reset because unread data was thrown away at close.</summary>
    TcpAbortOnClose,

    /// <summary>Connections reset because data came after close.</summary>
    TcpAbortOnData,

    /// <summary>TIME_WAIT records reused for a new connection.</summary>
    TcpTimeWaitRecycled,

    /// <summary>Path MTU reductions.</summary>
    PathMtuReductions,

    /// <summary>Frames with a checksum that the sending veth peer left partial, accepted.</summary>
    PartialChecksums,

    /// <summary>Segments with an option of impossible length; the options before it were used.</summary>
    TcpMalformedOptions,

    /// <summary>Receive windows kept small because frames were short.</summary>
    MemoryPressure,

    /// <summary>Neighbours that the kernel asked for in vain while somebody waited for them.</summary>
    NeighborsFailed,

    /// <summary>Neighbours not taken in because the table was full.</summary>
    NeighborsRefused,

    /// <summary>Neighbours known only from frames, or asked for, that gave way to newer ones.</summary>
    NeighborsEvicted,

    /// <summary>Requests for neighbours not passed on because too many waited; they are made again after a second.</summary>
    NeighborRequestsDropped,

    /// <summary>Interfaces, addresses and routes of the kernel not taken in because a table was full.</summary>
    RoutingEntriesRefused,

    /// <summary>Path MTUs of destinations that gave way to newer ones before they expired.</summary>
    PathMtusEvicted,

    /// <summary>Local ends of an address that came which could not be steered to the stack; tried again each second.</summary>
    EndsRefused,

    /// <summary>The number of counters; not a counter.</summary>
    Count,
}

/// <summary>All counters of a stack: 64 bits each, never reset.</summary>
public sealed class StackCounters
{
    private readonly long[] _counters = new long[(int)Counter.Count];
    private readonly long[] _drops = new long[(int)DropReason.Count];

    /// <summary>How often something happened.</summary>
    public long this[Counter counter] => _counters[(int)counter];

    /// <summary>How many packets were dropped for a reason.</summary>
    public long this[DropReason reason] => _drops[(int)reason];

    /// <summary>All counters, indexed by <see cref="Counter"/>.</summary>
    public ReadOnlySpan<long> Counters => _counters;

    /// <summary>All drops, indexed by <see cref="DropReason"/>.</summary>
    public ReadOnlySpan<long> Drops => _drops;

    /// <summary>Counts what happened, in the stack or in a layer upon it.</summary>
    /// <param name="counter">What.</param>
    /// <param name="amount">How often, at least 0.</param>
    public void Add(Counter counter, long amount = 1) => _counters[(int)counter] += amount;

    internal void Drop(DropReason reason) => _drops[(int)reason]++;
}
