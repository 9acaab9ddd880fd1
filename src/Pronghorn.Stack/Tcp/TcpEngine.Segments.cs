// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using Pronghorn.Stack.Ip;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>Building segments and handing them to the device's queue.</content>
public sealed partial class TcpEngine
{
    private const int LinkHeaderLength = EthernetView.HeaderLength;
    private const int NetworkHeaderLength = Ipv4Header.MinimumLength;
    private const int TimestampOptionLength = TcpOptions.TimestampsLength;

    private int _resetBudget;
    private long _resetSecond = -1;
    private int _challengeBudget;
    private long _challengeSecond = -1;

    /// <summary>Sends a segment of the send queue; its headers are written before the payload, in place.</summary>
    /// <returns>False when the device's queue is full or there is no path: nothing was sent.</returns>
    private bool TransmitQueued(int id, ref TransmissionControlBlock tcb, int frame)
    {
        ref FrameInfo info = ref _info[frame];
        if (!ResolvePath(ref tcb))
        {
            return false;
        }

        if (!_stack.HasTransmitRoom(tcb.InterfaceId))
        {
            _counters.Drop(DropReason.TransmitQueueFull);
            return false;
        }

        TcpFlags flags = TcpFlags.Ack;
        if (info.Is(SegmentMarks.Push))
        {
            flags |= TcpFlags.Psh;
        }

        if (info.Is(SegmentMarks.Fin))
        {
            flags |= TcpFlags.Fin;
        }

        info.SentAt = _now;
        _frames.AddReference(frame);
        TcpOptions options = default;
        FillOptions(ref tcb, ref options, info.Length);
        Emit(ref tcb, frame, info.Offset, info.Length, info.Sequence, flags, options);
        AckSent(id, ref tcb);
        return true;
    }

    /// <summary>Sends an acknowledgment without data.</summary>
    private void SendAck(int id, ref TransmissionControlBlock tcb)
    {
        if (SendControl(ref tcb, AcceptableSequence(tcb), TcpFlags.Ack))
        {
            _counters.Add(Counter.TcpPureAcksOut);
            AckSent(id, ref tcb);
        }
    }

    /// <summary>
    /// The sequence number of a segment without text: SND.NXT, or where the peer has taken its window back the edge of that, as the peer
    /// would drop what begins beyond it, and never hear what it acknowledges (Linux: tcp_acceptable_seq). A window is told rounded down.
    /// </summary>
    private static SeqNumber AcceptableSequence(in TransmissionControlBlock tcb)
    {
        SeqNumber edge = tcb.SndUna + tcb.SndWnd;
        return tcb.SndUna == tcb.Iss || tcb.SndNxt - edge < 1 << tcb.SndWindShift ? tcb.SndNxt : edge;
    }

    /// <summary>A segment just below the window, which the peer must answer: window probe and keep-alive.</summary>
    private void SendProbe(int id, ref TransmissionControlBlock tcb)
    {
        if (SendControl(ref tcb, tcb.SndUna - 1, TcpFlags.Ack))
        {
            AckSent(id, ref tcb);
        }
    }

    private void SendReset(int id, ref TransmissionControlBlock tcb)
    {
        _counters.Add(Counter.TcpOutRsts);
        if (SendControl(ref tcb, AcceptableSequence(tcb), TcpFlags.Rst | TcpFlags.Ack))
        {
            AckSent(id, ref tcb);
        }
    }

    private bool SendControl(ref TransmissionControlBlock tcb, SeqNumber sequence, TcpFlags flags)
    {
        if (!ResolvePath(ref tcb) || !TryRentControl(tcb.InterfaceId, out int frame))
        {
            return false;
        }

        TcpOptions options = default;
        FillOptions(ref tcb, ref options, 0);
        Emit(ref tcb, frame, Limits.TransmitHeadroom, 0, sequence, flags, options);
        return true;
    }

