// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Pronghorn.Linux;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Runtime.Statistics;

/// <summary>Writes the page of one process. After construction nothing is allocated on the managed heap.</summary>
public sealed class StatisticsWriter : IDisposable
{
    // Faster than this nobody reads, and a walk over all connections is not free.
    private static readonly Duration s_interval = Duration.FromMilliseconds(50);

    private readonly SharedPage _page;
    private readonly int _stackCounters;
    private int _counterCount;
    private Instant _notBefore;

    private StatisticsWriter(SharedPage page, int processId, int interfaceId)
    {
        _page = page;
        ref StatisticsHeader header = ref Header;
        header.Magic = StatisticsPage.Magic;
        header.Version = StatisticsPage.Version;
        header.ProcessId = processId;
        header.InterfaceId = interfaceId;
        foreach ((string name, bool isDrop) in StackCounterNames)
        {
            AddCounter(name, isDrop);
        }

        _stackCounters = _counterCount;
    }

    private ref StatisticsHeader Header => ref MemoryMarshal.AsRef<StatisticsHeader>(_page.Bytes);

    private Span<StatisticsCounter> CounterSlots => MemoryMarshal.Cast<byte, StatisticsCounter>(
        _page.Bytes.Slice(Unsafe.SizeOf<StatisticsHeader>(), StatisticsPage.MaximumCounters * Unsafe.SizeOf<StatisticsCounter>()));

    private Span<StatisticsRow> Rows => MemoryMarshal.Cast<byte, StatisticsRow>(_page.Bytes[RowsOffset..]);

    internal static int RowsOffset =>
        Unsafe.SizeOf<StatisticsHeader>() + (StatisticsPage.MaximumCounters * Unsafe.SizeOf<StatisticsCounter>());

    internal static int PageLength => RowsOffset + (StatisticsPage.MaximumRows * Unsafe.SizeOf<StatisticsRow>());

    /// <summary>Makes the page of a process. The file is sparse: rows that were never used take no memory.</summary>
    /// <param name="directory">Where; <see cref="StatisticsPage.Directory"/> in production.</param>
    /// <param name="processId">The process.</param>
    /// <param name="interfaceId">The device's interface.</param>
    /// <param name="writer">The writer, or null on an error.</param>
    /// <returns>0 or the negative error number.</returns>
    public static int Create(string directory, int processId, int interfaceId, out StatisticsWriter? writer)
    {
        string path = directory + "/" + processId.ToString(CultureInfo.InvariantCulture);
        int mode = directory == StatisticsPage.Directory ? StatisticsPlaces.SharedMode : StatisticsPlaces.OwnMode;
        int result = SharedPage.Create(path, PageLength, mode, out SharedPage? page);
        writer = result == 0 && page != null ? new StatisticsWriter(page, processId, interfaceId) : null;

        // A reader that comes early finds no page rather than an empty one.
        result = writer is null ? result : page!.Publish();
        if (result < 0)
        {
            page?.Dispose();
            writer = null;
        }

        return result;
    }

    /// <summary>Names of the stack's counters in the order of the page, and whether each counts packets or segments not used.</summary>
    public static IEnumerable<(string Name, bool IsDrop)> StackCounterNames =>
    [
        .. Enum.GetValues<Counter>().Where(counter => counter != Counter.Count)
            .Select(counter => (ToSnakeCase(counter.ToString()), false)),
        .. Enum.GetValues<DropReason>().Where(reason => reason != DropReason.Count)
            .Select(reason => (ToSnakeCase(reason.ToString()), true)),
    ];

    /// <summary>Adds a counter beside the stack's. At start-up, since it allocates.</summary>
    /// <returns>Its number for <see cref="Set"/>, or -1 when there is no room.</returns>
    public int AddCounter(string name, bool isDrop)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (_counterCount >= StatisticsPage.MaximumCounters)
        {
            return -1;
        }

