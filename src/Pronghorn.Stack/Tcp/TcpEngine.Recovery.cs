// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>
/// Loss detection and recovery: RFC 6675 and RACK-TLP (RFC 8985) with SACK, NewReno (RFC 6582) without; the reduction is
/// proportional (RFC 6937), and undone when it proves needless (RFC 3522, 3708).
/// </content>
public sealed partial class TcpEngine
{
    private void UpdateRecovery(int id, ref TransmissionControlBlock tcb, in TcpSegment segment, ref AckSummary ack)
    {
        bool duplicate = ack.Acked == 0 && segment.Acknowledgment == tcb.SndUna
            && segment.PayloadLength == 0 && !ack.WindowUpdated
            && !segment.Is(TcpFlags.Syn | TcpFlags.Fin) && tcb.FlightSize > 0;
        CountDuplicates(ref tcb, duplicate, ref ack);
        TryUndo(ref tcb, segment, ack);
        DetectLosses(id, ref tcb);
        switch (tcb.Recovery)
        {
            case RecoveryState.Open:
            case RecoveryState.Disorder:
                OnAckWhileOpen(id, ref tcb, ack);
                break;
            case RecoveryState.Recovery:
                OnAckInRecovery(ref tcb, ack);
                break;
            default:
                OnAckInLoss(ref tcb, ack);
                break;
        }
    }

    private static void CountDuplicates(ref TransmissionControlBlock tcb, bool duplicate, ref AckSummary ack)
    {
        if (duplicate)
        {
            tcb.DuplicateAcks++;
            if (!tcb.Has(TcbFlags.Sack))
            {
                // A duplicate stands for one segment that left the network (RFC 5681 3.2; limited transmit, RFC 3042, follows).
                int most = tcb.FlightSize - tcb.LostBytes;
                int before = tcb.SackedBytes;
                tcb.SackedBytes = Math.Min(tcb.SackedBytes + tcb.SendMss, Math.Max(0, most));
                ack.Delivered += tcb.SackedBytes - before;
            }
        }
        else if (ack.Acked > 0)
        {
            tcb.DuplicateAcks = 0;
        }
    }

    private void OnAckWhileOpen(int id, ref TransmissionControlBlock tcb, in AckSummary ack)
    {
        bool lost = tcb.Has(TcbFlags.Sack) ? tcb.LostBytes > 0 : tcb.DuplicateAcks >= Limits.DuplicateThreshold;
        if (lost)
        {
            EnterRecovery(id, ref tcb);
            int least = tcb.Cwnd;
            ReduceProportionally(ref tcb, ack.Delivered);
            tcb.Cwnd = Math.Max(tcb.Cwnd, least);
            return;
        }

        tcb.Recovery = tcb.SackedBytes > 0 || tcb.DuplicateAcks > 0 ? RecoveryState.Disorder : RecoveryState.Open;
        if (ack.Acked > 0)
        {
            CongestionControl.OnAck(ref tcb, ack.Acked, _now, ack.LeastRtt);
            if (tcb.Recovery == RecoveryState.Open && !tcb.Has(TcbFlags.Sack))
            {
                tcb.SackedBytes = 0;
            }
        }
    }

    private void EnterRecovery(int id, ref TransmissionControlBlock tcb)
    {
        _counters.Add(Counter.TcpFastRecoveries);
        RememberForUndo(ref tcb);
        tcb.Recovery = RecoveryState.Recovery;
        tcb.RecoveryPoint = tcb.SndNxt;
        tcb.RecoverFlight = Math.Max(tcb.FlightSize, tcb.SendMss);
        tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        tcb.PrrDelivered = 0;
        tcb.PrrOut = 0;
        if (!tcb.Has(TcbFlags.Sack))
        {
            MarkHeadLost(ref tcb);
        }

        // RFC 6937: the first retransmission always goes.
        tcb.Cwnd = Math.Max(tcb.Pipe + tcb.SendMss, tcb.SendMss);
        if (tcb.Has(TcbFlags.LossProbe))
        {
            // RFC 8985 7.2: no probe in recovery.
            StartRetransmitTimer(id, ref tcb);
        }
    }

