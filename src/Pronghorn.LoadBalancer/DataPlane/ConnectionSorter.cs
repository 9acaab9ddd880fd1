// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections;
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>
/// Where the table of connections is read into: counts each entry and keeps only the keys of those that are over, so that a full table
/// takes no memory here.
/// </summary>
internal sealed class ConnectionSorter(SettingsValue settings, ulong now, List<ConnectionKey> over)
    : ICollection<KeyValuePair<ConnectionKey, ConnectionEntry>>
{
    private const ulong NanosecondsPerSecond = 1_000_000_000;

    private int _tcp;
    private int _udp;
    private int _sctp;

    /// <summary>What was counted so far.</summary>
    public ConnectionSweep Result => new(Count, _tcp, _udp, _sctp, 0);

    /// <inheritdoc/>
    public int Count { get; private set; }

    /// <inheritdoc/>
    public bool IsReadOnly => false;

    /// <inheritdoc/>
    public void Add(KeyValuePair<ConnectionKey, ConnectionEntry> item)
    {
        (ConnectionKey key, ConnectionEntry entry) = item;
        Count++;

        // The kernel's clock is read once for each packet; it may be a little ahead of ours.
        ulong age = now > entry.LastSeen ? now - entry.LastSeen : 0;
        if (age > ConnectionCollector.TimeoutOf(key.Protocol, entry, settings) * NanosecondsPerSecond)
        {
            over.Add(key);
        }
        else if (entry.IsReverse == 0)
        {
            _tcp += key.Protocol == IpProtocol.Tcp ? 1 : 0;
            _udp += key.Protocol == IpProtocol.Udp ? 1 : 0;
            _sctp += key.Protocol == IpProtocol.Sctp ? 1 : 0;
        }
    }

    /// <summary>Nothing is kept.</summary>
    public void Clear() => throw new NotSupportedException();

    /// <summary>Nothing is kept.</summary>
    public bool Contains(KeyValuePair<ConnectionKey, ConnectionEntry> item) => throw new NotSupportedException();

    /// <summary>Nothing is kept.</summary>
    public void CopyTo(KeyValuePair<ConnectionKey, ConnectionEntry>[] array, int arrayIndex) => throw new NotSupportedException();

    /// <summary>Nothing is kept.</summary>
    public bool Remove(KeyValuePair<ConnectionKey, ConnectionEntry> item) => throw new NotSupportedException();

    /// <summary>Nothing is kept.</summary>
    public IEnumerator<KeyValuePair<ConnectionKey, ConnectionEntry>> GetEnumerator() => throw new NotSupportedException();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