        ref StatisticsCounter slot = ref CounterSlots[_counterCount];
        slot.IsDrop = isDrop ? 1 : 0;
        Span<byte> bytes = slot.Name;
        bytes.Clear();
        Encoding.ASCII.GetBytes(name.AsSpan(0, Math.Min(name.Length, StatisticsPage.NameLength - 1)), bytes);
        Header.CounterCount = _counterCount + 1;
        return _counterCount++;
    }

    /// <summary>Sets a counter made by <see cref="AddCounter"/>. A store: needs no request.</summary>
    public void Set(int counter, long value)
    {
        if ((uint)counter < (uint)_counterCount)
        {
            CounterSlots[counter].Value = value;
        }
    }

    /// <summary>Whether a reader waits and it is time. One load when nobody does.</summary>
    public bool IsWanted(Instant now)
    {
        ref StatisticsHeader header = ref Header;
        return Volatile.Read(ref header.Request) != header.Answered && now >= _notBefore;
    }

    /// <summary>Writes counters and rows.</summary>
    public void Write(NetworkStack stack, Instant now)
    {
        ArgumentNullException.ThrowIfNull(stack);
        _notBefore = now + s_interval;
        ref StatisticsHeader header = ref Header;
        uint request = Volatile.Read(ref header.Request);
        Volatile.Write(ref header.Sequence, header.Sequence + 1);
        Interlocked.MemoryBarrier();
        WriteCounters(stack.Counters);
        header.RowCount = WriteRows(stack.Tcp, out int sockets);
        header.SocketCount = sockets;
        header.WrittenAt = now.Nanoseconds;
        header.Answered = request;
        Interlocked.MemoryBarrier();
        Volatile.Write(ref header.Sequence, header.Sequence + 1);
    }

    /// <summary>Removes the page.</summary>
    public void Dispose() => _page.Dispose();

    private void WriteCounters(StackCounters counters)
    {
        Span<StatisticsCounter> slots = CounterSlots;
        int at = 0;
        for (int i = 0; i < (int)Counter.Count; i++)
        {
            slots[at++].Value = counters.Counters[i];
        }

        for (int i = 0; i < (int)DropReason.Count && at < _stackCounters; i++)
        {
            slots[at++].Value = counters.Drops[i];
        }
    }

    private int WriteRows(TcpEngine tcp, out int sockets)
    {
        Span<StatisticsRow> rows = Rows;
        int used = 0;
        sockets = 0;
        for (int id = 1; id < tcp.ListenerUpperBound; id++)
        {
            if (!tcp.IsListenerActive(id))
            {
                continue;
            }

            sockets++;
            if (used < rows.Length)
            {
                WriteListener(ref rows[used++], tcp.GetListener(id));
            }
        }

        for (int id = 1; id < tcp.UpperBound; id++)
        {
            if (!tcp.IsActive(id))
            {
                continue;
            }

            sockets++;
            if (used < rows.Length)
            {
                WriteConnection(ref rows[used++], tcp.Get(id));
            }
        }

        return used;
    }

    private static void WriteListener(ref StatisticsRow row, in TcpListener listener)
    {
        row = default;
        row.LocalHigh = listener.Local.High;
        row.LocalLow = listener.Local.Low;
        row.LocalPort = listener.Port;
        row.State = (byte)TcpState.Listen;
        row.ReceiveQueue = listener.AcceptCount;
        row.SendQueue = listener.Backlog;
    }

    private static void WriteConnection(ref StatisticsRow row, in TransmissionControlBlock tcb)
    {
        row.LocalHigh = tcb.Local.High;
        row.LocalLow = tcb.Local.Low;
        row.RemoteHigh = tcb.Remote.High;
        row.RemoteLow = tcb.Remote.Low;
        row.LocalPort = tcb.LocalPort;
        row.RemotePort = tcb.RemotePort;
        row.State = (byte)tcb.State;
        row.Recovery = (byte)tcb.Recovery;
        row.Congestion = (byte)tcb.Congestion;
        row.ReceiveQueue = tcb.ReceiveQueueBytes;
        row.SendQueue = tcb.SendQueueBytes;
        row.Cwnd = tcb.Cwnd;
        row.SsThresh = tcb.SsThresh;
        row.Mss = tcb.SendMss;
        row.SndWnd = tcb.SndWnd;
        row.RcvWnd = tcb.RcvWnd;
        row.SmoothedRtt = tcb.SmoothedRtt.Nanoseconds;
        row.RttVariation = tcb.RttVariation.Nanoseconds;
        row.RetransmissionTimeout = tcb.RetransmissionTimeout.Nanoseconds;
        row.Retransmissions = tcb.TotalRetransmissions;
        row.BytesReceived = tcb.BytesReceived;
        row.BytesAcked = tcb.BytesAcked;
    }

    private static string ToSnakeCase(string name)
    {
        StringBuilder result = new();
        for (int i = 0; i < name.Length; i++)
        {
            if (i > 0 && char.IsUpper(name[i]))
            {
                result.Append('_');
            }

            result.Append(char.ToLowerInvariant(name[i]));
        }

        return result.ToString();
    }
}
