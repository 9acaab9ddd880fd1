// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>RFC 9293 3.10.7.4, "Seventh, process the segment text" and "Eighth, check the FIN bit"; when to acknowledge.</content>
public sealed partial class TcpEngine
{
    private int _firstAck;

    /// <summary>Takes payload and FIN. Returns false when the connection is over.</summary>
    private bool ProcessText(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        if (tcb.State is not (TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2))
        {
            // The peer has closed: text after its FIN is not to be had. But a FIN again means that our answer was lost.
            if (segment.Sequence < tcb.RcvNxt)
            {
                OweAck(id, ref tcb, now: true);
            }

            return true;
        }

        if (tcb.Has(TcbFlags.Orphan) && segment.PayloadLength > 0 && segment.End > tcb.RcvNxt)
        {
            // RFC 2525 2.17 and Linux: nobody will read this, so the peer must learn of it.
            _counters.Drop(DropReason.TcpDataAfterClose);
            _counters.Add(Counter.TcpAbortOnData);
            SendReset(id, ref tcb);
            Finish(id, ref tcb, TcpError.ConnectionReset);
            return false;
        }

        if (!TrimToWindow(id, ref tcb, ref segment))
        {
            return true;
        }

        if (segment.Sequence == tcb.RcvNxt)
        {
            TakeInOrder(id, ref tcb, ref segment);
        }
        else
        {
            TakeOutOfOrder(id, ref tcb, ref segment);
        }

        return true;
    }

    /// <summary>Cuts off what was received before and what lies beyond the window.</summary>
    private bool TrimToWindow(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        int old = tcb.RcvNxt - segment.Sequence;
        if (old > 0)
        {
            if (segment.PayloadLength > 0)
            {
                // The sender repeats itself: it misses acknowledgments (Linux: tcp_enter_quickack_mode).
                tcb.Flags &= ~TcbFlags.Interactive;
                tcb.LastDisorderAt = _now;
                AcknowledgeQuickly(ref tcb);
                ReportDuplicate(ref tcb, segment.Sequence, SeqNumber.Min(segment.End, tcb.RcvNxt));
            }

            int cut = Math.Min(old, segment.PayloadLength);
            segment.Sequence += cut;
            segment.PayloadOffset += cut;
            segment.PayloadLength -= cut;
            if (segment.PayloadLength == 0 && (!segment.Is(TcpFlags.Fin) || segment.Sequence < tcb.RcvNxt))
            {
                _counters.Drop(DropReason.TcpDuplicateData);
                OweAck(id, ref tcb, now: true);
                return false;
            }
        }

        int beyond = segment.End - tcb.ReceiveRight;
        if (beyond > 0 && segment.PayloadLength > 0)
        {
            segment.Flags &= ~TcpFlags.Fin;
            int room = tcb.ReceiveRight - segment.Sequence;
            if (room <= 0)
            {
                _counters.Drop(DropReason.TcpReceiveBufferFull);
                OweAck(id, ref tcb, now: true);
                return false;
            }

            segment.PayloadLength = Math.Min(segment.PayloadLength, room);
        }

        return true;
    }

    private void TakeInOrder(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        int length = segment.PayloadLength;
        if (length > 0 && IsOverFairShare(tcb))
        {
            // The peer sends it again; the last frames are for those whose program still reads.
            _counters.Drop(DropReason.TcpReceiveBufferFull);
            return;
        }

        if (length > 0)
        {
            tcb.ReceiveMss = Math.Clamp(Math.Max(length, tcb.ReceiveMss), 1, 65535);
            if (tcb.LastDataAt.IsSet && _now - tcb.LastDataAt > tcb.RetransmissionTimeout)
            {
                // The sender comes back from a time-out or a pause, with a small window (Linux: tcp_event_data_recv).
                AcknowledgeQuickly(ref tcb);
            }

            tcb.LastDataAt = _now;
            Deliver(ref tcb, segment.Frame, segment.PayloadOffset, length, out segment.FrameTaken);
        }

        bool filledHole = tcb.OutOfOrderHead != NoFrame;
        bool fin = segment.Is(TcpFlags.Fin);
        if (fin)
        {
            ReceiveFin(id, ref tcb);
        }
        else if (filledHole)
        {
            // After a loss the sender's window is small: it must not run into the delayed acknowledgment.
            DrainOutOfOrder(id, ref tcb);
            AcknowledgeQuickly(ref tcb);
        }

        if (length > 0 || filledHole)
        {
            RaiseEvent(id, ref tcb, Readiness.In);
        }

        OweAck(id, ref tcb, now: fin || filledHole);
    }