    private void OnAckInRecovery(ref TransmissionControlBlock tcb, in AckSummary ack)
    {
        if (ack.Acked > 0 && tcb.SndUna >= tcb.RecoveryPoint)
        {
            tcb.Recovery = RecoveryState.Open;
            tcb.Cwnd = Math.Max(tcb.SsThresh, 2 * tcb.SendMss);
            LeaveNewReno(ref tcb);
            AgeReorderingWindow(ref tcb, ack);
            return;
        }

        if (ack.Acked > 0 && !tcb.Has(TcbFlags.Sack))
        {
            // RFC 6582 3.2: a partial acknowledgment names the next hole.
            MarkHeadLost(ref tcb);
        }

        ReduceProportionally(ref tcb, ack.Delivered);
    }

    /// <summary>RFC 6937 with the slow-start bound (PRR-SSRB).</summary>
    private static void ReduceProportionally(ref TransmissionControlBlock tcb, int delivered)
    {
        tcb.PrrDelivered += delivered;
        int pipe = tcb.Pipe;
        long send;
        if (pipe > tcb.SsThresh)
        {
            long share = ((long)tcb.PrrDelivered * tcb.SsThresh) + tcb.RecoverFlight - 1;
            send = (share / tcb.RecoverFlight) - tcb.PrrOut;
        }
        else
        {
            long limit = Math.Max(tcb.PrrDelivered - tcb.PrrOut, delivered) + tcb.SendMss;
            send = Math.Min(tcb.SsThresh - pipe, limit);
        }

        tcb.Cwnd = (int)Math.Max(pipe + Math.Max(send, 0), tcb.SendMss);
    }

    private void OnAckInLoss(ref TransmissionControlBlock tcb, in AckSummary ack)
    {
        if (ack.Acked > 0 && tcb.SndUna >= tcb.RecoveryPoint)
        {
            tcb.Recovery = RecoveryState.Open;
            LeaveNewReno(ref tcb);
            AgeReorderingWindow(ref tcb, ack);
        }

        // Slow start from one segment: the window was in use by definition. What was reported before does not count twice.
        int delivered = tcb.Has(TcbFlags.Sack) ? ack.Delivered : Math.Min(ack.Acked, tcb.SendMss);
        if (delivered > 0)
        {
            tcb.Flags |= TcbFlags.CongestionLimited;
            CongestionControl.OnAck(ref tcb, delivered, _now);
        }
    }

    private static void LeaveNewReno(ref TransmissionControlBlock tcb)
    {
        tcb.DuplicateAcks = 0;
        if (!tcb.Has(TcbFlags.Sack))
        {
            tcb.SackedBytes = 0;
        }
    }

