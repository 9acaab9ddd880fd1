// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>What the user asks for: RFC 9293 3.10.1 (OPEN) to 3.10.5 (ABORT).</content>
public sealed partial class TcpEngine
{
    /// <summary>Active open, RFC 9293 3.10.1. <see cref="Readiness.Out"/> or <see cref="Readiness.Error"/> follows as an event.</summary>
    /// <param name="local">One of our addresses.</param>
    /// <param name="localPort">Port, 1 to 65535; its owner sees to it that nobody else uses it.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="remotePort">The peer's port.</param>
    /// <param name="tag">Comes back in events.</param>
    /// <param name="settings">Options.</param>
    /// <param name="now">The present.</param>
    /// <param name="error">Why not, when the result is 0.</param>
    /// <returns>The connection's number, 0 on failure.</returns>
    public int Connect(
        in IpAddress local,
        ushort localPort,
        in IpAddress remote,
        ushort remotePort,
        nint tag,
        in SocketSettings settings,
        Instant now,
        out TcpError error)
    {
        SetTime(now);
        uint hash = HashOf(local, localPort, remote, remotePort);
        int existing = _flows.Find(local, localPort, remote, remotePort, hash);
        SeqNumber? issFloor = null;
        if (existing != 0)
        {
            if (_connections[existing].State != TcpState.TimeWait || !_connections[existing].Has(TcbFlags.Orphan))
            {
                error = TcpError.AddressNotAvailable;
                return 0;
            }

            _counters.Add(Counter.TcpTimeWaitRecycled);
            issFloor = IssFloor(_connections[existing]);
            Finish(existing, ref _connections[existing], TcpError.None);
        }

        if (remote.IsAny || remote.IsMulticast || remote.IsBroadcast || !_stack.TryRoute(remote, out int interfaceId))
        {
            error = TcpError.NetworkUnreachable;
            return 0;
        }

        int id = Create(local, localPort, remote, remotePort, settings);
        if (id == 0)
        {
            error = TcpError.NoBuffers;
            return 0;
        }

        _counters.Add(Counter.TcpActiveOpens);
        ref TransmissionControlBlock tcb = ref _connections[id];
        tcb.Tag = tag;
        tcb.InterfaceId = interfaceId;
        tcb.PathMtu = _stack.PathMtuOf(remote, interfaceId, now);
        InitializeSending(ref tcb, NewIss(tcb, issFloor));
        tcb.State = TcpState.SynSent;
        tcb.LastSentAt = now;
        SendSyn(id, ref tcb);
        StartRetransmitTimer(id, ref tcb);
        error = TcpError.None;
        return id;
    }

    /// <summary>Queues bytes and sends what may be sent, RFC 9293 3.10.2.</summary>
    /// <returns>Bytes taken; 0 with an error when none.</returns>
    public int Send(int connection, ReadOnlySpan<byte> data, SendFlags flags, Instant now, out TcpError error)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        error = CheckSend(ref tcb);
        if (error != TcpError.None)
        {
            return 0;
        }

        int taken = QueueData(ref tcb, data);
        if (taken < data.Length)
        {
            tcb.Flags |= TcbFlags.WantsSpace;
        }

        if (taken == 0)
        {
            error = data.IsEmpty ? TcpError.None : TcpError.WouldBlock;
            return 0;
        }

        if ((flags & SendFlags.More) != 0)
        {
            tcb.Flags |= TcbFlags.More;
        }
        else
        {
            tcb.Flags &= ~TcbFlags.More;
            _info[tcb.SendTail].Marks |= SegmentMarks.Push;
        }

        // Linux's pingpong: data that answers data says that acknowledgments will find a ride.
        if (tcb.RcvNxt != tcb.LastAckSent)
        {
            tcb.Flags |= TcbFlags.Interactive;
        }

        if (tcb.State is TcpState.Established or TcpState.CloseWait)
        {
            Output(connection, ref tcb, OutputMode.Normal);
        }

