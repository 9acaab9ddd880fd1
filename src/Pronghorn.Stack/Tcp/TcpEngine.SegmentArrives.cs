// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>
/// RFC 9293 3.10.7, SEGMENT ARRIVES. In synchronized states the steps of 3.10.7.4 follow each other: first the sequence
/// number (after PAWS), second RST, third security (obsolete), fourth SYN, fifth ACK, sixth URG (urgent data is taken as
/// ordinary data, RFC 6093), seventh the text, eighth FIN.
/// </content>
public sealed partial class TcpEngine
{
    internal void SetTime(Instant now)
    {
        _now = now;
        if (_currentTick < 0)
        {
            // The wheel starts at the first time that it hears of.
            _currentTick = now.Nanoseconds / TickNanoseconds;
        }
    }

    /// <summary>Takes a segment. The caller releases the frame unless <see cref="TcpSegment.FrameTaken"/> is set.</summary>
    internal void SegmentArrives(ref TcpSegment segment)
    {
        _counters.Add(Counter.TcpInSegs);
        uint hash = HashOf(segment.Destination, segment.DestinationPort, segment.Source, segment.SourcePort);
        int id = _flows.Find(
            segment.Destination, segment.DestinationPort, segment.Source, segment.SourcePort, hash);
        if (id == 0)
        {
            SegmentArrivesWithoutConnection(ref segment);
            return;
        }

        ref TransmissionControlBlock tcb = ref _connections[id];
        tcb.SegmentsIn++;
        switch (tcb.State)
        {
            case TcpState.SynSent:
                SegmentArrivesSynSent(id, ref tcb, ref segment);
                break;
            case TcpState.TimeWait:
                SegmentArrivesTimeWait(id, ref tcb, ref segment);
                break;
            default:
                SegmentArrivesSynchronized(id, ref tcb, ref segment);
                break;
        }
    }

    private void SegmentArrivesWithoutConnection(ref TcpSegment segment)
    {
        // Only here: a segment that finds its connection proves the address by that.
        if (!_stack.Interfaces.IsLocal(segment.Destination))
        {
            _counters.Drop(DropReason.Ipv4OtherHost);
            return;
        }

        int listener = FindListener(segment.Destination, segment.DestinationPort);
        if (listener != 0 && !segment.Is(TcpFlags.Rst))
        {
            SegmentArrivesListen(listener, ref segment);
            return;
        }

        // 3.10.7.1, CLOSED.
        _counters.Drop(DropReason.TcpNoSocket);
        SendResetFor(segment);
    }

    private void SegmentArrivesSynchronized(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        if (tcb.State == TcpState.SynReceived && !PrepareSynReceived(id, ref tcb, ref segment))
        {
            return;
        }

        if (!CheckTimestamp(id, ref tcb, segment) || !CheckSequence(id, ref tcb, ref segment)
            || !CheckReset(id, ref tcb, segment) || !CheckSyn(id, ref tcb, segment)
            || !CheckAck(id, ref tcb, segment))
        {
            return;
        }

        tcb.LastReceivedAt = _now;
        tcb.KeepAliveProbesSent = 0;
        UpdateTsRecent(ref tcb, segment);
        if (tcb.State == TcpState.SynReceived && !EstablishFromSynReceived(id, ref tcb, segment))
        {
            return;
        }

        ProcessAck(id, ref tcb, segment);
        if (!AdvanceClosing(id, ref tcb))
        {
            return;
        }

        if (segment.PayloadLength > 0 || segment.Is(TcpFlags.Fin))
        {
            if (!ProcessText(id, ref tcb, ref segment))
            {
                return;
            }
        }

        if (tcb.SendNext != NoFrame || tcb.LostBytes > 0)
        {
            Output(id, ref tcb, OutputMode.Normal);
        }
    }

