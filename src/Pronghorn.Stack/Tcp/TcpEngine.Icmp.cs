// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>What an ICMP error means to a connection, RFC 9293 3.9.2.2.</summary>
internal enum IcmpMeaning : byte
{
    HostUnreachable,
    NetworkUnreachable,
    ProtocolUnreachable,
    PortUnreachable,
    FragmentationNeeded,
    TimeExceeded,
}

/// <content>ICMP errors, path MTU, senders that waited for frames.</content>
public sealed partial class TcpEngine
{
    // Each look is a walk over all connections.
    private static readonly Duration s_starvedInterval = Duration.FromMilliseconds(2);

    private bool _starved;
    private Instant _starvedLookAt;

    /// <summary>An ICMP error quotes a segment that we sent.</summary>
    /// <param name="local">Source of the quoted packet.</param>
    /// <param name="remote">Destination of the quoted packet.</param>
    /// <param name="localPort">Its source port.</param>
    /// <param name="remotePort">Its destination port.</param>
    /// <param name="sequence">Its sequence number; it must lie between SND.UNA and SND.NXT (RFC 5927 4.1).</param>
    /// <param name="meaning">What the error says.</param>
    /// <param name="mtu">Next-hop MTU, for <see cref="IcmpMeaning.FragmentationNeeded"/>.</param>
    internal void IcmpErrorArrives(
        in IpAddress local,
        in IpAddress remote,
        ushort localPort,
        ushort remotePort,
        SeqNumber sequence,
        IcmpMeaning meaning,
        int mtu)
    {
        uint hash = HashOf(local, localPort, remote, remotePort);
        int id = _flows.Find(local, localPort, remote, remotePort, hash);
        if (id == 0 || sequence < _connections[id].SndUna || sequence > _connections[id].SndNxt)
        {
            _counters.Drop(DropReason.IcmpNoConnection);
            return;
        }

        ref TransmissionControlBlock tcb = ref _connections[id];
        if (meaning == IcmpMeaning.FragmentationNeeded)
        {
            LowerPathMtu(id, ref tcb, mtu);
            return;
        }

        TcpError error = meaning switch
        {
            IcmpMeaning.PortUnreachable => TcpError.ConnectionRefused,
            IcmpMeaning.ProtocolUnreachable => TcpError.ProtocolError,
            IcmpMeaning.NetworkUnreachable => TcpError.NetworkUnreachable,
            _ => TcpError.HostUnreachable,
        };
        if (tcb.State is TcpState.SynSent or TcpState.SynReceived)
        {
            // Linux gives up an opening connection at once; RFC 1122 4.2.3.9 allows it.
            FailOpening(id, ref tcb, error);
        }
        else
        {
            // RFC 9293 MUST-56 for soft errors; Linux and RFC 5927 5.2 treat hard ones the same in open connections.
            tcb.SoftError = error;
        }
    }

    /// <summary>RFC 1191 6: smaller segments from now on, and at once again what was too large.</summary>
    private void LowerPathMtu(int id, ref TransmissionControlBlock tcb, int mtu)
    {
        // A router of before RFC 1191 names none.
        mtu = Math.Max(mtu == 0 ? 576 : mtu, Limits.MinimumPathMtu);
        if (mtu >= tcb.PathMtu)
        {
            return;
        }

        _stack.LearnPathMtu(tcb.Remote, mtu, _now);
        UseLowerPathMtu(id, ref tcb, mtu);
    }

    private void UseLowerPathMtu(int id, ref TransmissionControlBlock tcb, int mtu)
    {
        _counters.Add(Counter.PathMtuReductions);
        tcb.PathMtu = mtu;
        tcb.Flags |= TcbFlags.PathMtuLowered;
        UpdateSendMss(ref tcb);
        if (tcb.State is TcpState.SynSent or TcpState.SynReceived)
        {
            return;
        }

        for (int frame = tcb.SendHead; frame != tcb.SendNext && frame != NoFrame; frame = _info[frame].Next)
        {
            ref FrameInfo info = ref _info[frame];
            if (info.Length > tcb.SendMss && !info.Is(SegmentMarks.Sacked))
            {
                // Not congestion: lost for the scoreboard, but the window stays.
                MarkLost(ref tcb, ref info);
                SplitInFlight(ref tcb, frame);
            }
        }

        Output(id, ref tcb, OutputMode.Normal);
        RearmRetransmitTimer(id, ref tcb);
    }

    /// <summary>When <see cref="WakeStarved"/> wants to look again; never while nobody waits for frames.</summary>
    internal Instant StarvedDeadline => _starved ? _starvedLookAt : Instant.Never;

    /// <summary>
    /// Tells those who found no frame and now would find one. While frames are very short, what was received out of order
    /// is given up: its sender has it still (RFC 2018 8).
    /// </summary>
    internal void WakeStarved()
    {
        if (!_starved || _now < _starvedLookAt)
        {
            return;
        }

        _starvedLookAt = _now + s_starvedInterval;
        _starved = false;
        bool prune = _frames.FreeCount < _frames.FrameCount / 32;
        for (int id = 1; id < _connections.UpperBound; id++)
        {
            if (!_connections.IsRented(id))
            {
                continue;
            }

            ref TransmissionControlBlock tcb = ref _connections[id];
            if (prune && tcb.OutOfOrderFrames > 0)
            {
                _counters.Add(Counter.MemoryPressure);
                FreeOutOfOrderQueue(ref tcb);
                tcb.ReportBlockCount = 0;
            }

            if (!tcb.Has(TcbFlags.Starved))
            {
                continue;
            }

            if (MayTakeFrame(tcb) && _frames.FreeCount > SendReserve + (2 * Limits.ControlFrameReserve))
            {
                tcb.Flags &= ~TcbFlags.Starved;
                RaiseEvent(id, ref tcb, Readiness.Out);
            }
            else
            {
                _starved = true;
            }
        }
    }

    internal void Poll(Instant now)
    {
        SetTime(now);
        RunTimers(now);
        FlushAcks();
        WakeStarved();
    }
}
