// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>Queues of frames: what is sent, what is received in order, what is received out of order.</content>
public sealed partial class TcpEngine
{
    private static void InitializeQueues(ref TransmissionControlBlock tcb)
    {
        tcb.SendHead = NoFrame;
        tcb.SendTail = NoFrame;
        tcb.SendNext = NoFrame;
        tcb.ReceiveHead = NoFrame;
        tcb.ReceiveTail = NoFrame;
        tcb.OutOfOrderHead = NoFrame;
    }

    private void AppendSend(ref TransmissionControlBlock tcb, int frame)
    {
        _info[frame].Next = NoFrame;
        if (tcb.SendTail == NoFrame)
        {
            tcb.SendHead = frame;
        }
        else
        {
            _info[tcb.SendTail].Next = frame;
        }

        tcb.SendTail = frame;
        tcb.SendQueueFrames++;
        if (tcb.SendNext == NoFrame)
        {
            tcb.SendNext = frame;
        }
    }

    private void RemoveSendHead(ref TransmissionControlBlock tcb)
    {
        int frame = tcb.SendHead;
        ref FrameInfo info = ref _info[frame];
        tcb.SendHead = info.Next;
        if (tcb.SendTail == frame)
        {
            tcb.SendTail = NoFrame;
        }

        if (tcb.SendNext == frame)
        {
            tcb.SendNext = info.Next;
        }

        tcb.SendQueueFrames--;
        _frames.Release(frame);
    }

    private void FreeSendQueue(ref TransmissionControlBlock tcb)
    {
        FreeChain(tcb.SendHead);
        tcb.SendHead = NoFrame;
        tcb.SendTail = NoFrame;
        tcb.SendNext = NoFrame;
        tcb.SendQueueBytes = 0;
        tcb.SendQueueFrames = 0;
        tcb.SackedBytes = 0;
        tcb.LostBytes = 0;
        tcb.RetransBytes = 0;
    }

    private void FreeReceiveQueue(ref TransmissionControlBlock tcb)
    {
        FreeChain(tcb.ReceiveHead);
        tcb.ReceiveHead = NoFrame;
        tcb.ReceiveTail = NoFrame;
        tcb.ReceiveQueueBytes = 0;
    }

    private void FreeOutOfOrderQueue(ref TransmissionControlBlock tcb)
    {
        FreeChain(tcb.OutOfOrderHead);
        tcb.OutOfOrderHead = NoFrame;
        tcb.OutOfOrderFrames = 0;
        tcb.OutOfOrderBytes = 0;
    }

    private void FreeChain(int frame)
    {
        while (frame != NoFrame)
        {
            int next = _info[frame].Next;
            _frames.Release(frame);
            frame = next;
        }
    }

    /// <summary>
    /// Splits a queued segment, so that its first part is <paramref name="length"/> bytes long. A copy is needed, because
    /// headers are written in place before the payload.
    /// </summary>
    private bool SplitSegment(ref TransmissionControlBlock tcb, int frame, int length)
    {
        ref FrameInfo first = ref _info[frame];
        if (_frames.FreeCount <= Limits.ControlFrameReserve || !_frames.TryRent(out int rest))
        {
            _counters.Drop(DropReason.NoFrame);
            return false;
        }

        int restLength = first.Length - length;
        ref FrameInfo second = ref _info[rest];
        second = first;
        second.Offset = Limits.TransmitHeadroom;
        second.Length = (ushort)restLength;
        second.Sequence = first.Sequence + length;
        _frames.GetSpan(frame).Slice(first.Offset + length, restLength)
            .CopyTo(_frames.GetSpan(rest)[Limits.TransmitHeadroom..]);
        first.Length = (ushort)length;
        first.Marks &= ~(SegmentMarks.Fin | SegmentMarks.Push);
        first.Next = rest;
        if (tcb.SendTail == frame)
        {
            tcb.SendTail = rest;
        }

        tcb.SendQueueFrames++;
        return true;
    }

    /// <summary>
    /// Takes payload that continues the in-order stream. A short payload is copied behind the last one where there is
    /// room, so that many small segments do not hold a frame each.
    /// </summary>
    private void AppendReceive(ref TransmissionControlBlock tcb, int frame, int offset, int length, out bool taken)
    {
        int tail = tcb.ReceiveTail;
        if (tail != NoFrame)
        {
            ref FrameInfo last = ref _info[tail];
            int end = last.Offset + last.Length;
            if (_frames.FrameSize - end >= length)
            {
                _frames.GetSpan(frame).Slice(offset, length).CopyTo(_frames.GetSpan(tail)[end..]);
                last.Length += (ushort)length;
                tcb.ReceiveQueueBytes += length;
                taken = false;
                return;
            }
        }

        ref FrameInfo info = ref _info[frame];
        info.Next = NoFrame;
        info.Offset = (ushort)offset;
        info.Length = (ushort)length;
        if (tail == NoFrame)
        {
            tcb.ReceiveHead = frame;
        }
        else
        {
            _info[tail].Next = frame;
        }

        tcb.ReceiveTail = frame;
        tcb.ReceiveQueueBytes += length;
        taken = true;
    }

    /// <summary>Copies from the receive queue, starting a number of bytes into it, without taking anything out.</summary>
    private int CopyFromReceiveQueue(in TransmissionControlBlock tcb, int skip, Span<byte> destination)
    {
        int copied = 0;
        for (int frame = tcb.ReceiveHead; frame != NoFrame && copied < destination.Length; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (skip >= info.Length)
            {
                skip -= info.Length;
                continue;
            }

            int count = Math.Min(info.Length - skip, destination.Length - copied);
            _frames.GetSpan(frame).Slice(info.Offset + skip, count).CopyTo(destination[copied..]);
            copied += count;
            skip = 0;
        }

        return copied;
    }

    /// <summary>Moves bytes from the receive queue to the user.</summary>
    private int TakeFromReceiveQueue(ref TransmissionControlBlock tcb, Span<byte> destination)
    {
        int copied = 0;
        while (tcb.ReceiveHead != NoFrame && copied < destination.Length)
        {
            int frame = tcb.ReceiveHead;
            ref FrameInfo info = ref _info[frame];
            int count = Math.Min(info.Length, destination.Length - copied);
            _frames.GetSpan(frame).Slice(info.Offset, count).CopyTo(destination[copied..]);
            copied += count;
            info.Offset += (ushort)count;
            info.Length -= (ushort)count;
            if (info.Length == 0)
            {
                tcb.ReceiveHead = info.Next;
                if (tcb.ReceiveHead == NoFrame)
                {
                    tcb.ReceiveTail = NoFrame;
                }

                _frames.Release(frame);
            }
        }

        tcb.ReceiveQueueBytes -= copied;
        return copied;
    }
}
