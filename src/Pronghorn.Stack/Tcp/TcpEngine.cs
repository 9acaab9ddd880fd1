// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using Pronghorn.Memory;
using Pronghorn.Stack.Link;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// All TCP connections of one stack. A connection is a record in a slab and is named by its number; nothing here
/// allocates managed memory after construction.
/// </summary>
/// <remarks>
/// One writer. The files: SegmentArrives (RFC 9293 3.10.7), Handshake, Acknowledge, Recovery and Sack for what comes in;
/// Output and Segments for what goes out; UserCalls (3.10.1 to 3.10.6); Timers (3.10.8); Listeners; Events; Icmp.
/// </remarks>
public sealed partial class TcpEngine : IDisposable
{
    private const int NoFrame = -1;
    private const int RecycleSearch = 1024;

    private readonly StackOptions _options;
    private readonly FramePool _frames;
    private readonly NativeArray<FrameInfo> _info;
    private readonly Slab<TransmissionControlBlock> _connections;
    private readonly Slab<TcpListener> _listeners;
    private readonly FlowTable _flows;
    private readonly NetworkStack _stack;
    private readonly StackCounters _counters;
    private readonly PathEpoch _epoch;
    private readonly FlowHash _flowHash;
    private readonly SipHash _isnHash;
    private readonly SynCookies _cookies;
    private Instant _now;
    private int _recycleCursor;

    internal TcpEngine(
        NetworkStack stack, StackOptions options, FramePool frames, StackCounters counters, PathEpoch epoch)
    {
        _stack = stack;
        _options = options;
        _frames = frames;
        _counters = counters;
        _epoch = epoch;
        _info = new NativeArray<FrameInfo>(frames.FrameCount);
        _connections = new Slab<TransmissionControlBlock>(options.MaximumConnections);
        _listeners = new Slab<TcpListener>(Limits.MaximumListeners);
        _flows = new FlowTable(_connections, 1024);
        _portListeners = new NativeArray<int>(65536);
        _slots = new NativeArray<int>(WheelLevels * WheelSlots);
        _flowHash = new FlowHash(options.Secret0, options.Secret1);

        // Different keys, so that a hash seen in one use says nothing about the other.
        _isnHash = new SipHash(~options.Secret1, options.Secret0 + 0x9e3779b97f4a7c15);
        _cookies = new SynCookies(~options.Secret0, options.Secret1 + 0xd6e8feb86659fd93);
    }

    /// <summary>Number of connection records in use, TIME_WAIT included.</summary>
    public int ConnectionCount => _connections.Count;

    /// <summary>One more than the highest connection number in use: the bound for a walk with <see cref="IsActive"/>.</summary>
    public int UpperBound => _connections.UpperBound;

    /// <summary>One more than the highest listener number in use.</summary>
    public int ListenerUpperBound => _listeners.UpperBound;

    /// <summary>Whether a number names a connection.</summary>
    public bool IsActive(int connection) => _connections.IsRented(connection);

    /// <summary>Whether a number names a listener.</summary>
    public bool IsListenerActive(int listener) => _listeners.IsRented(listener);

    /// <summary>All that is known of a connection.</summary>
    /// <exception cref="InvalidOperationException">There is no such connection.</exception>
    public ref readonly TransmissionControlBlock Get(int connection) => ref _connections[connection];

    /// <summary>All that is known of a listener.</summary>
    /// <exception cref="InvalidOperationException">There is no such listener.</exception>
    public ref readonly TcpListener GetListener(int listener) => ref _listeners[listener];

