// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>LISTEN: passive opens, the queue of handshakes and the queue of connections to accept.</content>
public sealed partial class TcpEngine
{
    private readonly NativeArray<int> _portListeners;

    /// <summary>Begins to listen.</summary>
    /// <param name="local">One of our addresses, or any.</param>
    /// <param name="port">Port, 1 to 65535.</param>
    /// <param name="backlog">Connections that may wait to be accepted; bounded by <see cref="Limits.MaximumBacklog"/>.</param>
    /// <param name="tag">Comes back in events.</param>
    /// <param name="inherited">What accepted connections start with.</param>
    /// <param name="error">Why not, when the result is 0.</param>
    /// <returns>The listener's number, 0 on failure.</returns>
    public int Listen(
        in IpAddress local, ushort port, int backlog, nint tag, in SocketSettings inherited, out TcpError error)
    {
        for (int at = _portListeners[port]; at != 0; at = _listeners[at].PortNext)
        {
            if (_listeners[at].Local == local)
            {
                error = TcpError.AddressInUse;
                return 0;
            }
        }

        int id = _listeners.Rent();
        if (id == 0)
        {
            error = TcpError.NoBuffers;
            return 0;
        }

        ref TcpListener listener = ref _listeners[id];
        listener.Local = local;
        listener.Port = port;
        listener.Tag = tag;
        listener.Settings = inherited;
        listener.OverflowedAt = Instant.Never;
        listener.PortNext = _portListeners[port];
        _portListeners[port] = id;
        SetBacklog(id, backlog);
        error = TcpError.None;
        return id;
    }

    /// <summary>Changes how many connections may wait.</summary>
    public void SetBacklog(int listener, int backlog) =>
        _listeners[listener].Backlog = Math.Clamp(backlog, 0, Limits.MaximumBacklog);

    /// <summary>Changes what connections accepted from now on start with.</summary>
    public void SetListenerSettings(int listener, in SocketSettings settings) =>
        _listeners[listener].Settings = settings;

    /// <summary>Stops listening. What was not accepted is reset.</summary>
    public void CloseListener(int listener, Instant now)
    {
        SetTime(now);
        ref TcpListener record = ref _listeners[listener];
        UnlinkPort(listener, record);
        for (int id = 1; id < _connections.UpperBound; id++)
        {
            if (_connections.IsRented(id) && _connections[id].Listener == listener)
            {
                ref TransmissionControlBlock tcb = ref _connections[id];
                tcb.Flags |= TcbFlags.Orphan;
                if (tcb.State != TcpState.Closed)
                {
                    SendReset(id, ref tcb);
                    Finish(id, ref tcb, TcpError.ConnectionAborted);
                }
                else
                {
                    Destroy(id, ref tcb);
                }
            }
        }

        RemoveListenerEvent(listener, ref record);
        _listeners.Return(listener);
    }

    /// <summary>Takes the oldest connection that waits.</summary>
    /// <returns>False when none waits. The connection may already have ended again; its error tells.</returns>
    public bool TryAccept(int listener, out int connection)
    {
        ref TcpListener record = ref _listeners[listener];
        connection = record.AcceptHead;
        if (connection == 0)
        {
            return false;
        }

        ref TransmissionControlBlock tcb = ref _connections[connection];
        record.AcceptHead = tcb.AcceptNext;
        if (record.AcceptHead == 0)
        {
            record.AcceptTail = 0;
        }

        record.AcceptCount--;
        tcb.Listener = 0;
        tcb.Flags &= ~TcbFlags.InAcceptQueue;
        return true;
    }

    /// <summary>Connections that wait to be accepted.</summary>
    public int AcceptQueueLength(int listener) => _listeners[listener].AcceptCount;

    private int FindListener(in IpAddress local, ushort port)
    {
        int wildcard = 0;
        for (int at = _portListeners[port]; at != 0; at = _listeners[at].PortNext)
        {
            ref TcpListener listener = ref _listeners[at];
            if (listener.Local == local)
            {
                return at;
            }

            if (listener.Local.IsAny)
            {
                wildcard = at;
            }
        }

        return wildcard;
    }

