// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>RFC 9293 3.10.7.4, "Fifth, check the ACK field": window, send queue, round-trip time.</content>
public sealed partial class TcpEngine
{
    /// <summary>What one acknowledgment brought.</summary>
    private ref struct AckSummary
    {
        /// <summary>Bytes that SND.UNA moved by.</summary>
        public int Acked;

        /// <summary>Bytes newly covered by SACK blocks.</summary>
        public int NewlySacked;

        /// <summary>Bytes newly known to be delivered, by either.</summary>
        public int Delivered;

        /// <summary>Longest round-trip time of a segment sent once; zero when there is none.</summary>
        public Duration Rtt;

        /// <summary>Shortest round-trip time of a segment sent once, without the wait for a second one; zero when there is none.</summary>
        public Duration LeastRtt;

        /// <summary>It reported a duplicate (RFC 2883).</summary>
        public bool DsackSeen;

        /// <summary>It covers a segment that was sent more than once, so that nothing tells which one it answers (Karn).</summary>
        public bool Ambiguous;

        /// <summary>Highest sequence number that SACK had covered before.</summary>
        public SeqNumber HighSacked;

        /// <summary>The window changed.</summary>
        public bool WindowUpdated;
    }

    private void ProcessAck(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        AckSummary ack = default;
        ack.HighSacked = tcb.HighSacked;
        bool wasShut = tcb.SndWnd == 0;
        ack.WindowUpdated = UpdateSendWindow(ref tcb, segment);
        if (wasShut && tcb.SndWnd > 0 && tcb.FlightSize > 0)
        {
            // The peer had taken its window back under what is in flight: what was tried meanwhile proves nothing.
            tcb.Backoff = 0;
            tcb.StalledSince = Instant.Never;
            StartRetransmitTimer(id, ref tcb);
        }

        if (segment.Options.SackBlockCount > 0 && tcb.Has(TcbFlags.Sack))
        {
            ProcessSackOption(ref tcb, segment, ref ack);
        }

        int flightBefore = tcb.FlightSize;
        int acked = segment.Acknowledgment - tcb.SndUna;
        if (acked > 0)
        {
            ack.Acked = acked;
            RemoveAcknowledged(ref tcb, segment.Acknowledgment, ref ack);
            tcb.Backoff = 0;
            tcb.StalledSince = Instant.Never;
            tcb.SoftError = TcpError.None;
            TakeRttSample(ref tcb, segment, ack);
        }

        if (tcb.Has(TcbFlags.Persist) && (tcb.SndWnd > 0 || acked > 0))
        {
            tcb.Flags &= ~TcbFlags.Persist;
            tcb.RetransmitAt = Instant.Never;
            tcb.Backoff = 0;
            tcb.StalledSince = Instant.Never;
        }

        if (tcb.Has(TcbFlags.LossProbeSent))
        {
            JudgeLossProbe(ref tcb, segment, ack);
        }

        if (flightBefore > 0)
        {
            UpdateRecovery(id, ref tcb, segment, ref ack);
            if (acked > 0 || !tcb.RetransmitAt.IsSet)
            {
                RearmRetransmitTimer(id, ref tcb);
            }
        }

        if (acked > 0)
        {
            GrowSendBuffer(ref tcb);
            if (tcb.Has(TcbFlags.WantsSpace) && IsWritable(tcb))
            {
                tcb.Flags &= ~TcbFlags.WantsSpace;
                RaiseEvent(id, ref tcb, Readiness.Out);
            }

            tcb.Flags &= ~TcbFlags.CongestionLimited;
        }
    }

    /// <summary>RFC 9293 3.10.7.4: SND.WL1 and SND.WL2 keep old segments from changing the window.</summary>
    private static bool UpdateSendWindow(ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        uint window = segment.WindowBytes(tcb.SndWindShift);
        bool newer = segment.Acknowledgment > tcb.SndUna || segment.Sequence > tcb.SndWl1
            || (segment.Sequence == tcb.SndWl1 && window > tcb.SndWnd);
        if (!newer)
        {
            return false;
        }

        bool changed = window != tcb.SndWnd;
        tcb.SndWnd = window;
        tcb.SndWl1 = segment.Sequence;
        tcb.SndWl2 = segment.Acknowledgment;
        tcb.MaxSndWnd = Math.Max(tcb.MaxSndWnd, window);
        return changed;
    }