    /// <summary>SYN in SYN_SENT, SYN-ACK in SYN_RECEIVED.</summary>
    private void SendSyn(int id, ref TransmissionControlBlock tcb)
    {
        if (!ResolvePath(ref tcb) || !TryRentControl(tcb.InterfaceId, out int frame))
        {
            return;
        }

        bool answer = tcb.State == TcpState.SynReceived;
        TcpOptions options = default;
        options.MaximumSegmentSize = (ushort)AdvertisedMss(tcb);
        if (answer ? tcb.Has(TcbFlags.WindowScale) : _options.UseWindowScale)
        {
            options.WindowScale = (sbyte)tcb.RcvWindShift;
        }

        options.SackPermitted = answer ? tcb.Has(TcbFlags.Sack) : _options.UseSack;
        if (answer ? tcb.Has(TcbFlags.Timestamps) : _options.UseTimestamps)
        {
            options.HasTimestamps = true;
            options.TimestampValue = TimestampNow(tcb);
            options.TimestampEcho = answer ? tcb.TsRecent : 0;
        }

        TcpFlags flags = answer ? TcpFlags.Syn | TcpFlags.Ack : TcpFlags.Syn;
        Emit(ref tcb, frame, Limits.TransmitHeadroom, 0, tcb.Iss, flags, options);
        AckSent(id, ref tcb);
    }

    private bool TryRentControl(int interfaceId, out int frame)
    {
        frame = NoFrame;
        if (!_stack.HasTransmitRoom(interfaceId))
        {
            _counters.Drop(DropReason.TransmitQueueFull);
            return false;
        }

        if (!_frames.TryRent(out frame))
        {
            _counters.Drop(DropReason.NoFrame);
            return false;
        }

        return true;
    }

    private void FillOptions(ref TransmissionControlBlock tcb, ref TcpOptions options, int payloadLength)
    {
        int length = 0;
        if (tcb.Has(TcbFlags.Timestamps))
        {
            options.HasTimestamps = true;
            options.TimestampValue = TimestampNow(tcb);
            options.TimestampEcho = tcb.TsRecent;
            length = TimestampOptionLength;
        }

        if (tcb.ReportBlockCount != 0 || tcb.Has(TcbFlags.DsackPending))
        {
            int room = tcb.PathMtu - NetworkHeaderLength - TcpHeader.MinimumLength - length - payloadLength;
            FillSackBlocks(ref tcb, ref options, Math.Min(room, 40 - length));
        }
    }

    private void Emit(
        ref TransmissionControlBlock tcb,
        int frame,
        int payloadOffset,
        int payloadLength,
        SeqNumber sequence,
        TcpFlags flags,
        in TcpOptions options)
    {
        bool syn = (flags & TcpFlags.Syn) != 0;
        TcpHeader header = default;
        header.SourcePort = tcb.LocalPort;
        header.DestinationPort = tcb.RemotePort;
        header.Sequence = sequence;
        header.Acknowledgment = (flags & TcpFlags.Ack) != 0 ? tcb.RcvNxt : default;
        header.Flags = flags;
        header.Window = SelectWindow(ref tcb, syn);
        header.Options = options;

        Span<byte> span = _frames.GetSpan(frame);
        int headerLength = header.HeaderLength;
        int tcpStart = payloadOffset - headerLength;
        Span<byte> segment = span.Slice(tcpStart, headerLength + payloadLength);
        header.Write(segment);
        TcpHeader.WriteChecksum(segment, tcb.Local, tcb.Remote);

        int start = tcpStart - NetworkHeaderLength - LinkHeaderLength;
        Ipv4Header.Write(
            span.Slice(start + LinkHeaderLength, NetworkHeaderLength),
            tcb.Local,
            tcb.Remote,
            IpProtocol.Tcp,
            segment.Length,
            tcb.Identification++,
            tcb.Settings.Ttl,
            tcb.Settings.TypeOfService,
            dontFragment: true);
        _stack.WriteLinkHeader(span[start..], tcb.InterfaceId, tcb.NextHopMac, EtherType.Ipv4);
        tcb.SegmentsOut++;
        _counters.Add(Counter.TcpOutSegs);
        _stack.Enqueue(tcb.InterfaceId, frame, start, payloadOffset + payloadLength - start);
    }