        return taken;
    }

    /// <summary>Takes received bytes, RFC 9293 3.10.3.</summary>
    /// <returns>Bytes copied; 0 without an error is the end of the stream.</returns>
    public int Receive(
        int connection, Span<byte> destination, ReceiveFlags flags, Instant now, out TcpError error)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        error = TcpError.None;
        if (tcb.ReceiveQueueBytes > 0)
        {
            if ((flags & ReceiveFlags.Peek) != 0)
            {
                return CopyFromReceiveQueue(tcb, 0, destination);
            }

            int copied = TakeFromReceiveQueue(ref tcb, destination);
            AfterReading(connection, ref tcb, copied);
            return copied;
        }

        if (tcb.Error != TcpError.None)
        {
            error = tcb.Error;
            tcb.Error = TcpError.None;
            return 0;
        }

        if (tcb.Has(TcbFlags.FinReceived) || tcb.Has(TcbFlags.ReceiveShut) || tcb.State == TcpState.Closed)
        {
            return 0;
        }

        error = TcpError.WouldBlock;
        return 0;
    }

    /// <summary>Copies received bytes that lie <paramref name="skip"/> bytes ahead, leaving all in the queue.</summary>
    public int ReceivePeek(int connection, int skip, Span<byte> destination) =>
        CopyFromReceiveQueue(_connections[connection], skip, destination);

    /// <summary>Bytes that can be read at once.</summary>
    public int ReceivableBytes(int connection) => _connections[connection].ReceiveQueueBytes;

    /// <summary>Bytes that the peer has not acknowledged, sent or not (SIOCOUTQ).</summary>
    public int SendQueueBytes(int connection) => _connections[connection].SendQueueBytes;

    /// <summary>Bytes that were never sent (SIOCOUTQNSD).</summary>
    public int UnsentBytes(int connection) => _connections[connection].UnsentBytes;

    /// <summary>Bytes that would be taken now.</summary>
    public int SendSpace(int connection)
    {
        ref TransmissionControlBlock tcb = ref _connections[connection];
        return Math.Max(0, tcb.SendBuffer - SendBufferUsed(tcb));
    }

    /// <summary>Half-close: a FIN follows what is queued.</summary>
    public TcpError ShutdownSend(int connection, Instant now)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        switch (tcb.State)
        {
            case TcpState.Closed:
                return TcpError.NotConnected;
            case TcpState.SynSent:
                Finish(connection, ref tcb, TcpError.None);
                return TcpError.None;
            default:
                QueueFin(connection, ref tcb);
                return TcpError.None;
        }
    }

    /// <summary>The user wants to read no more; what comes is acknowledged and thrown away, as Linux does.</summary>
    public void ShutdownReceive(int connection, Instant now)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        tcb.Flags |= TcbFlags.ReceiveShut;
        RaiseEvent(connection, ref tcb, Readiness.In | Readiness.ReadHangUp);
    }

    /// <summary>
    /// The user lets go, RFC 9293 3.10.4: FIN follows what is queued, or RST when received data was never read. The number
    /// is no longer the user's.
    /// </summary>
    public void Close(int connection, Instant now)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        tcb.Flags |= TcbFlags.Orphan;
        RemoveEvent(connection, ref tcb);
        switch (tcb.State)
        {
            case TcpState.Closed:
                Destroy(connection, ref tcb);
                return;
            case TcpState.SynSent:
                Finish(connection, ref tcb, TcpError.None);
                return;
            default:
                break;
        }

        if (tcb.ReceiveQueueBytes > 0 && tcb.State != TcpState.TimeWait)
        {
            _counters.Add(Counter.TcpAbortOnClose);
            SendReset(connection, ref tcb);
            Finish(connection, ref tcb, TcpError.None);
            return;
        }

        if (tcb.State == TcpState.FinWait2)
        {
            SetLifeTimer(connection, ref tcb, now + Duration.FromSeconds(Math.Max(tcb.Settings.FinWait2Seconds, 0)));
        }

        QueueFin(connection, ref tcb);
    }

    /// <summary>RST now, RFC 9293 3.10.5 (SO_LINGER with no time). The number is no longer the user's.</summary>
    public void Abort(int connection, Instant now)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        tcb.Flags |= TcbFlags.Orphan;
        RemoveEvent(connection, ref tcb);
        if (tcb.State == TcpState.Closed)
        {
            Destroy(connection, ref tcb);
            return;
        }

        if (tcb.State is TcpState.SynReceived or TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2
            or TcpState.CloseWait)
        {
            SendReset(connection, ref tcb);
        }

        Finish(connection, ref tcb, TcpError.None);
    }

    /// <summary>SO_ERROR: the pending error, which is thereby no longer pending.</summary>
    public TcpError TakeError(int connection)
    {
        ref TransmissionControlBlock tcb = ref _connections[connection];
        TcpError error = tcb.Error;
        tcb.Error = TcpError.None;
        return error;
    }

    /// <summary>The state of a connection.</summary>
    public TcpState GetState(int connection) => _connections[connection].State;

    /// <summary>Changes what comes back in events.</summary>
    public void SetTag(int connection, nint tag) => _connections[connection].Tag = tag;

    /// <summary>The settings in force.</summary>
    public void GetSettings(int connection, out SocketSettings settings) =>
        settings = _connections[connection].Settings;

    /// <summary>Changes settings of a connection; a change lets go what the old ones held back.</summary>
    public void ApplySettings(int connection, in SocketSettings settings, Instant now)
    {
        SetTime(now);
        ref TransmissionControlBlock tcb = ref _connections[connection];
        bool keepAliveOn = settings.KeepAlive && !tcb.Settings.KeepAlive;
        bool keepAliveTimes = settings.KeepAliveIdleSeconds != tcb.Settings.KeepAliveIdleSeconds;
        bool release = (tcb.Settings.Cork && !settings.Cork) || (settings.NoDelay && !tcb.Settings.NoDelay);
        tcb.Settings = settings;
        if (settings.ReceiveBuffer > 0)
        {
            tcb.ReceiveBuffer = settings.ReceiveBuffer;
        }

        if (settings.SendBuffer > 0)
        {
            tcb.SendBuffer = settings.SendBuffer;
        }

        if (settings.Congestion != CongestionAlgorithm.Default && settings.Congestion != tcb.Congestion)
        {
            tcb.Congestion = settings.Congestion;
            tcb.Cubic = default;
            tcb.Cubic.EpochStart = Instant.Never;
        }

        if (keepAliveOn || (settings.KeepAlive && keepAliveTimes))
        {
            StartKeepAlive(connection, ref tcb);
        }

        if (release && tcb.SendNext != NoFrame && tcb.State is TcpState.Established or TcpState.CloseWait)
        {
            Output(connection, ref tcb, OutputMode.PushPartial);
        }
    }

    private static TcpError CheckSend(ref TransmissionControlBlock tcb)
    {
        if (tcb.Error != TcpError.None)
        {
            TcpError error = tcb.Error;
            tcb.Error = TcpError.None;
            return error;
        }

        return tcb.State switch
        {
            TcpState.SynSent or TcpState.SynReceived => TcpError.WouldBlock,
            TcpState.Established or TcpState.CloseWait when !tcb.Has(TcbFlags.FinQueued) => TcpError.None,
            _ => TcpError.BrokenPipe,
        };
    }

    /// <summary>Frames count too, so that many tiny segments cannot take the whole pool.</summary>
    private static int SendBufferUsed(in TransmissionControlBlock tcb) =>
        Math.Max(tcb.SendQueueBytes, tcb.SendQueueFrames * 256);

    /// <summary>Copies user data into frames, first into the room left in the last one when that was not sent yet.</summary>
    private int QueueData(ref TransmissionControlBlock tcb, ReadOnlySpan<byte> data)
    {
        int room = tcb.SendBuffer - SendBufferUsed(tcb);
        if (room <= 0)
        {
            return 0;
        }

        int wanted = Math.Min(data.Length, room);
        int taken = 0;
        if (tcb.SendTail != NoFrame && tcb.SendNext != NoFrame)
        {
            ref FrameInfo tail = ref _info[tcb.SendTail];
            int space = Math.Min(tcb.SendMss, _frames.FrameSize - tail.Offset) - tail.Length;
            if (space > 0)
            {
                taken = Math.Min(space, wanted);
                data[..taken].CopyTo(_frames.GetSpan(tcb.SendTail)[(tail.Offset + tail.Length)..]);
                tail.Length += (ushort)taken;
            }
        }

        while (taken < wanted)
        {
            if (!MayTakeFrame(tcb) || !_frames.TryRent(out int frame))
            {
                tcb.Flags |= TcbFlags.Starved;
                _starved = true;
                break;
            }

            int count = Math.Min(tcb.SendMss, wanted - taken);
            data.Slice(taken, count).CopyTo(_frames.GetSpan(frame)[Limits.TransmitHeadroom..]);
            ref FrameInfo info = ref _info[frame];
            info.Sequence = tcb.WriteSeq + taken;
            info.Offset = Limits.TransmitHeadroom;
            info.Length = (ushort)count;
            info.Marks = SegmentMarks.None;
            AppendSend(ref tcb, frame);
            taken += count;
        }

        tcb.WriteSeq += taken;
        tcb.SendQueueBytes += taken;
        return taken;
    }

    /// <summary>
    /// Frames that data to send may not take. Were all of them waiting to be acknowledged, none would be left to receive
    /// the acknowledgments into.
    /// </summary>
    private int SendReserve => Math.Max(Limits.ControlFrameReserve, _frames.FrameCount / Limits.ReceiveFrameShare);

    /// <summary>
    /// Peers that do not read may not take the frames of those that do: when frames are short, a connection that already
    /// holds some gets no more.
    /// </summary>
    private bool MayTakeFrame(in TransmissionControlBlock tcb)
    {
        int free = _frames.FreeCount;
        return free > SendReserve
            && (free >= _frames.FrameCount / Limits.FairSendShare || tcb.SendQueueFrames < Limits.FairSendFrames);
    }

    /// <summary>Ends the send queue with FIN, on its last segment when that was not sent yet.</summary>
    private void QueueFin(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.Has(TcbFlags.FinQueued))
        {
            return;
        }

        if (tcb.SendNext != NoFrame)
        {
            _info[tcb.SendTail].Marks |= SegmentMarks.Fin | SegmentMarks.Push;
        }
        else if (_frames.TryRent(out int frame))
        {
            ref FrameInfo info = ref _info[frame];
            info.Sequence = tcb.WriteSeq;
            info.Offset = Limits.TransmitHeadroom;
            info.Length = 0;
            info.Marks = SegmentMarks.Fin;
            AppendSend(ref tcb, frame);
        }
        else
        {
            // No frame even for this: the peer learns by a reset that the connection is over.
            _counters.Drop(DropReason.NoFrame);
            SendReset(id, ref tcb);
            Finish(id, ref tcb, TcpError.NoBuffers);
            return;
        }

        tcb.WriteSeq += 1;
        tcb.Flags |= TcbFlags.FinQueued;
        tcb.Flags &= ~TcbFlags.More;
        switch (tcb.State)
        {
            case TcpState.Established:
                tcb.State = TcpState.FinWait1;
                break;
            case TcpState.CloseWait:
                tcb.State = TcpState.LastAck;
                break;
            default:
                // SYN_RECEIVED: the FIN follows the acknowledgment of our SYN.
                return;
        }

        Output(id, ref tcb, OutputMode.Normal);
    }

    /// <summary>After the user took bytes: tells the peer of the room when it is worth telling, and tunes the buffer.</summary>
    private void AfterReading(int id, ref TransmissionControlBlock tcb, int copied)
    {
        TuneReceiveBuffer(ref tcb, copied);
        if (tcb.State is not (TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2))
        {
            return;
        }

        // Linux, tcp_cleanup_rbuf: an update when the window would be at least twice what the peer knows of.
        int known = tcb.ReceiveRight - tcb.RcvNxt;
        int free = Math.Min(tcb.ReceiveBuffer - tcb.ReceiveQueueBytes, 65535 << tcb.RcvWindShift);
        if (known <= tcb.ReceiveBuffer / 2 && free >= 2 * known && free - known >= Math.Min(tcb.ReceiveMss, tcb.ReceiveBuffer / 2))
        {
            SendAck(id, ref tcb);
        }
    }

    /// <summary>Dynamic right-sizing: when the user empties more than half a buffer in a round trip, the buffer doubles.</summary>
    private void TuneReceiveBuffer(ref TransmissionControlBlock tcb, int copied)
    {
        if (tcb.Settings.ReceiveBuffer > 0 || tcb.ReceiveBuffer >= Limits.MaximumReceiveBuffer)
        {
            return;
        }

        tcb.ReceiveTuneBytes += copied;
        Duration round = Duration.Max(tcb.SmoothedRtt, Duration.FromMicroseconds(100));
        if (_now - tcb.ReceiveTuneAt < round)
        {
            return;
        }

        bool roomy = _frames.FreeCount > _frames.FrameCount / 4;
        if (tcb.ReceiveTuneBytes > tcb.ReceiveBuffer / 2 && roomy)
        {
            tcb.ReceiveBuffer = Math.Min(tcb.ReceiveBuffer * 2, Limits.MaximumReceiveBuffer);
        }

        tcb.ReceiveTuneBytes = 0;
        tcb.ReceiveTuneAt = _now;
    }
}
