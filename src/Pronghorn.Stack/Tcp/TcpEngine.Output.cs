// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>What may be sent now: windows, Nagle, silly-window avoidance, retransmission of what is lost.</content>
public sealed partial class TcpEngine
{
    /// <summary>Why output runs.</summary>
    private enum OutputMode : byte
    {
        /// <summary>Something changed: send what the rules allow.</summary>
        Normal,

        /// <summary>Send a partial segment too (cork expired, persist override).</summary>
        PushPartial,

        /// <summary>The retransmission timer expired: one segment goes out whatever the window says.</summary>
        Timeout,
    }

    private static int UsableWindow(in TransmissionControlBlock tcb) => (tcb.SndUna + tcb.SndWnd) - tcb.SndNxt;

    private void Output(int id, ref TransmissionControlBlock tcb, OutputMode mode)
    {
        if (tcb.LostBytes > 0)
        {
            RetransmitLost(id, ref tcb, mode);
        }

        if (tcb.FlightSize == 0 && tcb.SendNext != NoFrame && tcb.Recovery == RecoveryState.Open)
        {
            CongestionControl.OnRestart(ref tcb, _now - tcb.LastSentAt);
        }

        bool sent = false;
        while (tcb.SendNext != NoFrame && MaySendNext(id, ref tcb, mode))
        {
            if (!TransmitNew(id, ref tcb))
            {
                break;
            }

            sent = true;
        }

        if (sent)
        {
            // RFC 6298 (5.1): a timer that runs goes on, or a program that trickles would put a loss off for ever.
            if (!tcb.RetransmitAt.IsSet || tcb.Has(TcbFlags.Persist) || tcb.Has(TcbFlags.LossProbe))
            {
                RearmRetransmitTimer(id, ref tcb);
            }

            if (tcb.Settings.NotSentLowWater >= 0 && tcb.Has(TcbFlags.WantsSpace) && IsWritable(tcb))
            {
                tcb.Flags &= ~TcbFlags.WantsSpace;
                RaiseEvent(id, ref tcb, Readiness.Out);
            }
        }
        else if (tcb.SendNext != NoFrame && tcb.FlightSize == 0 && !tcb.RetransmitAt.IsSet && !tcb.CorkAt.IsSet)
        {
            // The window is shut or too small, or there is no frame: only a timer can go on from here.
            StartPersistTimer(id, ref tcb);
        }
    }

    /// <summary>Whether the first unsent segment may go, after splitting it where only a part fits.</summary>
    private bool MaySendNext(int id, ref TransmissionControlBlock tcb, OutputMode mode)
    {
        int frame = tcb.SendNext;
        ref FrameInfo info = ref _info[frame];
        if (tcb.Pipe > 0 && tcb.Pipe + info.Length > tcb.Cwnd)
        {
            tcb.Flags |= TcbFlags.CongestionLimited;
            return false;
        }

        if (info.Length > tcb.SendMss && !SplitSegment(ref tcb, frame, tcb.SendMss))
        {
            return false;
        }

        int usable = UsableWindow(tcb);
        if (info.Length > usable)
        {
            return MaySendPart(ref tcb, frame, usable, mode);
        }

        bool last = info.Next == NoFrame;
        if (!last || info.Length >= tcb.SendMss || info.Is(SegmentMarks.Fin) || mode == OutputMode.PushPartial)
        {
            return true;
        }

        return MaySendPartial(id, ref tcb);
    }

    /// <summary>RFC 9293 3.8.6.2.1: into a small window goes only what is worth it.</summary>
    private bool MaySendPart(ref TransmissionControlBlock tcb, int frame, int usable, OutputMode mode)
    {
        if (usable <= 0)
        {
            return false;
        }

        bool worth = usable >= tcb.SendMss || usable >= tcb.MaxSndWnd / 2;
        if (!worth && (mode != OutputMode.PushPartial || tcb.FlightSize > 0))
        {
            return false;
        }

        return SplitSegment(ref tcb, frame, usable);
    }