    /// <summary>Whatever goes out carries the acknowledgment: nothing more is owed.</summary>
    private void AckSent(int id, ref TransmissionControlBlock tcb)
    {
        tcb.LastAckSent = tcb.RcvNxt;
        tcb.DelayedAckAt = Instant.Never;
        tcb.Flags &= ~TcbFlags.AckNow;
        if (tcb.QuickAcksLeft > 0)
        {
            tcb.QuickAcksLeft--;
        }
    }

    /// <summary>
    /// The window to tell, RFC 9293 3.8.6.2.2: its right edge never moves back, and moves on only by what is worth it.
    /// </summary>
    private ushort SelectWindow(ref TransmissionControlBlock tcb, bool syn)
    {
        int free = Math.Max(0, tcb.ReceiveBuffer - tcb.ReceiveQueueBytes);
        if (_frames.FreeCount < _frames.FrameCount / 16)
        {
            _counters.Add(Counter.MemoryPressure);
            free = Math.Min(free, 4 * Math.Max(tcb.ReceiveMss, Limits.DefaultMss));
        }

        SeqNumber oldRight = tcb.ReceiveRight;
        SeqNumber newRight = tcb.RcvNxt + free;
        int gain = newRight - oldRight;
        int worth = Math.Min(Math.Max(tcb.ReceiveMss, Limits.DefaultMss), tcb.ReceiveBuffer / 2);
        int shift = syn ? 0 : tcb.RcvWindShift;
        int window = gain >= worth || syn ? free >> shift << shift : 0;

        // Rounded down: rounded up, each small segment would push the edge on, buffer or no buffer. What was granted
        // before is still taken (RFC 7323 2.4).
        window = Math.Min(Math.Max(window, Math.Max(0, oldRight - tcb.RcvNxt)), 65535 << shift);
        tcb.RcvWup = tcb.RcvNxt;
        tcb.RcvWnd = (uint)window;
        return (ushort)(window >> shift);
    }

    private int AdvertisedMss(in TransmissionControlBlock tcb) => AdvertisedMss(tcb.PathMtu, tcb.Settings);

    private int AdvertisedMss(int pathMtu, in SocketSettings settings)
    {
        int mss = pathMtu - NetworkHeaderLength - TcpHeader.MinimumLength;
        mss = Math.Min(mss, _frames.FrameSize - Limits.TransmitHeadroom);
        return settings.MaximumSegmentSize > 0 ? Math.Min(mss, settings.MaximumSegmentSize) : mss;
    }

    /// <summary>Sets SendMss from the path, the peer's option and ours (RFC 9293 3.7.1, MUST-16).</summary>
    private void UpdateSendMss(ref TransmissionControlBlock tcb)
    {
        int mss = Math.Min(tcb.PeerMss == 0 ? Limits.DefaultMss : tcb.PeerMss, AdvertisedMss(tcb));
        if (tcb.Has(TcbFlags.Timestamps))
        {
            mss -= TimestampOptionLength;
        }

        tcb.SendMss = Math.Max(mss, Limits.MinimumMss - TimestampOptionLength);
    }

    /// <summary>Finds interface and next hop, anew when routes or neighbours have changed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool ResolvePath(ref TransmissionControlBlock tcb) =>
        tcb.PathGeneration == _epoch.Value || ResolvePathAnew(ref tcb);

    private bool ResolvePathAnew(ref TransmissionControlBlock tcb)
    {
        PathStatus status = FindPath(ref tcb);
        if (status == PathStatus.Resolved)
        {
            return true;
        }

        _counters.Drop(status == PathStatus.NoRoute ? DropReason.NoRoute : DropReason.NeighborUnresolved);
        return false;
    }