    /// <summary>RFC 7323 5.3 R1: PAWS.</summary>
    private bool CheckTimestamp(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (!tcb.Has(TcbFlags.Timestamps) || !segment.Options.HasTimestamps || segment.Is(TcpFlags.Rst))
        {
            return true;
        }

        bool old = (int)(segment.Options.TimestampValue - tcb.TsRecent) < 0;
        if (!old || _now - tcb.TsRecentAt > Limits.TimestampStale)
        {
            return true;
        }

        _counters.Drop(DropReason.TcpPaws);
        AnswerUnacceptable(id, ref tcb, segment);
        return false;
    }

    /// <summary>RFC 7323 5.3 R3: TS.Recent follows the segment that the last acknowledgment was about.</summary>
    private void UpdateTsRecent(ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (tcb.Has(TcbFlags.Timestamps) && segment.Options.HasTimestamps && segment.Sequence <= tcb.LastAckSent
            && ((int)(segment.Options.TimestampValue - tcb.TsRecent) >= 0
                || _now - tcb.TsRecentAt > Limits.TimestampStale))
        {
            tcb.TsRecent = segment.Options.TimestampValue;
            tcb.TsRecentAt = _now;
        }
    }

    /// <summary>First: the four cases of acceptability.</summary>
    private bool CheckSequence(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        SeqNumber right = tcb.ReceiveRight;
        SeqNumber end = segment.End;

        // Like Linux: something of the segment lies at or right of RCV.NXT, and it does not begin beyond the window.
        bool acceptable = end >= tcb.RcvNxt && segment.Sequence <= right
            && (segment.SequenceLength == 0 || segment.Sequence < right || right == tcb.RcvNxt);
        if (acceptable)
        {
            return true;
        }

        _counters.Drop(DropReason.TcpOutOfWindow);
        if (segment.Is(TcpFlags.Rst))
        {
            return false;
        }

        if (segment.Is(TcpFlags.Syn))
        {
            SendChallengeAck(id, ref tcb);
            return false;
        }

        if (segment.PayloadLength > 0 && end <= tcb.RcvNxt)
        {
            ReportDuplicate(ref tcb, segment.Sequence, end);
        }

        AnswerUnacceptable(id, ref tcb, segment);
        return false;
    }

    /// <summary>An acknowledgment in reply, but not two of them back and forth without end (Linux: tcp_invalid_ratelimit).</summary>
    private void AnswerUnacceptable(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (segment.PayloadLength == 0 && !segment.Is(TcpFlags.Fin))
        {
            bool probe = segment.Sequence == tcb.RcvNxt - 1;
            if (!probe && _now - tcb.LastInvalidAckAt < Limits.InvalidAckInterval && tcb.LastInvalidAckAt != default)
            {
                return;
            }

            tcb.LastInvalidAckAt = _now;
        }

        SendAck(id, ref tcb);
    }

    /// <summary>Second: RST, with the exact match of RFC 5961 3.2.</summary>
    private bool CheckReset(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (!segment.Is(TcpFlags.Rst))
        {
            return true;
        }

        if (segment.Sequence != tcb.RcvNxt)
        {
            _counters.Drop(DropReason.TcpBadReset);
            SendChallengeAck(id, ref tcb);
            return false;
        }

        _counters.Add(Counter.TcpEstabResets);
        TcpError error = tcb.State switch
        {
            TcpState.SynReceived => TcpError.ConnectionRefused,
            TcpState.CloseWait => TcpError.BrokenPipe,
            TcpState.Closing or TcpState.LastAck => TcpError.None,
            _ => TcpError.ConnectionReset,
        };
        Finish(id, ref tcb, error);
        return false;
    }

    /// <summary>Fourth: SYN, RFC 5961 4.2.</summary>
    private bool CheckSyn(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (!segment.Is(TcpFlags.Syn))
        {
            return true;
        }

        _counters.Drop(DropReason.TcpUnexpectedSyn);
        SendChallengeAck(id, ref tcb);
        return false;
    }