    /// <summary>
    /// Windows are told long before frames are used, so together they may promise more than there is. When frames run
    /// out, a connection whose program does not read yields to those with an empty queue.
    /// </summary>
    private bool IsOverFairShare(in TransmissionControlBlock tcb) =>
        _frames.FreeCount < _frames.FrameCount / 32 && tcb.ReceiveQueueBytes > 0;

    /// <summary>Appends to the receive queue, or throws away when the user wants no more.</summary>
    private void Deliver(ref TransmissionControlBlock tcb, int frame, int offset, int length, out bool taken)
    {
        tcb.RcvNxt += length;
        tcb.BytesReceived += length;
        if (tcb.Has(TcbFlags.ReceiveShut))
        {
            taken = false;
            return;
        }

        AppendReceive(ref tcb, frame, offset, length, out taken);
    }

    private void ReceiveFin(int id, ref TransmissionControlBlock tcb)
    {
        tcb.RcvNxt += 1;
        tcb.Flags |= TcbFlags.FinReceived;
        FreeOutOfOrderQueue(ref tcb);
        tcb.ReportBlockCount = 0;
        RaiseEvent(id, ref tcb, Readiness.In | Readiness.ReadHangUp);
        switch (tcb.State)
        {
            case TcpState.Established:
                tcb.State = TcpState.CloseWait;
                break;
            case TcpState.FinWait1:
                tcb.State = TcpState.Closing;
                break;
            case TcpState.FinWait2:
                SendAck(id, ref tcb);
                EnterTimeWait(id, ref tcb);
                break;
            default:
                break;
        }
    }

    private void TakeOutOfOrder(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        tcb.OutOfOrderSegments++;
        tcb.LastDisorderAt = _now;
        bool memoryShort = _frames.FreeCount < _frames.FrameCount / 16;
        if (tcb.OutOfOrderFrames >= Limits.MaximumOutOfOrderFrames || memoryShort)
        {
            _counters.Drop(memoryShort ? DropReason.TcpReceiveBufferFull : DropReason.TcpOutOfOrderFull);
        }
        else
        {
            _counters.Add(Counter.TcpOutOfOrder);
            InsertOutOfOrder(ref tcb, ref segment);
        }

        // RFC 5681 4.2: at once, so that the sender counts duplicates.
        SendAck(id, ref tcb);
    }

    /// <summary>Puts a segment into its place. What overlaps earlier entries is cut; what it covers wholly is dropped.</summary>
    private void InsertOutOfOrder(ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        SeqNumber left = segment.Sequence;
        SeqNumber right = segment.Sequence + segment.PayloadLength;
        SeqNumber end = segment.End;
        bool fin = segment.Is(TcpFlags.Fin);
        int previous = NoFrame;
        int next = tcb.OutOfOrderHead;
        while (next != NoFrame && _info[next].Sequence <= left)
        {
            previous = next;
            next = _info[next].Next;
        }

        if (previous != NoFrame && _info[previous].End > left)
        {
            ref FrameInfo before = ref _info[previous];
            if (before.End >= end)
            {
                _counters.Drop(DropReason.TcpDuplicateData);
                ReportDuplicate(ref tcb, left, end);
                ReportBlock(ref tcb, before.Sequence, before.End);
                return;
            }

            int overlap = Math.Min(before.End - left, segment.PayloadLength);
            left += overlap;
            segment.PayloadOffset += overlap;
        }

        while (next != NoFrame && _info[next].End <= end)
        {
            int covered = next;
            next = _info[covered].Next;
            RemoveOutOfOrder(ref tcb, previous, covered);
        }

        if (next != NoFrame && _info[next].Sequence < end)
        {
            // The FIN goes with what is cut off: it would end the stream here.
            right = SeqNumber.Min(right, _info[next].Sequence);
            fin = false;
        }

        int length = Math.Max(0, right - left);
        if (length == 0 && !fin)
        {
            return;
        }

        ref FrameInfo info = ref _info[segment.Frame];
        info.Sequence = left;
        info.Offset = (ushort)segment.PayloadOffset;
        info.Length = (ushort)length;
        info.Marks = fin ? SegmentMarks.Fin : SegmentMarks.None;
        info.Next = next;
        if (previous == NoFrame)
        {
            tcb.OutOfOrderHead = segment.Frame;
        }
        else
        {
            _info[previous].Next = segment.Frame;
        }

        tcb.OutOfOrderFrames++;
        tcb.OutOfOrderBytes += length;
        segment.FrameTaken = true;
        ReportBlock(ref tcb, left, info.End);
    }

