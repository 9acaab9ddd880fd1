// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack.Tcp;

/// <content>What happens when a timer expires: RFC 9293 3.10.8, RFC 6298, RFC 8985.</content>
public sealed partial class TcpEngine
{
    private void ExpireConnection(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.DelayedAckAt <= _now)
        {
            tcb.DelayedAckAt = Instant.Never;

            // No answer came to carry it: the traffic is not interactive after all (Linux: tcp_delack_timer_handler).
            tcb.Flags &= ~TcbFlags.Interactive;
            _counters.Add(Counter.TcpDelayedAcks);
            SendAck(id, ref tcb);
        }

        if (tcb.CorkAt <= _now)
        {
            tcb.CorkAt = Instant.Never;
            Output(id, ref tcb, OutputMode.PushPartial);
        }

        if (tcb.ReorderAt <= _now)
        {
            tcb.ReorderAt = Instant.Never;
            OnReorderTimer(id, ref tcb);
        }

        if (tcb.RetransmitAt <= _now)
        {
            tcb.RetransmitAt = Instant.Never;
            OnRetransmitTimer(id, ref tcb);
        }

        if (_connections.IsRented(id) && tcb.LifeAt <= _now)
        {
            tcb.LifeAt = Instant.Never;
            OnLifeTimer(id, ref tcb);
        }
    }

    private void StartRetransmitTimer(int id, ref TransmissionControlBlock tcb)
    {
        tcb.Flags &= ~(TcbFlags.Persist | TcbFlags.LossProbe);
        SetRetransmitTimer(id, ref tcb);
    }

    private void SetRetransmitTimer(int id, ref TransmissionControlBlock tcb)
    {
        tcb.RetransmitAt = _now + RttEstimator.BackedOff(tcb);
        int userTimeout = tcb.Settings.UserTimeoutMilliseconds;
        if (userTimeout > 0 && tcb.StalledSince.IsSet)
        {
            // Not later than the user waits (Linux: tcp_clamp_rto_to_user_timeout).
            Instant end = tcb.StalledSince + Duration.FromMilliseconds(userTimeout);
            tcb.RetransmitAt = Instant.Earlier(tcb.RetransmitAt, end > _now ? end : _now);
        }

        Schedule(id, ref tcb, tcb.RetransmitAt);
    }

    /// <summary>Restarts, changes or stops the timer after an acknowledgment or a transmission, RFC 6298 (5.1) to (5.3).</summary>
    private void RearmRetransmitTimer(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.FlightSize > 0)
        {
            StartRetransmitTimer(id, ref tcb);
            ConsiderLossProbe(id, ref tcb);
            return;
        }

        if (tcb.SendNext != NoFrame && tcb.SndWnd < SendableBytes(tcb))
        {
            StartPersistTimer(id, ref tcb);
            return;
        }

        tcb.RetransmitAt = Instant.Never;
        tcb.Flags &= ~(TcbFlags.Persist | TcbFlags.LossProbe);
    }

    private int SendableBytes(in TransmissionControlBlock tcb) =>
        tcb.SendNext == NoFrame ? 0 : _info[tcb.SendNext].Length;

    private void StartPersistTimer(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.Has(TcbFlags.Persist) && tcb.RetransmitAt.IsSet)
        {
            return;
        }

        if (!tcb.Has(TcbFlags.Persist))
        {
            tcb.Backoff = 0;
        }

        tcb.Flags |= TcbFlags.Persist;
        tcb.Flags &= ~TcbFlags.LossProbe;
        SetRetransmitTimer(id, ref tcb);
    }

    private void OnRetransmitTimer(int id, ref TransmissionControlBlock tcb)
    {
        switch (tcb.State)
        {
            case TcpState.SynSent:
            case TcpState.SynReceived:
                RetransmitSyn(id, ref tcb);
                return;
            case TcpState.Closed:
            case TcpState.TimeWait:
                return;
            default:
                break;
        }

        if (tcb.Has(TcbFlags.LossProbe))
        {
            SendLossProbe(id, ref tcb);
        }
        else if (tcb.Has(TcbFlags.Persist))
        {
            OnPersistTimer(id, ref tcb);
        }
        else if (tcb.FlightSize > 0)
        {
            OnRetransmissionTimeout(id, ref tcb);
        }
    }

    private void RetransmitSyn(int id, ref TransmissionControlBlock tcb)
    {
        int limit = tcb.State == TcpState.SynSent ? tcb.Settings.SynRetries : Limits.SynAckRetries;
        if (tcb.Backoff >= limit)
        {
            _counters.Add(Counter.TcpAttemptFails);
            Finish(id, ref tcb, tcb.SoftError != TcpError.None ? tcb.SoftError : TcpError.TimedOut);
            return;
        }

        tcb.Backoff++;
        _stack.VerifyNextHop(tcb.Remote, _now);
        tcb.TotalRetransmissions++;
        _counters.Add(Counter.TcpRetransSegs);
        SendSyn(id, ref tcb);
        StartRetransmitTimer(id, ref tcb);
    }

    /// <summary>RFC 6298 (5.4) to (5.7); RFC 5681 (4) for the window; what is in flight counts as lost.</summary>
    private void OnRetransmissionTimeout(int id, ref TransmissionControlBlock tcb)
    {
        if (!tcb.StalledSince.IsSet)
        {
            ref FrameInfo head = ref _info[tcb.SendHead];
            tcb.StalledSince = head.Is(SegmentMarks.EverRetransmitted) ? _now : head.SentAt;
        }

        if (GiveUp(id, ref tcb, isProbing: false))
        {
            return;
        }

        _counters.Add(Counter.TcpTimeouts);
        EnterLoss(ref tcb);
        tcb.Backoff++;
        _stack.VerifyNextHop(tcb.Remote, _now);
        Output(id, ref tcb, OutputMode.Timeout);
        StartRetransmitTimer(id, ref tcb);
    }

    private bool GiveUp(int id, ref TransmissionControlBlock tcb, bool isProbing)
    {
        bool orphan = tcb.Has(TcbFlags.Orphan);
        int userTimeout = tcb.Settings.UserTimeoutMilliseconds;
        bool tooLong = userTimeout > 0
            && _now - tcb.StalledSince >= Duration.FromMilliseconds(userTimeout);

        // A peer that took its window back and goes on answering is alive (RFC 9293 MUST-34, MUST-37).
        // Where nobody here waits for it any more, it has until probes are two minutes apart (Linux: tcp_probe_timer).
        bool answers = tcb.SndWnd == 0 && _now - tcb.LastReceivedAt <= RttEstimator.BackedOff(tcb) * 2;
        bool tooOften = userTimeout == 0 && (orphan || !answers)
            && (answers && isProbing
                ? RttEstimator.BackedOff(tcb) >= Limits.MaximumRto
                : tcb.Backoff >= (orphan ? Limits.OrphanRetries : Limits.DataRetries));
        if (!tooLong && !tooOften)
        {
            return false;
        }

        _counters.Add(Counter.TcpAbortOnTimeout);
        if (orphan)
        {
            SendReset(id, ref tcb);
        }

        Finish(id, ref tcb, tcb.SoftError != TcpError.None ? tcb.SoftError : TcpError.TimedOut);
        return true;
    }

    /// <summary>RFC 9293 3.8.6.1. Like Linux we probe with an empty segment just below the window, which must be answered.</summary>
    private void OnPersistTimer(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.SendNext == NoFrame)
        {
            tcb.Flags &= ~TcbFlags.Persist;
            return;
        }

        if (!tcb.StalledSince.IsSet)
        {
            tcb.StalledSince = _now;
        }

        // A peer that goes on answering may keep its window shut for ever (MUST-37); one that is silent is gone.
        bool silent = _now - tcb.LastReceivedAt > RttEstimator.BackedOff(tcb) * 2;
        if ((silent || tcb.Has(TcbFlags.Orphan) || tcb.Settings.UserTimeoutMilliseconds > 0)
            && GiveUp(id, ref tcb, isProbing: true))
        {
            return;
        }

        int usable = UsableWindow(tcb);
        if (usable > 0)
        {
            // The window is open but smaller than the sender's silly-window rule wants: the override of 3.8.6.2.1.
            Output(id, ref tcb, OutputMode.PushPartial);
        }
        else
        {
            _counters.Add(Counter.TcpWindowProbes);
            SendProbe(id, ref tcb);
        }

        if (tcb.FlightSize > 0)
        {
            StartRetransmitTimer(id, ref tcb);
            return;
        }

        tcb.Backoff = Math.Min(tcb.Backoff + 1, silent ? 16 : 12);
        tcb.Flags |= TcbFlags.Persist;
        SetRetransmitTimer(id, ref tcb);
    }

    private void OnLifeTimer(int id, ref TransmissionControlBlock tcb)
    {
        switch (tcb.State)
        {
            case TcpState.TimeWait:
            case TcpState.FinWait2 when tcb.Has(TcbFlags.Orphan):
                Finish(id, ref tcb, TcpError.None);
                return;
            case TcpState.Established:
            case TcpState.CloseWait:
            case TcpState.FinWait2:
            case TcpState.FinWait1:
                KeepAlive(id, ref tcb);
                return;
            default:
                return;
        }
    }

    /// <summary>RFC 9293 3.8.4, with Linux's three settings.</summary>
    private void KeepAlive(int id, ref TransmissionControlBlock tcb)
    {
        if (!tcb.Settings.KeepAlive)
        {
            return;
        }

        Duration idle = Duration.FromSeconds(tcb.Settings.KeepAliveIdleSeconds);
        Duration interval = Duration.FromSeconds(tcb.Settings.KeepAliveIntervalSeconds);
        Duration silent = _now - tcb.LastReceivedAt;
        if (tcb.FlightSize > 0 || tcb.SendNext != NoFrame)
        {
            // Data is under way: its own timer watches the peer.
            SetLifeTimer(id, ref tcb, _now + idle);
            return;
        }

        if (silent < idle)
        {
            tcb.KeepAliveProbesSent = 0;
            SetLifeTimer(id, ref tcb, tcb.LastReceivedAt + idle);
            return;
        }

        int userTimeout = tcb.Settings.UserTimeoutMilliseconds;
        bool over = userTimeout > 0
            ? silent >= Duration.FromMilliseconds(userTimeout) && tcb.KeepAliveProbesSent > 0
            : tcb.KeepAliveProbesSent >= tcb.Settings.KeepAliveProbes;
        if (over)
        {
            _counters.Add(Counter.TcpAbortOnTimeout);
            SendReset(id, ref tcb);
            Finish(id, ref tcb, TcpError.TimedOut);
            return;
        }

        tcb.KeepAliveProbesSent++;
        _counters.Add(Counter.TcpKeepAlives);
        SendProbe(id, ref tcb);
        SetLifeTimer(id, ref tcb, _now + interval);
    }

    private void StartKeepAlive(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.Settings.KeepAlive
            && tcb.State is TcpState.Established or TcpState.CloseWait or TcpState.FinWait1 or TcpState.FinWait2)
        {
            SetLifeTimer(id, ref tcb, _now + Duration.FromSeconds(tcb.Settings.KeepAliveIdleSeconds));
        }
    }

    private void SetLifeTimer(int id, ref TransmissionControlBlock tcb, Instant at)
    {
        tcb.LifeAt = at;
        Schedule(id, ref tcb, at);
    }
}