    /// <summary>Fifth: whether the acknowledgment can be meant for us, RFC 5961 5.2.</summary>
    private bool CheckAck(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (!segment.Is(TcpFlags.Ack))
        {
            _counters.Drop(DropReason.TcpNoAck);
            return false;
        }

        if (tcb.State == TcpState.SynReceived)
        {
            if (segment.Acknowledgment > tcb.SndUna && segment.Acknowledgment <= tcb.SndNxt)
            {
                return true;
            }

            _counters.Drop(DropReason.TcpBadAck);
            SendResetFor(segment);
            return false;
        }

        if (segment.Acknowledgment > tcb.SndNxt)
        {
            _counters.Drop(DropReason.TcpBadAck);
            SendChallengeAck(id, ref tcb);
            return false;
        }

        if (segment.Acknowledgment < tcb.SndUna - (int)Math.Min(tcb.MaxSndWnd, int.MaxValue))
        {
            _counters.Drop(DropReason.TcpBadAck);
            SendChallengeAck(id, ref tcb);
            return false;
        }

        return true;
    }

    /// <summary>What the acknowledgment of our FIN changes. Returns false when the connection is over.</summary>
    private bool AdvanceClosing(int id, ref TransmissionControlBlock tcb)
    {
        bool finAcked = tcb.Has(TcbFlags.FinQueued) && tcb.SndUna == tcb.WriteSeq;
        if (!finAcked)
        {
            return true;
        }

        switch (tcb.State)
        {
            case TcpState.FinWait1:
                tcb.State = TcpState.FinWait2;
                RaiseEvent(id, ref tcb, Readiness.Out);
                if (tcb.Has(TcbFlags.Orphan))
                {
                    SetLifeTimer(id, ref tcb, _now + Duration.FromSeconds(Math.Max(tcb.Settings.FinWait2Seconds, 0)));
                }

                return true;
            case TcpState.Closing:
                EnterTimeWait(id, ref tcb);
                return true;
            case TcpState.LastAck:
                Finish(id, ref tcb, TcpError.None);
                return false;
            default:
                return true;
        }
    }

    private void EnterTimeWait(int id, ref TransmissionControlBlock tcb)
    {
        tcb.State = TcpState.TimeWait;
        tcb.RetransmitAt = Instant.Never;
        FreeSendQueue(ref tcb);
        FreeOutOfOrderQueue(ref tcb);
        SetLifeTimer(id, ref tcb, _now + Limits.TimeWait);
        RaiseEvent(id, ref tcb, Readiness.In | Readiness.Out | Readiness.HangUp | Readiness.ReadHangUp);
    }

    /// <summary>TIME-WAIT: RFC 9293 3.10.7.4 with RFC 6191 (a new SYN may take over) and RFC 1337 (a reset does not end it).</summary>
    private void SegmentArrivesTimeWait(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        if (segment.Is(TcpFlags.Syn) && !segment.Is(TcpFlags.Rst | TcpFlags.Ack))
        {
            bool newerTime = tcb.Has(TcbFlags.Timestamps) && segment.Options.HasTimestamps
                && (int)(segment.Options.TimestampValue - tcb.TsRecent) > 0;
            int listener = FindListener(segment.Destination, segment.DestinationPort);
            if (listener != 0 && (newerTime || segment.Sequence > tcb.RcvNxt))
            {
                _counters.Add(Counter.TcpTimeWaitRecycled);
                SeqNumber floor = IssFloor(tcb);
                Finish(id, ref tcb, TcpError.None);
                SegmentArrivesListen(listener, ref segment, floor);
                return;
            }
        }

        if (segment.Is(TcpFlags.Rst))
        {
            _counters.Drop(DropReason.TcpBadReset);
            return;
        }

        if (segment.Is(TcpFlags.Fin))
        {
            SetLifeTimer(id, ref tcb, _now + Limits.TimeWait);
        }

        if (segment.SequenceLength > 0 || segment.Sequence != tcb.RcvNxt)
        {
            AnswerUnacceptable(id, ref tcb, segment);
        }
    }
}
