// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>What must hold between two calls. Simulations and tests ask for it after every step; nothing else does.</content>
public sealed partial class TcpEngine
{
    /// <summary>Says what is inconsistent in a connection's record and queues; null when nothing is.</summary>
    internal string? FindInconsistency(int id)
    {
        ref TransmissionControlBlock tcb = ref _connections[id];
        return CheckNumbers(tcb) ?? CheckSendQueue(tcb) ?? CheckReceiveQueue(tcb) ?? CheckOutOfOrderQueue(tcb)
            ?? CheckProgress(tcb);
    }

    private static string? Different(string what, long held, long counted) => held == counted
        ? null
        : string.Create(CultureInfo.InvariantCulture, $"{what} is {held}, the queue says {counted}");

    private static string? CheckNumbers(in TransmissionControlBlock tcb)
    {
        if (tcb.SndUna > tcb.SndNxt || tcb.SndNxt > tcb.WriteSeq)
        {
            return string.Create(
                CultureInfo.InvariantCulture, $"SND.UNA {tcb.SndUna}, SND.NXT {tcb.SndNxt}, end {tcb.WriteSeq}");
        }

        if (tcb.IsSynchronized && tcb.HighSacked < tcb.SndUna - 1)
        {
            return "the highest SACKed number is behind SND.UNA";
        }

        if (tcb.LostBytes < 0 || tcb.SackedBytes < 0 || tcb.RetransBytes < 0 || tcb.Pipe < 0)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"lost {tcb.LostBytes}, sacked {tcb.SackedBytes}, retransmitted {tcb.RetransBytes}, pipe {tcb.Pipe}");
        }

        bool open = tcb.State is not (TcpState.Closed or TcpState.SynSent or TcpState.SynReceived);
        return open && tcb.Cwnd < tcb.SendMss
            ? string.Create(CultureInfo.InvariantCulture, $"cwnd {tcb.Cwnd} is less than MSS {tcb.SendMss}")
            : null;
    }

    private string? CheckSendQueue(in TransmissionControlBlock tcb)
    {
        int bytes = 0;
        int frames = 0;
        int lost = 0;
        int sacked = 0;
        int retransmitted = 0;
        bool sent = true;
        SeqNumber expected = tcb.SendHead == NoFrame ? default : _info[tcb.SendHead].Sequence;
        if (tcb.SendHead != NoFrame && tcb.SendHead != tcb.SendNext && expected != tcb.SndUna)
        {
            return "the send queue does not begin at SND.UNA";
        }

        for (int frame = tcb.SendHead; frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (frame == tcb.SendNext)
            {
                sent = false;
                if (info.Sequence != tcb.SndNxt)
                {
                    return "the unsent part of the send queue does not begin at SND.NXT";
                }
            }

            if (info.Sequence != expected || _frames.ReferenceCount(frame) == 0)
            {
                return "the send queue has a gap or holds a free frame";
            }

            const SegmentMarks OnlySent = SegmentMarks.Sacked | SegmentMarks.Lost | SegmentMarks.Retransmitted;
            if (!sent && (info.Marks & OnlySent) != 0)
            {
                return "an unsent segment bears marks of a sent one";
            }

            frames++;
            bytes += info.Length;
            lost += info.Is(SegmentMarks.Lost) ? info.SequenceLength : 0;
            sacked += info.Is(SegmentMarks.Sacked) ? info.SequenceLength : 0;
            retransmitted += info.Is(SegmentMarks.Retransmitted) ? info.SequenceLength : 0;
            expected = info.End;
            if (info.Next == NoFrame && (frame != tcb.SendTail || info.End != tcb.WriteSeq))
            {
                return "the send queue does not end where it should";
            }
        }

        return Different("SendQueueBytes", tcb.SendQueueBytes, bytes)
            ?? Different("SendQueueFrames", tcb.SendQueueFrames, frames)
            ?? Different("LostBytes", tcb.LostBytes, lost)
            ?? Different("RetransBytes", tcb.RetransBytes, retransmitted)
            ?? (tcb.Has(TcbFlags.Sack) ? Different("SackedBytes", tcb.SackedBytes, sacked) : null);
    }

    private string? CheckReceiveQueue(in TransmissionControlBlock tcb)
    {
        int bytes = 0;
        for (int frame = tcb.ReceiveHead; frame != NoFrame; frame = _info[frame].Next)
        {
            bytes += _info[frame].Length;
            if (_frames.ReferenceCount(frame) == 0)
            {
                return "the receive queue holds a free frame";
            }
        }

        return Different("ReceiveQueueBytes", tcb.ReceiveQueueBytes, bytes);
    }

    private string? CheckOutOfOrderQueue(in TransmissionControlBlock tcb)
    {
        int bytes = 0;
        int frames = 0;
        SeqNumber last = tcb.RcvNxt;
        for (int frame = tcb.OutOfOrderHead; frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (info.Sequence < last || (frames == 0 && info.Sequence == last) || info.End == info.Sequence)
            {
                return "the out-of-order queue is not sorted, not disjoint, or holds an empty or deliverable entry";
            }

            if (_frames.ReferenceCount(frame) == 0)
            {
                return "the out-of-order queue holds a free frame";
            }

            last = info.End;
            frames++;
            bytes += info.Length;
        }

        return Different("OutOfOrderFrames", tcb.OutOfOrderFrames, frames)
            ?? Different("OutOfOrderBytes", tcb.OutOfOrderBytes, bytes);
    }

    /// <summary>Whether something would wake a connection that has work left.</summary>
    private static string? CheckProgress(in TransmissionControlBlock tcb)
    {
        if (tcb.State is TcpState.Closed or TcpState.TimeWait)
        {
            return null;
        }

        if (tcb.FlightSize > 0 && !tcb.RetransmitAt.IsSet)
        {
            return "data is in flight and no timer runs";
        }

        return tcb.SendNext != NoFrame && !tcb.RetransmitAt.IsSet && !tcb.CorkAt.IsSet
            && tcb.State is not (TcpState.SynSent or TcpState.SynReceived)
            ? "data waits and no timer runs"
            : null;
    }
}
