// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack.Tcp;

/// <content>Events: who has something new for its user.</content>
public sealed partial class TcpEngine
{
    private int _firstEvent;
    private int _lastEvent;
    private int _firstListenerEvent;

    /// <summary>Whether <see cref="DequeueEvents"/> has something to give.</summary>
    public bool HasEvents => _firstEvent != 0 || _firstListenerEvent != 0;

    /// <summary>Takes what is new since the last call, in order of arrival, at most one entry a connection.</summary>
    /// <returns>How many entries were written; when it equals the room, there may be more.</returns>
    public int DequeueEvents(Span<TcpEvent> destination)
    {
        int count = 0;
        while (count < destination.Length && _firstListenerEvent != 0)
        {
            int id = _firstListenerEvent;
            ref TcpListener listener = ref _listeners[id];
            _firstListenerEvent = listener.EventNext;
            listener.OnEventList = false;
            destination[count++] = new TcpEvent(id, true, listener.Tag, listener.PendingEdge);
            listener.PendingEdge = Readiness.None;
        }

        while (count < destination.Length && _firstEvent != 0)
        {
            int id = _firstEvent;
            ref TransmissionControlBlock tcb = ref _connections[id];
            _firstEvent = tcb.EventNext;
            if (_firstEvent == 0)
            {
                _lastEvent = 0;
            }

            tcb.Flags &= ~TcbFlags.OnEventList;
            destination[count++] = new TcpEvent(id, false, tcb.Tag, tcb.PendingEdge);
            tcb.PendingEdge = Readiness.None;
        }

        return count;
    }

    /// <summary>What a connection is ready for, as Linux's tcp_poll would say.</summary>
    public Readiness GetReadiness(int connection)
    {
        ref TransmissionControlBlock tcb = ref _connections[connection];
        Readiness ready = Readiness.None;
        bool receiveDone = tcb.Has(TcbFlags.FinReceived) || tcb.Has(TcbFlags.ReceiveShut);
        if ((receiveDone && tcb.Has(TcbFlags.FinQueued)) || tcb.State == TcpState.Closed)
        {
            ready |= Readiness.HangUp;
        }

        if (receiveDone || tcb.State == TcpState.Closed)
        {
            ready |= Readiness.In | Readiness.ReadHangUp;
        }

        if (tcb.State is not (TcpState.SynSent or TcpState.SynReceived))
        {
            if (tcb.ReceiveQueueBytes > 0)
            {
                ready |= Readiness.In;
            }

            if (tcb.Has(TcbFlags.FinQueued) || tcb.State == TcpState.Closed || IsWritable(tcb))
            {
                ready |= Readiness.Out;
            }
            else
            {
                tcb.Flags |= TcbFlags.WantsSpace;
                if (!MayTakeFrame(tcb) || _frames.FreeCount <= SendReserve + Limits.ControlFrameReserve)
                {
                    // No acknowledgment of its own may ever come: whoever gives frames back must wake it.
                    tcb.Flags |= TcbFlags.Starved;
                    _starved = true;
                }
            }
        }

        if (tcb.Error != TcpError.None)
        {
            ready |= Readiness.Error | Readiness.In | Readiness.Out;
        }

        return ready;
    }

    /// <summary>Whether a listener has a connection to accept.</summary>
    public Readiness GetListenerReadiness(int listener) =>
        _listeners[listener].AcceptCount > 0 ? Readiness.In : Readiness.None;

    /// <summary>Linux's sk_stream_is_writeable: at least a third of the buffer is free.</summary>
    private bool IsWritable(in TransmissionControlBlock tcb)
    {
        if (tcb.Settings.NotSentLowWater >= 0 && tcb.UnsentBytes >= tcb.Settings.NotSentLowWater)
        {
            return false;
        }

        int used = SendBufferUsed(tcb);
        return tcb.SendBuffer - used >= used / 2 && _frames.FreeCount > SendReserve + Limits.ControlFrameReserve
            && MayTakeFrame(tcb);
    }

    private void RaiseEvent(int id, ref TransmissionControlBlock tcb, Readiness edge)
    {
        if (tcb.Has(TcbFlags.Orphan))
        {
            return;
        }

        tcb.PendingEdge |= edge;
        if (tcb.Has(TcbFlags.OnEventList))
        {
            return;
        }

        tcb.Flags |= TcbFlags.OnEventList;
        tcb.EventNext = 0;
        if (_lastEvent == 0)
        {
            _firstEvent = id;
        }
        else
        {
            _connections[_lastEvent].EventNext = id;
        }

        _lastEvent = id;
    }

    private void RaiseListenerEvent(int id, ref TcpListener listener, Readiness edge)
    {
        listener.PendingEdge |= edge;
        if (!listener.OnEventList)
        {
            listener.OnEventList = true;
            listener.EventNext = _firstListenerEvent;
            _firstListenerEvent = id;
        }
    }

    // Rare: a connection goes while its event waits.
    private void RemoveEvent(int id, ref TransmissionControlBlock tcb)
    {
        if (!tcb.Has(TcbFlags.OnEventList))
        {
            return;
        }

        int previous = 0;
        for (int at = _firstEvent; at != 0; previous = at, at = _connections[at].EventNext)
        {
            if (at != id)
            {
                continue;
            }

            if (previous == 0)
            {
                _firstEvent = tcb.EventNext;
            }
            else
            {
                _connections[previous].EventNext = tcb.EventNext;
            }

            if (_lastEvent == id)
            {
                _lastEvent = previous;
            }

            break;
        }

        tcb.Flags &= ~TcbFlags.OnEventList;
        tcb.PendingEdge = Readiness.None;
    }
}
