// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>What a sweep over the table of connections found.</summary>
/// <param name="Entries">Entries that were there, two for each connection.</param>
/// <param name="Tcp">Connections of TCP that go on.</param>
/// <param name="Udp">Of UDP.</param>
/// <param name="Sctp">Of SCTP.</param>
/// <param name="Removed">Entries that were over and are deleted now.</param>
public readonly record struct ConnectionSweep(int Entries, int Tcp, int Udp, int Sctp, int Removed);

/// <summary>
/// Deletes the entries of connections that are over, so that the table holds what is in use (it forgets the longest unused by itself,
/// but only when it is full).
/// </summary>
public sealed class ConnectionCollector
{
    private const int DeleteBatch = 4096;

    private readonly BpfMap _connections;
    private readonly BpfMap _settings;
    private readonly List<ConnectionKey> _over = [];

    /// <summary>Collects from these maps, which stay the caller's.</summary>
    /// <param name="connections">connections.</param>
    /// <param name="settings">settings: the timeouts.</param>
    public ConnectionCollector(BpfMap connections, BpfMap settings)
    {
        ArgumentNullException.ThrowIfNull(connections);
        ArgumentNullException.ThrowIfNull(settings);
        _connections = connections;
        _settings = settings;
    }

    /// <summary>Goes once over the table, a few thousand entries at a time.</summary>
    /// <param name="now">CLOCK_MONOTONIC.</param>
    /// <exception cref="BpfException">A map cannot be read.</exception>
    public ConnectionSweep Sweep(TimeSpan now)
    {
        Check(_settings.Lookup(0u, out SettingsValue settings), _settings);
        var sorter = new ConnectionSorter(settings, (ulong)now.TotalNanoseconds, _over);
        _over.Clear();
        Check(_connections.ReadAll(sorter), _connections);
        return sorter.Result with { Removed = Delete() };
    }

    /// <summary>Seconds without a packet after which an entry is over; as connection_timeout_ns of bpf/common/service_track.h.</summary>
    internal static uint TimeoutOf(IpProtocol protocol, in ConnectionEntry entry, in SettingsValue settings) => protocol switch
    {
        IpProtocol.Udp => settings.UdpTimeout,
        IpProtocol.Sctp => settings.SctpTimeout,
        _ when entry.IsReset != 0 || IsFinished(entry) => settings.TcpClosingTimeout,
        _ => entry.IsAnswered != 0 ? settings.TcpTimeout : settings.TcpOpeningTimeout,
    };

    // Of a connection whose answers are direct, a node sees one direction only.
    private static bool IsFinished(in ConnectionEntry entry) => entry.Options != 0
        ? entry.ClientFinished != 0 || entry.BackendFinished != 0
        : entry.ClientFinished != 0 && entry.BackendFinished != 0;

    private static void Check(int result, BpfMap map)
    {
        if (result < 0)
        {
            throw new BpfException(BpfStep.UseMap, $"the map {map.Name}", -result);
        }
    }

    private int Delete()
    {
        int removed = 0;
        ReadOnlySpan<ConnectionKey> rest = CollectionsMarshal.AsSpan(_over);
        while (rest.Length > 0)
        {
            int result = _connections.DeleteBatch(rest[..Math.Min(rest.Length, DeleteBatch)], out int done);
            removed += done;

            // The table itself may have let go of one meanwhile.
            int skipped = result == -Errno.NoEntry ? 1 : 0;
            Check(skipped == 0 ? result : 0, _connections);
            rest = rest[(done + skipped)..];
        }

        return removed;
    }
}
