// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>Selective acknowledgment: what we report (RFC 2018, 2883) and what the peer reports.</content>
public sealed partial class TcpEngine
{
    private static void FillSackBlocks(ref TransmissionControlBlock tcb, ref TcpOptions options, int room)
    {
        if (!tcb.Has(TcbFlags.Sack))
        {
            return;
        }

        // NOP NOP kind length, then eight bytes a block.
        int most = Math.Min((room - 4) / 8, 4);
        if (tcb.Has(TcbFlags.DsackPending) && most > 0)
        {
            options.TryAddSackBlock(tcb.Dsack);
            tcb.Flags &= ~TcbFlags.DsackPending;
        }

        for (int i = 0; i < tcb.ReportBlockCount && options.SackBlockCount < most; i++)
        {
            options.TryAddSackBlock(tcb.ReportBlocks[i]);
        }
    }

    private static void ReportDuplicate(ref TransmissionControlBlock tcb, SeqNumber left, SeqNumber right)
    {
        if (tcb.Has(TcbFlags.Sack) && left < right)
        {
            tcb.Dsack = new SackBlock { Left = left, Right = right };
            tcb.Flags |= TcbFlags.DsackPending;
        }
    }

    /// <summary>Puts the block that holds fresh data first, joined with those that it touches (RFC 2018 4).</summary>
    private static void ReportBlock(ref TransmissionControlBlock tcb, SeqNumber left, SeqNumber right)
    {
        int kept = 0;
        SackBlocks rest = default;
        for (int i = 0; i < tcb.ReportBlockCount; i++)
        {
            SackBlock block = tcb.ReportBlocks[i];
            if (block.Left <= right && left <= block.Right)
            {
                left = SeqNumber.Min(left, block.Left);
                right = SeqNumber.Max(right, block.Right);
            }
            else if (kept < 3)
            {
                rest[kept++] = block;
            }
        }

        tcb.ReportBlocks[0] = new SackBlock { Left = left, Right = right };
        for (int i = 0; i < kept; i++)
        {
            tcb.ReportBlocks[i + 1] = rest[i];
        }

        tcb.ReportBlockCount = (byte)(kept + 1);
    }

    /// <summary>Drops reported blocks that the in-order stream has reached.</summary>
    private static void TrimReportBlocks(ref TransmissionControlBlock tcb)
    {
        int kept = 0;
        for (int i = 0; i < tcb.ReportBlockCount; i++)
        {
            SackBlock block = tcb.ReportBlocks[i];
            if (block.Left > tcb.RcvNxt)
            {
                tcb.ReportBlocks[kept++] = block;
            }
        }

        tcb.ReportBlockCount = (byte)kept;
    }

    /// <summary>Marks what the peer says that it has.</summary>
    private void ProcessSackOption(ref TransmissionControlBlock tcb, in TcpSegment segment, ref AckSummary ack)
    {
        for (int i = 0; i < segment.Options.SackBlockCount; i++)
        {
            SackBlock block = segment.Options.GetSackBlock(i);
            if (i == 0 && IsDsack(segment, block))
            {
                OnDsack(ref tcb, segment.Acknowledgment, block, ref ack);
                continue;
            }

            bool plausible = block.Left < block.Right && block.Left >= segment.Acknowledgment
                && block.Left >= tcb.SndUna && block.Right <= tcb.SndNxt;
            if (plausible)
            {
                MarkSacked(ref tcb, block, ref ack);
            }
        }
    }

    /// <summary>RFC 2883 4: the first block lies below the cumulative acknowledgment or inside the second block.</summary>
    private static bool IsDsack(in TcpSegment segment, in SackBlock first)
    {
        if (first.Left < segment.Acknowledgment)
        {
            return true;
        }

        if (segment.Options.SackBlockCount < 2)
        {
            return false;
        }

        SackBlock second = segment.Options.GetSackBlock(1);
        return first.Left >= second.Left && first.Right <= second.Right;
    }

