// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>Opening: SYN_SENT, SYN_RECEIVED, and the options that SYNs agree on.</content>
public sealed partial class TcpEngine
{
    /// <summary>RFC 9293 3.10.7.3.</summary>
    private void SegmentArrivesSynSent(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        bool hasAck = segment.Is(TcpFlags.Ack);
        if (hasAck && (segment.Acknowledgment <= tcb.Iss || segment.Acknowledgment > tcb.SndNxt))
        {
            _counters.Drop(DropReason.TcpBadAck);
            SendResetFor(segment);
            return;
        }

        if (segment.Is(TcpFlags.Rst))
        {
            if (hasAck)
            {
                _counters.Add(Counter.TcpAttemptFails);
                Finish(id, ref tcb, TcpError.ConnectionRefused);
            }
            else
            {
                _counters.Drop(DropReason.TcpBadReset);
            }

            return;
        }

        if (!segment.Is(TcpFlags.Syn))
        {
            _counters.Drop(DropReason.TcpNoAck);
            return;
        }

        TakeSyn(ref tcb, segment);
        if (!hasAck)
        {
            // Simultaneous open, RFC 9293 3.5 figure 8.
            tcb.State = TcpState.SynReceived;
            tcb.Flags |= TcbFlags.SimultaneousOpen;
            SendSyn(id, ref tcb);
            StartRetransmitTimer(id, ref tcb);
            return;
        }

        Duration rtt = _now - tcb.LastSentAt;
        tcb.SndUna = segment.Acknowledgment;
        tcb.State = TcpState.Established;
        Establish(id, ref tcb, segment, tcb.Backoff == 0 ? rtt : Duration.Zero);
        SendAck(id, ref tcb);
        RaiseEvent(id, ref tcb, Readiness.Out);
        Output(id, ref tcb, OutputMode.Normal);
        if (segment.PayloadLength > 0 || segment.Is(TcpFlags.Fin))
        {
            segment.Sequence += 1;
            segment.Flags &= ~TcpFlags.Syn;
            ProcessText(id, ref tcb, ref segment);
        }
    }

    /// <summary>Takes over the peer's sequence number and options, and settles on what both can do.</summary>
    private void TakeSyn(ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        tcb.Irs = segment.Sequence;
        tcb.RcvNxt = segment.Sequence + 1;
        tcb.RcvWup = tcb.RcvNxt;
        tcb.LastAckSent = tcb.RcvNxt;
        tcb.LastReceivedAt = _now;
        tcb.PeerMss = segment.Options.MaximumSegmentSize == 0
            ? Limits.DefaultMss
            : Math.Max((int)segment.Options.MaximumSegmentSize, Limits.MinimumMss);
        if (_options.UseWindowScale && segment.Options.WindowScale >= 0)
        {
            tcb.Flags |= TcbFlags.WindowScale;
            tcb.SndWindShift = (byte)Math.Min((int)segment.Options.WindowScale, Limits.MaximumWindowShift);
        }
        else
        {
            tcb.SndWindShift = 0;
            tcb.RcvWindShift = 0;
        }

        if (_options.UseSack && segment.Options.SackPermitted)
        {
            tcb.Flags |= TcbFlags.Sack;
        }

        if (_options.UseTimestamps && segment.Options.HasTimestamps)
        {
            tcb.Flags |= TcbFlags.Timestamps;
            tcb.TsRecent = segment.Options.TimestampValue;
            tcb.TsRecentAt = _now;
        }

        // The window of a SYN is never scaled, RFC 7323 2.2.
        tcb.SndWnd = segment.Window;
        tcb.MaxSndWnd = segment.Window;
        tcb.SndWl1 = segment.Sequence;
        tcb.SndWl2 = segment.Acknowledgment;
        UpdateSendMss(ref tcb);
        tcb.ReceiveMss = Math.Min(tcb.SendMss, Limits.DefaultMss);
    }