    /// <summary>Cork, MSG_MORE and Nagle (RFC 9293 3.7.4, with Minshall's change as in Linux) for the last, short segment.</summary>
    private bool MaySendPartial(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.Settings.Cork || tcb.Has(TcbFlags.More))
        {
            if (!tcb.CorkAt.IsSet)
            {
                tcb.CorkAt = _now + Limits.Cork;
                Schedule(id, ref tcb, tcb.CorkAt);
            }

            return false;
        }

        return tcb.Settings.NoDelay || tcb.FlightSize == 0 || !HasSmallInFlight(tcb);
    }

    /// <summary>Whether a segment shorter than the MSS waits for its acknowledgment.</summary>
    private static bool HasSmallInFlight(in TransmissionControlBlock tcb) =>
        tcb.SmallEnd > tcb.SndUna && tcb.SmallEnd <= tcb.SndNxt;

    private bool TransmitNew(int id, ref TransmissionControlBlock tcb)
    {
        int frame = tcb.SendNext;
        ref FrameInfo info = ref _info[frame];
        if (!TransmitQueued(id, ref tcb, frame))
        {
            return false;
        }

        tcb.SendNext = info.Next;
        tcb.SndNxt = info.End;
        if (info.Length < tcb.SendMss)
        {
            tcb.SmallEnd = info.End;
        }

        tcb.LastSentAt = _now;
        tcb.CorkAt = Instant.Never;
        tcb.BytesSent += info.Length;
        if (tcb.Recovery is RecoveryState.Recovery)
        {
            tcb.PrrOut += info.Length;
        }

        return true;
    }

    /// <summary>Sends again what is marked lost, as far as the congestion window allows (RFC 6675 5, NextSeg rule 1).</summary>
    private void RetransmitLost(int id, ref TransmissionControlBlock tcb, OutputMode mode)
    {
        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if ((info.Marks & (SegmentMarks.Lost | SegmentMarks.Retransmitted | SegmentMarks.Sacked)) != SegmentMarks.Lost)
            {
                continue;
            }

            bool force = mode == OutputMode.Timeout && frame == tcb.SendHead;
            if (!force && tcb.Pipe > 0 && tcb.Pipe + info.Length > tcb.Cwnd)
            {
                return;
            }

            if (!Retransmit(id, ref tcb, frame))
            {
                return;
            }
        }
    }

    /// <summary>Sends a queued segment again, in place.</summary>
    private bool Retransmit(int id, ref TransmissionControlBlock tcb, int frame)
    {
        // Still in the device's ring from last time: it was never lost. Linux: skb_still_in_host_queue.
        if (_frames.ReferenceCount(frame) > 1)
        {
            return false;
        }

        ref FrameInfo info = ref _info[frame];
        if (info.Length > tcb.SendMss)
        {
            SplitInFlight(ref tcb, frame);
        }

        if (!TransmitQueued(id, ref tcb, frame))
        {
            return false;
        }

        if (info.Is(SegmentMarks.Lost) && !info.Is(SegmentMarks.Retransmitted))
        {
            info.Marks |= SegmentMarks.Retransmitted;
            tcb.RetransBytes += info.SequenceLength;
        }

        info.Marks |= SegmentMarks.EverRetransmitted;
        if (tcb.RetransmitStamp == 0)
        {
            tcb.RetransmitStamp = TimestampNow(tcb);
        }

        if (tcb.UndoRetransmissions >= 0)
        {
            tcb.UndoRetransmissions++;
        }

        if (tcb.Recovery == RecoveryState.Recovery)
        {
            tcb.PrrOut += info.Length;
        }

        tcb.LastSentAt = _now;
        tcb.BytesSent += info.Length;
        tcb.TotalRetransmissions++;
        _counters.Add(Counter.TcpRetransSegs);
        return true;
    }

    // After the path MTU fell. Byte counts do not change by a split, so the scoreboard's sums stay right.
    private void SplitInFlight(ref TransmissionControlBlock tcb, int frame)
    {
        while (frame != tcb.SendNext && frame != NoFrame && _info[frame].Length > tcb.SendMss)
        {
            if (!SplitSegment(ref tcb, frame, tcb.SendMss))
            {
                return;
            }

            frame = _info[frame].Next;
        }
    }
}