    private void RemoveOutOfOrder(ref TransmissionControlBlock tcb, int previous, int frame)
    {
        ref FrameInfo info = ref _info[frame];
        if (previous == NoFrame)
        {
            tcb.OutOfOrderHead = info.Next;
        }
        else
        {
            _info[previous].Next = info.Next;
        }

        tcb.OutOfOrderFrames--;
        tcb.OutOfOrderBytes -= info.Length;
        _frames.Release(frame);
    }

    /// <summary>Moves what has become in order to the receive queue.</summary>
    private void DrainOutOfOrder(int id, ref TransmissionControlBlock tcb)
    {
        while (tcb.OutOfOrderHead != NoFrame && _info[tcb.OutOfOrderHead].Sequence <= tcb.RcvNxt)
        {
            int frame = tcb.OutOfOrderHead;
            FrameInfo info = _info[frame];
            tcb.OutOfOrderHead = info.Next;
            tcb.OutOfOrderFrames--;
            tcb.OutOfOrderBytes -= info.Length;
            int old = Math.Min(tcb.RcvNxt - info.Sequence, info.Length);
            bool taken = false;
            if (info.Length > old)
            {
                Deliver(ref tcb, frame, info.Offset + old, info.Length - old, out taken);
            }

            if (!taken)
            {
                _frames.Release(frame);
            }

            if (info.Is(SegmentMarks.Fin) && info.Sequence + info.Length == tcb.RcvNxt)
            {
                ReceiveFin(id, ref tcb);
                break;
            }
        }

        TrimReportBlocks(ref tcb);
    }

    /// <summary>
    /// Notes that an acknowledgment is due: at the end of the batch when it is urgent or two segments are unanswered
    /// (RFC 9293 3.8.6.3), on a lossy path at once, otherwise by the timer, unless an answer of the program carries it first.
    /// </summary>
    private void OweAck(int id, ref TransmissionControlBlock tcb, bool now)
    {
        if (tcb.State is TcpState.Closed or TcpState.TimeWait)
        {
            return;
        }

        int unanswered = tcb.RcvNxt - tcb.LastAckSent;
        bool quick = tcb.Settings.QuickAck || (tcb.QuickAcksLeft > 0 && !tcb.Has(TcbFlags.Interactive));
        bool second = unanswered > tcb.ReceiveMss && tcb.ReceiveMss >= Limits.DefaultMss;
        if (now || quick || second || tcb.Has(TcbFlags.DsackPending))
        {
            if (tcb.LastDisorderAt.IsSet && _now - tcb.LastDisorderAt < Limits.LossyPath)
            {
                // Where segments get lost, acknowledgments do. One for a batch would be a time-out when it is the lost one.
                SendAck(id, ref tcb);
                return;
            }

            tcb.Flags |= TcbFlags.AckNow;
            if (!tcb.Has(TcbFlags.OnAckList))
            {
                tcb.Flags |= TcbFlags.OnAckList;
                tcb.AckNext = _firstAck;
                _firstAck = id;
            }

            return;
        }

        if (!tcb.DelayedAckAt.IsSet)
        {
            tcb.DelayedAckAt = _now + Limits.DelayedAck;
            Schedule(id, ref tcb, tcb.DelayedAckAt);
        }
    }

    /// <summary>A sender whose window is small must not wait for delayed acknowledgments (Linux: tcp_incr_quickack).</summary>
    private static void AcknowledgeQuickly(ref TransmissionControlBlock tcb)
    {
        int most = (tcb.ReceiveRight - tcb.RcvNxt) / (2 * Math.Max(tcb.ReceiveMss, Limits.DefaultMss));
        int count = Math.Clamp(most, 2, Limits.QuickAcks);
        tcb.QuickAcksLeft = (byte)Math.Max(count, tcb.QuickAcksLeft);
    }

    /// <summary>End of a batch: sends the acknowledgments that nothing else has carried.</summary>
    internal void FlushAcks()
    {
        while (_firstAck != 0)
        {
            int id = _firstAck;
            ref TransmissionControlBlock tcb = ref _connections[id];
            _firstAck = tcb.AckNext;
            tcb.AckNext = 0;
            tcb.Flags &= ~TcbFlags.OnAckList;
            if (tcb.Has(TcbFlags.AckNow) && tcb.State != TcpState.Closed)
            {
                SendAck(id, ref tcb);
            }
        }
    }

    private void RemoveFromAckList(int id, ref TransmissionControlBlock tcb)
    {
        if (!tcb.Has(TcbFlags.OnAckList))
        {
            return;
        }

        ref int link = ref _firstAck;
        while (link != id)
        {
            link = ref _connections[link].AckNext;
        }

        link = tcb.AckNext;
        tcb.Flags &= ~TcbFlags.OnAckList;
    }
}