    /// <summary>
    /// Whether a duplicate can be one of ours: sent before, no longer than a window, which a peer remembers at most, and on one
    /// side of the cumulative acknowledgment (RFC 2883 4). What claims more would explain away real losses.
    /// </summary>
    private static bool IsPlausibleDsack(in TransmissionControlBlock tcb, SeqNumber acknowledgment, in SackBlock block)
    {
        // The peer takes a whole window in before the sender hears of any of it.
        int window = (int)Math.Min(Math.Max(tcb.MaxSndWnd, 65535), int.MaxValue / 2);
        int sent = (int)Math.Min(tcb.BytesAcked + 2, window); // SYN and FIN, too
        bool straddles = block.Left < acknowledgment && block.Right > acknowledgment;
        return block.Left < block.Right && block.Right <= tcb.SndNxt && !straddles
            && block.Right - block.Left <= window
            && block.Right > tcb.SndUna - window
            && (sent == window || block.Left >= tcb.SndUna - sent);
    }

    private void OnDsack(
        ref TransmissionControlBlock tcb, SeqNumber acknowledgment, in SackBlock block, ref AckSummary ack)
    {
        if (!IsPlausibleDsack(tcb, acknowledgment, block))
        {
            return;
        }

        ack.DsackSeen = true;
        if (tcb.UndoRetransmissions > 0 && block.Right > tcb.UndoMarker)
        {
            // A peer may report several duplicates that it took in at once by one block.
            // What lies below the marker was sent again in an earlier episode.
            int length = block.Right - SeqNumber.Max(block.Left, tcb.UndoMarker);
            int segments = (length + tcb.SendMss - 1) / tcb.SendMss;
            tcb.UndoRetransmissions = Math.Max(0, tcb.UndoRetransmissions - segments);
        }

        // After a fast retransmission a duplicate means that the original came late: the path reorders. After a time-out or a
        // probe it means that acknowledgments were lost.
        if (tcb.Recovery != RecoveryState.Loss && tcb.Backoff == 0 && !tcb.Has(TcbFlags.LossProbeSent)
            && tcb.UndoRetransmissions >= 0 && block.Right > tcb.UndoMarker)
        {
            tcb.Flags |= TcbFlags.ReorderingSeen;
        }

        // RFC 8985 6.2 step 4: a needless retransmission widens the reordering window, once a round.
        if (tcb.SndUna >= tcb.RackDsackRound)
        {
            tcb.RackDsackRound = tcb.SndNxt;
            tcb.RackWindowMultiplier = Math.Min(tcb.RackWindowMultiplier + 1, 255);
            tcb.RackWindowPersist = Limits.ReorderingWindowPersist;
        }
    }

    private void MarkSacked(ref TransmissionControlBlock tcb, in SackBlock block, ref AckSummary ack)
    {
        int frame = tcb.SendHead;
        while (frame != tcb.SendNext && frame != NoFrame)
        {
            ref FrameInfo info = ref _info[frame];
            if (info.Sequence >= block.Right)
            {
                return;
            }

            if (info.Sequence >= block.Left && info.End <= block.Right && !info.Is(SegmentMarks.Sacked))
            {
                NoteDelivered(ref tcb, info, ref ack);
                ClearLossMarks(ref tcb, ref info);
                info.Marks |= SegmentMarks.Sacked;
                tcb.SackedBytes += info.SequenceLength;
                ack.NewlySacked += info.SequenceLength;
                if (info.End > tcb.HighSacked)
                {
                    tcb.HighSacked = info.End;
                }
            }

            frame = info.Next;
        }
    }

    private static void ClearLossMarks(ref TransmissionControlBlock tcb, ref FrameInfo info)
    {
        if (info.Is(SegmentMarks.Lost))
        {
            tcb.LostBytes -= info.SequenceLength;
        }

        if (info.Is(SegmentMarks.Retransmitted))
        {
            tcb.RetransBytes -= info.SequenceLength;
        }

        info.Marks &= ~(SegmentMarks.Lost | SegmentMarks.Retransmitted);
    }
}