    private PathStatus FindPath(ref TransmissionControlBlock tcb)
    {
        // An address that the host has lost may be another's by now (Linux: no route from a source that is not local).
        PathResult path = _stack.Interfaces.IsLocal(tcb.Local)
            ? _stack.ResolvePath(tcb.Remote, tcb.InterfaceId, _now)
            : new PathResult(PathStatus.NoRoute, tcb.InterfaceId, default);
        if (path.Status == PathStatus.Resolved)
        {
            tcb.InterfaceId = path.InterfaceId;
            tcb.NextHopMac = path.NextHopMac;
            tcb.PathGeneration = _epoch.Value;
            tcb.Flags &= ~TcbFlags.PathPending;
        }
        else
        {
            tcb.Flags |= TcbFlags.PathPending;
            _pathsPending = true;
        }

        return path.Status;
    }

    /// <summary>RFC 9293 3.10.7.1: the reset for a segment that belongs to no connection. Never in answer to a reset.</summary>
    private void SendResetFor(in TcpSegment segment)
    {
        if (segment.Is(TcpFlags.Rst) || !TakeFromBudget(ref _resetBudget, ref _resetSecond, Limits.ResetsPerSecond)
            || !TryRentControl(segment.InterfaceId, out int frame))
        {
            return;
        }

        TcpHeader header = default;
        header.SourcePort = segment.DestinationPort;
        header.DestinationPort = segment.SourcePort;
        if (segment.Is(TcpFlags.Ack))
        {
            header.Sequence = segment.Acknowledgment;
            header.Flags = TcpFlags.Rst;
        }
        else
        {
            header.Acknowledgment = segment.End;
            header.Flags = TcpFlags.Rst | TcpFlags.Ack;
        }

        _counters.Add(Counter.TcpOutRsts);
        SendStateless(segment, frame, header, SocketSettings.Default.Ttl, 0);
    }

    /// <summary>
    /// Answers a segment back the way it came: there is no connection whose path could be looked up, and the sender is real
    /// or nobody.
    /// </summary>
    private void SendStateless(in TcpSegment segment, int frame, in TcpHeader header, byte ttl, byte typeOfService)
    {
        Span<byte> span = _frames.GetSpan(frame);
        int length = header.HeaderLength;
        int start = Limits.TransmitHeadroom - length - NetworkHeaderLength - LinkHeaderLength;
        Span<byte> tcp = span.Slice(Limits.TransmitHeadroom - length, length);
        header.Write(tcp);
        TcpHeader.WriteChecksum(tcp, segment.Destination, segment.Source);
        Ipv4Header.Write(
            span.Slice(start + LinkHeaderLength, NetworkHeaderLength),
            segment.Destination, segment.Source, IpProtocol.Tcp, length, 0, ttl, typeOfService, dontFragment: true);
        _stack.WriteLinkHeader(span[start..], segment.InterfaceId, segment.SourceMac, EtherType.Ipv4);
        _counters.Add(Counter.TcpOutSegs);
        _stack.Enqueue(segment.InterfaceId, frame, start, Limits.TransmitHeadroom - start);
    }

    /// <summary>RFC 5961 7: challenge ACKs are limited, over all connections, so that they tell an attacker little.</summary>
    private void SendChallengeAck(int id, ref TransmissionControlBlock tcb)
    {
        if (!TakeFromBudget(ref _challengeBudget, ref _challengeSecond, Limits.ChallengeAcksPerSecond))
        {
            _counters.Add(Counter.TcpChallengeAcksSuppressed);
            return;
        }

        _counters.Add(Counter.TcpChallengeAcks);
        SendAck(id, ref tcb);
    }

    private bool TakeFromBudget(ref int budget, ref long second, int perSecond)
    {
        long present = _now.Nanoseconds / 1_000_000_000;
        if (present != second)
        {
            second = present;
            budget = perSecond;
        }

        return budget-- > 0;
    }
}