    /// <inheritdoc/>
    public void Dispose()
    {
        _info.Dispose();
        _connections.Dispose();
        _listeners.Dispose();
        _flows.Dispose();
        _portListeners.Dispose();
        _slots.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint HashOf(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort) =>
        _flowHash.Hash(local, localPort, remote, remotePort);

    /// <summary>Makes a record that is in the flow table; 0 when there is no room.</summary>
    private int Create(
        in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort, in SocketSettings settings)
    {
        int id = _connections.Rent();
        if (id == 0 && RecycleTimeWait())
        {
            id = _connections.Rent();
        }

        if (id == 0)
        {
            _counters.Drop(DropReason.TcpNoMemory);
            return 0;
        }

        ref TransmissionControlBlock tcb = ref _connections[id];
        tcb.Local = local;
        tcb.LocalPort = localPort;
        tcb.Remote = remote;
        tcb.RemotePort = remotePort;
        tcb.Settings = settings;
        tcb.Hash = HashOf(local, localPort, remote, remotePort);
        InitializeQueues(ref tcb);
        InitializeTimers(ref tcb);
        tcb.Congestion = settings.Congestion == CongestionAlgorithm.Default ? _options.Congestion : settings.Congestion;
        tcb.ReceiveBuffer = settings.ReceiveBuffer > 0 ? settings.ReceiveBuffer : _options.InitialReceiveBuffer;
        tcb.SendBuffer = settings.SendBuffer > 0 ? settings.SendBuffer : _options.InitialSendBuffer;
        tcb.Reordering = Limits.DuplicateThreshold;
        tcb.RackWindowMultiplier = 1;
        tcb.UndoRetransmissions = -1;
        tcb.RetransmissionTimeout = Limits.InitialRto;
        tcb.QuickAcksLeft = Limits.QuickAcks;
        tcb.PathGeneration = -1;
        tcb.PathMtu = 1500;
        tcb.CreatedAt = _now;
        tcb.LastReceivedAt = _now;
        tcb.LastDataAt = Instant.Never;
        tcb.LastDisorderAt = Instant.Never;
        if (_flows.Add(id))
        {
            return id;
        }

        _connections.Return(id);
        _counters.Drop(DropReason.TcpNoMemory);
        return 0;
    }

    /// <summary>
    /// All records are taken: one that only waits out its TIME_WAIT gives way, as under Linux' tcp_max_tw_buckets. The
    /// search goes on where the last one ended and is bounded, since a peer can cause it.
    /// </summary>
    private bool RecycleTimeWait()
    {
        for (int looked = 0; looked < RecycleSearch; looked++)
        {
            _recycleCursor = _recycleCursor + 1 < _connections.UpperBound ? _recycleCursor + 1 : 1;
            if (!_connections.IsRented(_recycleCursor))
            {
                continue;
            }

            ref TransmissionControlBlock tcb = ref _connections[_recycleCursor];
            if (tcb.State == TcpState.TimeWait && tcb.Has(TcbFlags.Orphan))
            {
                _counters.Add(Counter.TcpTimeWaitRecycled);
                Finish(_recycleCursor, ref tcb, TcpError.None);
                return true;
            }
        }

        return false;
    }

    /// <summary>RFC 6528: a keyed hash of the four-tuple plus a clock of 4 microseconds (RFC 9293 3.4.1).</summary>
    private SeqNumber NewIss(in TransmissionControlBlock tcb, SeqNumber? floor)
    {
        ulong hash = _isnHash.Hash(tcb.Local, tcb.LocalPort, tcb.Remote, tcb.RemotePort);
        SeqNumber iss = new((uint)hash + (uint)(_now.Nanoseconds / 4000));
        return floor is { } least && iss < least ? least : iss;
    }

    /// <summary>Per-connection offset of the timestamp clock, so that it tells nothing of the host's uptime.</summary>
    private uint NewTimestampOffset(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort) =>
        (uint)(_isnHash.Hash(local, localPort, remote, remotePort) >> 32);

    private uint TimestampClock() => (uint)(_now.Nanoseconds / 1_000_000);

    private uint TimestampNow(in TransmissionControlBlock tcb) => TimestampClock() + tcb.TsOffset;

    /// <summary>The connection is over. The record stays for its user, or goes when there is none.</summary>
    private void Finish(int id, ref TransmissionControlBlock tcb, TcpError error)
    {
        if (tcb.State == TcpState.Closed)
        {
            return;
        }

        LeaveListener(ref tcb);
        tcb.State = TcpState.Closed;
        _flows.Remove(id);
        FreeSendQueue(ref tcb);
        FreeOutOfOrderQueue(ref tcb);
        ClearTimers(id, ref tcb);
        if (tcb.Error == TcpError.None)
        {
            tcb.Error = error;
        }

        if (tcb.Has(TcbFlags.Orphan))
        {
            Destroy(id, ref tcb);
            return;
        }

        Readiness edge = Readiness.In | Readiness.Out | Readiness.HangUp | Readiness.ReadHangUp;
        RaiseEvent(id, ref tcb, error == TcpError.None ? edge : edge | Readiness.Error);
    }

    private void Destroy(int id, ref TransmissionControlBlock tcb)
    {
        FreeReceiveQueue(ref tcb);
        RemoveEvent(id, ref tcb);
        RemoveFromAckList(id, ref tcb);
        _connections.Return(id);
    }
}