    private void EnterLoss(ref TransmissionControlBlock tcb)
    {
        // A time-out inside a recovery is the same congestion; one after progress in slow start is another (RFC 5681 3.1).
        bool newEpisode = tcb.Recovery <= RecoveryState.Disorder || tcb.SndUna >= tcb.RecoveryPoint
            || (tcb.Recovery == RecoveryState.Loss && tcb.Backoff == 0);
        if (newEpisode)
        {
            RememberForUndo(ref tcb);
            tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
        }

        tcb.Recovery = RecoveryState.Loss;
        tcb.Flags &= ~TcbFlags.LossProbeSent;
        tcb.RecoveryPoint = tcb.SndNxt;
        tcb.Cwnd = tcb.SendMss;
        tcb.CwndCredit = 0;
        tcb.DuplicateAcks = 0;

        // A peer that dropped what it had reported (RFC 2018 8) shows by a hole-less head that is marked: forget it all.
        bool reneged = tcb.SendHead != NoFrame && _info[tcb.SendHead].Is(SegmentMarks.Sacked);
        if (reneged || !tcb.Has(TcbFlags.Sack))
        {
            tcb.SackedBytes = 0;
        }

        tcb.LostBytes = 0;
        tcb.RetransBytes = 0;
        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            info.Marks &= ~SegmentMarks.Retransmitted;
            if (reneged)
            {
                info.Marks &= ~SegmentMarks.Sacked;
            }

            if (!info.Is(SegmentMarks.Sacked))
            {
                info.Marks |= SegmentMarks.Lost;
                tcb.LostBytes += info.SequenceLength;
            }
        }
    }

    private void MarkHeadLost(ref TransmissionControlBlock tcb)
    {
        if (tcb.SendHead != NoFrame && tcb.SendHead != tcb.SendNext)
        {
            MarkLost(ref tcb, ref _info[tcb.SendHead]);
            tcb.SackedBytes = Math.Min(tcb.SackedBytes, Math.Max(0, tcb.FlightSize - tcb.LostBytes));
        }
    }

    private static void MarkLost(ref TransmissionControlBlock tcb, ref FrameInfo info)
    {
        if (info.Is(SegmentMarks.Retransmitted))
        {
            tcb.RetransBytes -= info.SequenceLength;
            info.Marks &= ~SegmentMarks.Retransmitted;
        }

        if (!info.Is(SegmentMarks.Lost))
        {
            info.Marks |= SegmentMarks.Lost;
            tcb.LostBytes += info.SequenceLength;
        }
    }

    /// <summary>
    /// Marks what is lost: by count as RFC 6675 4 (IsLost), and by time as RFC 8985 6.2 step 5, which also finds a lost
    /// retransmission. Sets the reordering timer for what is not late enough yet.
    /// </summary>
    private void DetectLosses(int id, ref TransmissionControlBlock tcb)
    {
        tcb.ReorderAt = Instant.Never;
        if (!tcb.Has(TcbFlags.Sack) || tcb.FlightSize == 0
            || (tcb.SackedBytes == 0 && tcb.Recovery <= RecoveryState.Disorder))
        {
            return;
        }

        int sackedSegments = CountSacked(tcb);
        Duration window = ReorderingWindow(tcb, sackedSegments);
        Duration wait = Duration.Zero;
        int above = sackedSegments;
        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (info.Is(SegmentMarks.Sacked))
            {
                above--;
                continue;
            }

            if (info.Is(SegmentMarks.Lost) && !info.Is(SegmentMarks.Retransmitted))
            {
                continue;
            }

            // Where reordering was seen, only time tells (RFC 8985 6.2 step 4, Linux: tcp_identify_packet_loss).
            bool never = !info.Is(SegmentMarks.Lost | SegmentMarks.EverRetransmitted);
            if (above >= tcb.Reordering && !tcb.Has(TcbFlags.ReorderingSeen) && never)
            {
                MarkLost(ref tcb, ref info);
                continue;
            }

            bool sentBefore = info.SentAt < tcb.RackSentAt || (info.SentAt == tcb.RackSentAt && info.End < tcb.RackEnd);
            if (sentBefore)
            {
                Duration remaining = (info.SentAt + tcb.RackRtt + window) - _now;
                if (remaining <= Duration.Zero)
                {
                    MarkLost(ref tcb, ref info);
                }
                else
                {
                    wait = Duration.Max(wait, remaining);
                }
            }
        }

        if (wait > Duration.Zero)
        {
            tcb.ReorderAt = _now + wait;
            Schedule(id, ref tcb, tcb.ReorderAt);
        }
    }

    private int CountSacked(in TransmissionControlBlock tcb)
    {
        if (tcb.SackedBytes == 0)
        {
            return 0;
        }

        int count = 0;
        int bytes = 0;
        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame && bytes < tcb.SackedBytes;
            frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (info.Is(SegmentMarks.Sacked))
            {
                count++;
                bytes += info.SequenceLength;
            }
        }

        return count;
    }

    /// <summary>RFC 8985 6.2 step 4: RACK_update_reo_wnd.</summary>
    private static Duration ReorderingWindow(in TransmissionControlBlock tcb, int sackedSegments)
    {
        if (!tcb.Has(TcbFlags.ReorderingSeen)
            && (tcb.Recovery >= RecoveryState.Recovery || sackedSegments >= Limits.DuplicateThreshold))
        {
            return Duration.Zero;
        }

        return Duration.Min(tcb.MinimumRtt * tcb.RackWindowMultiplier / 4, tcb.SmoothedRtt);
    }

    /// <summary>
    /// RFC 8985 6.2 step 4: a recovery, fast or by time-out, has ended without a DSACK. After sixteen of them the path is
    /// taken to reorder no more than others do.
    /// </summary>
    private static void AgeReorderingWindow(ref TransmissionControlBlock tcb, in AckSummary ack)
    {
        if (!ack.DsackSeen && tcb.RackWindowPersist > 0 && --tcb.RackWindowPersist == 0)
        {
            tcb.RackWindowMultiplier = 1;
        }
    }

    private void OnReorderTimer(int id, ref TransmissionControlBlock tcb)
    {
        DetectLosses(id, ref tcb);
        if (tcb.LostBytes > 0 && tcb.Recovery <= RecoveryState.Disorder)
        {
            EnterRecovery(id, ref tcb);
        }

        Output(id, ref tcb, OutputMode.Normal);
    }

    private static void RememberForUndo(ref TransmissionControlBlock tcb)
    {
        // A time-out during recovery is one episode with it: the window to come back to is the first.
        if (tcb.UndoRetransmissions < 0 || tcb.Recovery <= RecoveryState.Disorder)
        {
            tcb.PriorCwnd = tcb.Cwnd;
            tcb.PriorSsThresh = tcb.SsThresh;
            tcb.PriorCubic = tcb.Cubic;
            tcb.UndoMarker = tcb.SndUna;
            tcb.UndoRetransmissions = 0;
            tcb.RetransmitStamp = 0;
        }
    }

    /// <summary>
    /// Takes a reduction back when the original segments had arrived: an acknowledgment echoes a timestamp from before the
    /// retransmission (Eifel, RFC 3522), or every retransmission was reported as a duplicate (RFC 3708).
    /// </summary>
    private void TryUndo(ref TransmissionControlBlock tcb, in TcpSegment segment, in AckSummary ack)
    {
        if (tcb.UndoRetransmissions < 0 || tcb.RetransmitStamp == 0)
        {
            return;
        }

        bool echoedOriginal = ack.Acked > 0 && tcb.Has(TcbFlags.Timestamps) && segment.Options.HasTimestamps
            && segment.Options.TimestampEcho != 0
            && (int)(segment.Options.TimestampEcho - tcb.RetransmitStamp) < 0
            && tcb.Recovery > RecoveryState.Disorder;
        bool allNeedless = ack.DsackSeen && tcb.UndoRetransmissions == 0;
        if (!echoedOriginal && !allNeedless)
        {
            return;
        }

        _counters.Add(Counter.TcpUndos);
        if (echoedOriginal && tcb.Recovery == RecoveryState.Recovery)
        {
            // What was sent again for others that overtook it had not been lost (Linux: tcp_try_undo_partial).
            NoteReordering(ref tcb, tcb.SndUna - ack.Acked, SeqNumber.Max(ack.HighSacked, tcb.SndUna));
        }

        if (tcb.Cwnd < tcb.PriorCwnd)
        {
            // RFC 9438 4.9: as if the reduction had never been, or fast convergence would take it for one more loss.
            tcb.Cubic = tcb.PriorCubic;
        }

        tcb.Cwnd = Math.Max(tcb.Cwnd, tcb.PriorCwnd);
        tcb.SsThresh = Math.Max(tcb.SsThresh, tcb.PriorSsThresh);
        tcb.UndoRetransmissions = -1;
        tcb.RetransmitStamp = 0;
        if (tcb.Recovery > RecoveryState.Disorder)
        {
            tcb.Recovery = RecoveryState.Disorder;
            ClearAllLossMarks(ref tcb);
        }
    }

    private void ClearAllLossMarks(ref TransmissionControlBlock tcb)
    {
        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame; frame = _info[frame].Next)
        {
            ClearLossMarks(ref tcb, ref _info[frame]);
        }
    }

    /// <summary>RFC 8985 7.2: when the last segments of a flight may be lost, a probe draws the SACK that tells.</summary>
    private void ConsiderLossProbe(int id, ref TransmissionControlBlock tcb)
    {
        if (!tcb.Has(TcbFlags.Sack) || tcb.Recovery != RecoveryState.Open || tcb.SmoothedRtt == Duration.Zero
            || tcb.FlightSize <= tcb.SendMss || tcb.Has(TcbFlags.LossProbeSent))
        {
            return;
        }

        Instant at = _now + (tcb.SmoothedRtt * 2) + Duration.FromMilliseconds(2);
        Instant timeout = _info[tcb.SendHead].SentAt + RttEstimator.BackedOff(tcb);
        at = timeout > _now ? Instant.Earlier(at, timeout) : at;
        if (at < tcb.RetransmitAt)
        {
            tcb.RetransmitAt = at;
            tcb.Flags |= TcbFlags.LossProbe;
            Schedule(id, ref tcb, at);
        }
    }

    private void SendLossProbe(int id, ref TransmissionControlBlock tcb)
    {
        tcb.Flags &= ~TcbFlags.LossProbe;
        if (tcb.FlightSize > 0)
        {
            _counters.Add(Counter.TcpLossProbes);
            int usable = UsableWindow(tcb);
            if (tcb.SendNext == NoFrame || _info[tcb.SendNext].Length > Math.Min(usable, tcb.SendMss)
                || !TransmitNew(id, ref tcb))
            {
                int last = LastSent(tcb);
                if (last != NoFrame && Retransmit(id, ref tcb, last))
                {
                    tcb.Flags |= TcbFlags.LossProbeSent;
                    tcb.LossProbeEnd = tcb.SndNxt;
                }
            }
        }

        StartRetransmitTimer(id, ref tcb);
    }

    /// <summary>
    /// RFC 8985 7.4: an acknowledgment beyond the probe without a report of a duplicate says that the probe repaired a loss,
    /// and a loss is congestion, seen or not.
    /// </summary>
    private static void JudgeLossProbe(ref TransmissionControlBlock tcb, in TcpSegment segment, in AckSummary ack)
    {
        if (segment.Acknowledgment < tcb.LossProbeEnd)
        {
            return;
        }

        bool plain = ack.Acked == 0 && ack.NewlySacked == 0 && segment.PayloadLength == 0;
        if (ack.DsackSeen || (plain && segment.Acknowledgment == tcb.LossProbeEnd))
        {
            tcb.Flags &= ~TcbFlags.LossProbeSent;
        }
        else if (segment.Acknowledgment > tcb.LossProbeEnd)
        {
            tcb.Flags &= ~TcbFlags.LossProbeSent;
            if (tcb.Recovery <= RecoveryState.Disorder)
            {
                tcb.SsThresh = CongestionControl.ThresholdAfterLoss(ref tcb);
                tcb.Cwnd = Math.Min(tcb.Cwnd, tcb.SsThresh);
            }
        }
    }

    private int LastSent(in TransmissionControlBlock tcb)
    {
        if (tcb.SendNext == NoFrame)
        {
            return tcb.SendTail;
        }

        int last = NoFrame;
        for (int frame = tcb.SendHead; frame != tcb.SendNext; frame = _info[frame].Next)
        {
            last = frame;
        }

        return last;
    }
}