    private static byte ReceiveShiftFor(in SocketSettings settings)
    {
        // Room for what tuning may grow to; an explicit SO_RCVBUF keeps to itself.
        int largest = settings.ReceiveBuffer > 0 ? settings.ReceiveBuffer : Limits.MaximumReceiveBuffer;
        int shift = 0;
        while (shift < Limits.MaximumWindowShift && (65535L << shift) < largest)
        {
            shift++;
        }

        return (byte)shift;
    }

    /// <summary>Where a successor in TIME_WAIT begins at least: beyond any window of its predecessor (Linux: the same 65537).</summary>
    private static SeqNumber IssFloor(in TransmissionControlBlock tcb) => tcb.SndNxt + 65537;

    private void InitializeSending(ref TransmissionControlBlock tcb, SeqNumber iss)
    {
        tcb.TsOffset = NewTimestampOffset(tcb.Local, tcb.LocalPort, tcb.Remote, tcb.RemotePort);
        tcb.Iss = iss;
        tcb.SndUna = tcb.Iss;
        tcb.SmallEnd = tcb.Iss;
        tcb.SndNxt = tcb.Iss + 1;
        tcb.WriteSeq = tcb.SndNxt;
        tcb.HighSacked = tcb.Iss;
        tcb.RecoveryPoint = tcb.Iss;
        tcb.UndoMarker = tcb.Iss;
        tcb.RackEnd = tcb.Iss;
        tcb.RackDsackRound = tcb.Iss;
        tcb.RcvWindShift = _options.UseWindowScale ? ReceiveShiftFor(tcb.Settings) : (byte)0;
    }

    /// <summary>Both SYNs are acknowledged.</summary>
    private void Establish(int id, ref TransmissionControlBlock tcb, in TcpSegment segment, Duration rtt)
    {
        tcb.Backoff = 0;
        tcb.RetransmitAt = Instant.Never;
        tcb.StalledSince = Instant.Never;
        if (rtt > Duration.Zero)
        {
            RttEstimator.Sample(ref tcb, rtt);
        }
        else
        {
            // RFC 6298 (5.7): after a lost SYN the timer starts at three seconds; like Linux we keep one.
            tcb.RetransmissionTimeout = Limits.InitialRto;
        }

        tcb.SndWl1 = segment.Sequence;
        tcb.SndWl2 = segment.Acknowledgment;
        CongestionControl.Initialize(ref tcb);
        StartKeepAlive(id, ref tcb);
    }

    /// <summary>A SYN again in SYN_RECEIVED, or the SYN-ACK of a simultaneous open. Returns false when it is dealt with.</summary>
    private bool PrepareSynReceived(int id, ref TransmissionControlBlock tcb, ref TcpSegment segment)
    {
        if (!segment.Is(TcpFlags.Syn) || segment.Is(TcpFlags.Rst) || segment.Sequence != tcb.Irs)
        {
            return true;
        }

        if (segment.Is(TcpFlags.Ack))
        {
            // The rest of the segment counts from RCV.NXT on (RFC 9293 3.10.7.4: "tailored").
            segment.Sequence += 1;
            segment.Flags &= ~TcpFlags.Syn;
            segment.HadSyn = true;
            return true;
        }

        SendSyn(id, ref tcb);
        return false;
    }

    private bool EstablishFromSynReceived(int id, ref TransmissionControlBlock tcb, in TcpSegment segment)
    {
        if (tcb.Listener != 0 && !tcb.Has(TcbFlags.InAcceptQueue) && !EnterAcceptQueue(id, ref tcb))
        {
            // Accept queue full: like Linux forget this acknowledgment, the SYN-ACK will be sent again.
            return false;
        }

        tcb.State = TcpState.Established;
        tcb.SndUna = tcb.Iss + 1;
        tcb.SndWnd = segment.WindowBytes(tcb.SndWindShift);
        tcb.MaxSndWnd = Math.Max(tcb.MaxSndWnd, tcb.SndWnd);
        Establish(id, ref tcb, segment, tcb.Backoff == 0 ? _now - tcb.LastSentAt : Duration.Zero);
        if (tcb.Has(TcbFlags.FinQueued))
        {
            tcb.State = TcpState.FinWait1;
        }

        RaiseEvent(id, ref tcb, Readiness.Out);
        return true;
    }
}