    /// <summary>RFC 9293 3.10.7.2.</summary>
    private void SegmentArrivesListen(int listener, ref TcpSegment segment, SeqNumber? issFloor = null)
    {
        if (segment.Is(TcpFlags.Ack))
        {
            if (!FinishWithCookie(listener, ref segment))
            {
                _counters.Drop(DropReason.TcpNoSocket);
                SendResetFor(segment);
            }

            return;
        }

        if (!segment.Is(TcpFlags.Syn) || segment.Is(TcpFlags.Fin))
        {
            // Like Linux also a SYN with FIN: nobody means that.
            _counters.Drop(DropReason.TcpNoSocket);
            return;
        }

        ref TcpListener record = ref _listeners[listener];
        if (record.AcceptCount > record.Backlog)
        {
            _counters.Drop(DropReason.TcpAcceptQueueFull);
            return;
        }

        // What succeeds a TIME_WAIT must begin beyond it, which a cookie cannot see to: it goes into the queue (as Linux).
        if (record.SynCount > record.Backlog && issFloor == null)
        {
            if (_options.UseSynCookies)
            {
                SendCookie(ref record, segment);
            }
            else
            {
                _counters.Drop(DropReason.TcpSynQueueFull);
            }

            return;
        }

        int id = OpenPassive(listener, segment, null, issFloor);
        if (id != 0)
        {
            ref TransmissionControlBlock tcb = ref _connections[id];
            SendSyn(id, ref tcb);
            StartRetransmitTimer(id, ref tcb);
        }
    }

    /// <summary>Makes a record in SYN_RECEIVED; 0 when none is free.</summary>
    private int OpenPassive(int listener, in TcpSegment syn, SeqNumber? iss, SeqNumber? issFloor = null)
    {
        ref TcpListener record = ref _listeners[listener];
        int id = Create(syn.Destination, syn.DestinationPort, syn.Source, syn.SourcePort, record.Settings);
        if (id == 0)
        {
            return 0;
        }

        _counters.Add(Counter.TcpPassiveOpens);
        _stack.LearnFromSyn(syn, _now);
        ref TransmissionControlBlock tcb = ref _connections[id];
        tcb.Listener = listener;
        tcb.Flags |= TcbFlags.Passive;
        tcb.InterfaceId = syn.InterfaceId;
        record.SynCount++;
        tcb.PathMtu = _stack.PathMtuOf(tcb.Remote, syn.InterfaceId, _now);
        InitializeSending(ref tcb, iss ?? NewIss(tcb, issFloor));
        TakeSyn(ref tcb, syn);
        tcb.State = TcpState.SynReceived;
        tcb.LastSentAt = _now;
        return id;
    }

    private bool EnterAcceptQueue(int id, ref TransmissionControlBlock tcb)
    {
        int listener = tcb.Listener;
        ref TcpListener record = ref _listeners[listener];
        if (record.AcceptCount > record.Backlog)
        {
            _counters.Drop(DropReason.TcpAcceptQueueFull);
            return false;
        }

        record.SynCount--;
        record.AcceptCount++;
        tcb.AcceptNext = 0;
        if (record.AcceptTail == 0)
        {
            record.AcceptHead = id;
        }
        else
        {
            _connections[record.AcceptTail].AcceptNext = id;
        }

        record.AcceptTail = id;
        tcb.Flags |= TcbFlags.InAcceptQueue;
        RaiseListenerEvent(listener, ref record, Readiness.In);
        return true;
    }

    /// <summary>A connection ends before it was accepted. One that waits in the queue stays there, for accept to tell.</summary>
    private void LeaveListener(ref TransmissionControlBlock tcb)
    {
        if (tcb.Listener == 0 || tcb.Has(TcbFlags.InAcceptQueue))
        {
            return;
        }

        if (tcb.State == TcpState.SynReceived && _listeners.IsRented(tcb.Listener))
        {
            _listeners[tcb.Listener].SynCount--;
            _counters.Add(Counter.TcpAttemptFails);
        }

        // Nobody knows of it yet, so nobody would ever let go of it.
        tcb.Listener = 0;
        tcb.Flags |= TcbFlags.Orphan;
    }

    private void UnlinkPort(int listener, in TcpListener record)
    {
        ref int link = ref _portListeners[record.Port];
        while (link != listener)
        {
            link = ref _listeners[link].PortNext;
        }

        link = record.PortNext;
    }

    private void RemoveListenerEvent(int listener, ref TcpListener record)
    {
        if (!record.OnEventList)
        {
            return;
        }

        ref int link = ref _firstListenerEvent;
        while (link != listener)
        {
            link = ref _listeners[link].EventNext;
        }

        link = record.EventNext;
    }
}