    /// <summary>Frees what the peer has.</summary>
    private void RemoveAcknowledged(ref TransmissionControlBlock tcb, SeqNumber acknowledgment, ref AckSummary ack)
    {
        while (tcb.SendHead != NoFrame && tcb.SendHead != tcb.SendNext)
        {
            ref FrameInfo info = ref _info[tcb.SendHead];
            if (info.Sequence >= acknowledgment)
            {
                break;
            }

            if (info.End > acknowledgment)
            {
                TrimAcknowledged(ref tcb, ref info, acknowledgment);
                break;
            }

            if (info.Is(SegmentMarks.Sacked))
            {
                tcb.SackedBytes -= info.SequenceLength;
            }
            else
            {
                NoteDelivered(ref tcb, info, ref ack);
                ClearLossMarks(ref tcb, ref info);
            }

            tcb.SendQueueBytes -= info.Length;
            tcb.BytesAcked += info.Length;
            RemoveSendHead(ref tcb);
        }

        tcb.SndUna = acknowledgment;

        // It must not stay behind: two gigabytes later it would seem to lie ahead, and all would look reordered.
        tcb.HighSacked = SeqNumber.Max(tcb.HighSacked, acknowledgment);
        if (!tcb.Has(TcbFlags.Sack))
        {
            // NewReno: the hole was one of the segments that the duplicates did not stand for.
            tcb.SackedBytes = Math.Max(0, tcb.SackedBytes - Math.Max(0, ack.Acked - tcb.SendMss));
            tcb.SackedBytes = Math.Min(tcb.SackedBytes, tcb.FlightSize - tcb.LostBytes);
        }
    }

    /// <summary>The peer took a part of a segment: it did not stop where we did, after our MTU or its buffer changed.</summary>
    private static void TrimAcknowledged(ref TransmissionControlBlock tcb, ref FrameInfo info, SeqNumber acknowledgment)
    {
        int count = acknowledgment - info.Sequence;
        if (info.Is(SegmentMarks.Sacked))
        {
            tcb.SackedBytes -= count;
        }

        if (info.Is(SegmentMarks.Lost))
        {
            tcb.LostBytes -= count;
        }

        if (info.Is(SegmentMarks.Retransmitted))
        {
            tcb.RetransBytes -= count;
        }

        info.Offset += (ushort)count;
        info.Length -= (ushort)count;
        info.Sequence = acknowledgment;
        tcb.SendQueueBytes -= count;
        tcb.BytesAcked += count;
    }

    /// <summary>A segment is newly known to have arrived: round-trip time, reordering, RACK (RFC 8985 6.2 steps 1 to 3).</summary>
    private void NoteDelivered(ref TransmissionControlBlock tcb, in FrameInfo info, ref AckSummary ack)
    {
        ack.Delivered += info.SequenceLength;
        Duration rtt = _now - info.SentAt;
        if (!info.Is(SegmentMarks.EverRetransmitted))
        {
            ack.Rtt = Duration.Max(ack.Rtt, rtt);
            ack.LeastRtt = ack.LeastRtt == Duration.Zero ? rtt : Duration.Min(ack.LeastRtt, rtt);
            if (info.End < ack.HighSacked)
            {
                NoteReordering(ref tcb, info.Sequence, ack.HighSacked);
            }
        }
        else
        {
            ack.Ambiguous = true;
            if (rtt < tcb.MinimumRtt || rtt < tcb.SmoothedRtt / 2)
            {
                // Too soon to be the answer to the retransmission: it says nothing about when what was sent. The least
                // round-trip time alone is no guard where a queue stands: late originals would condemn the whole flight.
                return;
            }
        }

        if (info.SentAt > tcb.RackSentAt || (info.SentAt == tcb.RackSentAt && info.End > tcb.RackEnd))
        {
            tcb.RackSentAt = info.SentAt;
            tcb.RackEnd = info.End;
            tcb.RackRtt = rtt;
        }
    }

    private static void NoteReordering(ref TransmissionControlBlock tcb, SeqNumber late, SeqNumber highest)
    {
        tcb.Flags |= TcbFlags.ReorderingSeen;
        int distance = (highest - late) / Math.Max(1, tcb.SendMss);
        tcb.Reordering = Math.Clamp(distance + 1, tcb.Reordering, Limits.MaximumReordering);
    }

    /// <summary>RFC 6298 (3), Karn; with timestamps a retransmission is no obstacle (RFC 7323 4.1).</summary>
    private void TakeRttSample(ref TransmissionControlBlock tcb, in TcpSegment segment, in AckSummary ack)
    {
        if (ack.Rtt.Nanoseconds > 0 && !ack.Ambiguous)
        {
            RttEstimator.Sample(ref tcb, ack.Rtt);
            return;
        }

        if (tcb.Has(TcbFlags.Timestamps) && segment.Options.HasTimestamps && segment.Options.TimestampEcho != 0)
        {
            int elapsed = (int)(TimestampNow(tcb) - segment.Options.TimestampEcho);
            if (elapsed is >= 0 and < 600_000)
            {
                RttEstimator.Sample(ref tcb, Duration.FromMilliseconds(Math.Max(elapsed, 1)));
            }
        }
    }

    /// <summary>Twice the congestion window, so that a full window can wait behind the one in flight (Linux: tcp_sndbuf_expand).</summary>
    private void GrowSendBuffer(ref TransmissionControlBlock tcb)
    {
        if (tcb.Settings.SendBuffer == 0 && tcb.SendBuffer < Limits.MaximumSendBuffer
            && tcb.SendBuffer < 2 * (long)tcb.Cwnd && _frames.FreeCount > _frames.FrameCount / 4)
        {
            tcb.SendBuffer = Math.Min(tcb.SendBuffer * 2, Limits.MaximumSendBuffer);
        }
    }
}
