// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Ip;

namespace Pronghorn.Stack.Tcp;

/// <content>Paths that are lost, that fail and that become known.</content>
public sealed partial class TcpEngine
{
    private bool _pathsPending;

    /// <summary>
    /// Routes or neighbours changed: sends at once what waited for a next hop, instead of at the next time-out, and tells
    /// those whose next hop was given up.
    /// </summary>
    internal void PathsChanged()
    {
        bool lost = _stack.Neighbors.TakeLost();
        bool failed = _stack.Neighbors.HasFailed;
        if (_pathsPending || lost)
        {
            _pathsPending = false;
            for (int id = 1; id < _connections.UpperBound; id++)
            {
                if (_connections.IsRented(id) && _connections[id].State != TcpState.Closed)
                {
                    PathChanged(id, ref _connections[id], lost, failed);
                }
            }
        }

        if (failed)
        {
            _stack.Neighbors.ForgetFailed();
        }

        if (_stack.Interfaces.MtuLowered)
        {
            _stack.Interfaces.MtuLowered = false;
            FollowInterfaceMtu();
        }
    }

    /// <summary>
    /// Segments that the interface no longer takes would be lost without an ICMP error to tell. Linux notices the same from the
    /// route when it sends (tcp_current_mss). A larger MTU counts for new connections only.
    /// </summary>
    private void FollowInterfaceMtu()
    {
        for (int id = 1; id < _connections.UpperBound; id++)
        {
            if (!_connections.IsRented(id) || _connections[id].State == TcpState.Closed)
            {
                continue;
            }

            ref TransmissionControlBlock tcb = ref _connections[id];
            int mtu = _stack.PathMtuOf(tcb.Remote, tcb.InterfaceId, _now);
            if (mtu < tcb.PathMtu)
            {
                UseLowerPathMtu(id, ref tcb, mtu);
            }
        }
    }

    private void PathChanged(int id, ref TransmissionControlBlock tcb, bool lost, bool failed)
    {
        if (!tcb.Has(TcbFlags.PathPending))
        {
            if (lost && tcb.FlightSize > 0 && tcb.PathGeneration != _epoch.Value)
            {
                // Its next time-out may be far away, and its path known again long before.
                _ = FindPath(ref tcb);
            }
        }
        else if (failed && _stack.HasNextHopFailed(tcb.Remote))
        {
            PathFailed(id, ref tcb);
        }
        else if (FindPath(ref tcb) == PathStatus.Resolved)
        {
            ResumePath(id, ref tcb);
        }
    }

    /// <summary>
    /// Nobody answers for the next hop. As in Linux, where the neighbour code reports it by an ICMP error to this host itself,
    /// an opening connection ends with EHOSTUNREACH, and an open one goes on trying and tells when it gives up.
    /// </summary>
    private void PathFailed(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.State is TcpState.SynSent or TcpState.SynReceived)
        {
            FailOpening(id, ref tcb, TcpError.HostUnreachable);
            return;
        }

        tcb.SoftError = TcpError.HostUnreachable;
        _pathsPending = true;
    }

    private void FailOpening(int id, ref TransmissionControlBlock tcb, TcpError error)
    {
        if (tcb.Listener == 0)
        {
            // Else the listener counts it, when it is left.
            _counters.Add(Counter.TcpAttemptFails);
        }

        Finish(id, ref tcb, error);
    }

    private void ResumePath(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.State is TcpState.SynSent or TcpState.SynReceived)
        {
            tcb.LastSentAt = _now;
            SendSyn(id, ref tcb);
            return;
        }

        if (tcb.FlightSize > 0 && tcb.Backoff > 0 && !tcb.Has(TcbFlags.Persist))
        {
            ResumeAfterTimeouts(id, ref tcb);
        }
        else
        {
            if (tcb.Has(TcbFlags.Persist) && UsableWindow(tcb) > 0)
            {
                // It was not the peer that let us wait.
                tcb.Backoff = 0;
            }

            Output(id, ref tcb, OutputMode.Normal);
        }

        if (tcb.RcvNxt != tcb.LastAckSent)
        {
            SendAck(id, ref tcb);
        }
    }

    /// <summary>
    /// Time-outs on a path that was cut say nothing of its capacity: what is in flight goes again at once in a restart window
    /// (RFC 5681 4.1) instead of after the rest of a backed-off time-out (the thought of RFC 6069). The count of time-outs
    /// stays, so that a path that comes and goes does not keep a dead connection.
    /// </summary>
    private void ResumeAfterTimeouts(int id, ref TransmissionControlBlock tcb)
    {
        EnterLoss(ref tcb);
        int restart = Math.Min(Limits.InitialWindowSegments * tcb.SendMss, tcb.SsThresh);
        tcb.Cwnd = Math.Max(tcb.Cwnd, restart);
        Output(id, ref tcb, OutputMode.Timeout);
        tcb.RetransmitAt = Instant.Earlier(tcb.RetransmitAt, _now + tcb.RetransmissionTimeout);
        Schedule(id, ref tcb, tcb.RetransmitAt);
    }
}
