// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <summary>struct tcp_info of linux/tcp.h, up to tcpi_reord_seen (Linux 4.19).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TcpInformation
{
    public byte State;
    public byte CaState;
    public byte Retransmits;
    public byte Probes;
    public byte Backoff;
    public byte Options;
    public byte WindowScales;
    public byte Bits;
    public uint Rto;
    public uint Ato;
    public uint SendMss;
    public uint ReceiveMss;
    public uint Unacked;
    public uint Sacked;
    public uint Lost;
    public uint Retrans;
    public uint Fackets;
    public uint LastDataSent;
    public uint LastAckSent;
    public uint LastDataReceived;
    public uint LastAckReceived;
    public uint PathMtu;
    public uint ReceiveSsThresh;
    public uint Rtt;
    public uint RttVariation;
    public uint SendSsThresh;
    public uint SendCwnd;
    public uint AdvertisedMss;
    public uint Reordering;
    public uint ReceiveRtt;
    public uint ReceiveSpace;
    public uint TotalRetrans;
    public ulong PacingRate;
    public ulong MaximumPacingRate;
    public ulong BytesAcked;
    public ulong BytesReceived;
    public uint SegmentsOut;
    public uint SegmentsIn;
    public uint NotSentBytes;
    public uint MinimumRtt;
    public uint DataSegmentsIn;
    public uint DataSegmentsOut;
    public ulong DeliveryRate;
    public ulong BusyTime;
    public ulong ReceiveWindowLimited;
    public ulong SendBufferLimited;
    public uint Delivered;
    public uint DeliveredCe;
    public ulong BytesSent;
    public ulong BytesRetransmitted;
    public uint DsackDuplicates;
    public uint ReorderingSeen;
}

/// <content>TCP_INFO.</content>
public sealed partial class SocketLayer
{
    private const byte OptionTimestamps = 1;
    private const byte OptionSack = 2;
    private const byte OptionWindowScale = 4;

    private int FillInformation(in SocketRecord socket, Span<byte> value)
    {
        TcpInformation information = default;
        if (socket.Kind == SocketKind.Connection)
        {
            Fill(ref information, _tcp.Get(socket.Id));
        }
        else if (socket.Kind == SocketKind.Listener)
        {
            information.State = 10; // TCP_LISTEN
            information.Unacked = (uint)_tcp.AcceptQueueLength(socket.Id);
            information.Sacked = (uint)_tcp.GetListener(socket.Id).Backlog;
        }
        else
        {
            information.State = 7; // TCP_CLOSE
        }

        return Give(MemoryMarshal.AsBytes(new ReadOnlySpan<TcpInformation>(in information)), value);
    }

    private void Fill(ref TcpInformation information, in TransmissionControlBlock tcb)
    {
        uint mss = (uint)Math.Max(tcb.SendMss, 1);
        information.State = KernelState(tcb.State);
        information.CaState = (byte)tcb.Recovery;
        information.Retransmits = (byte)Math.Min(tcb.Backoff, byte.MaxValue);
        information.Backoff = (byte)Math.Min(tcb.Backoff, byte.MaxValue);
        information.Probes = (byte)Math.Min(tcb.KeepAliveProbesSent, byte.MaxValue);
        information.Options = (byte)((tcb.Has(TcbFlags.Timestamps) ? OptionTimestamps : 0)
            | (tcb.Has(TcbFlags.Sack) ? OptionSack : 0) | (tcb.Has(TcbFlags.WindowScale) ? OptionWindowScale : 0));
        information.WindowScales = (byte)(tcb.SndWindShift | (tcb.RcvWindShift << 4));
        information.Rto = Microseconds(tcb.RetransmissionTimeout * (1L << Math.Min(tcb.Backoff, 16)));
        information.Ato = Microseconds(Limits.DelayedAck);
        information.SendMss = mss;
        information.ReceiveMss = (uint)tcb.ReceiveMss;
        information.Unacked = ((uint)Math.Max(tcb.FlightSize, 0) + mss - 1) / mss;
        information.Sacked = (uint)tcb.SackedBytes / mss;
        information.Lost = (uint)tcb.LostBytes / mss;
        information.Retrans = (uint)tcb.RetransBytes / mss;
        information.LastDataSent = Milliseconds(tcb.LastSentAt);
        information.LastDataReceived = Milliseconds(tcb.LastReceivedAt);
        information.LastAckReceived = Milliseconds(tcb.LastReceivedAt);
        information.PathMtu = (uint)tcb.PathMtu;
        information.Rtt = Microseconds(tcb.SmoothedRtt);
        information.RttVariation = Microseconds(tcb.RttVariation);

        // In segments, but for the mark that there is none yet, as in tcp_get_info.
        information.SendSsThresh = tcb.SsThresh == TransmissionControlBlock.InfiniteSsThresh
            ? TransmissionControlBlock.InfiniteSsThresh
            : (uint)tcb.SsThresh / mss;
        information.SendCwnd = (uint)tcb.Cwnd / mss;
        information.AdvertisedMss = (uint)Math.Max(tcb.PathMtu - 40, 0);
        information.Reordering = (uint)tcb.Reordering;
        information.ReceiveSpace = (uint)tcb.ReceiveBuffer;
        information.TotalRetrans = (uint)tcb.TotalRetransmissions;
        information.PacingRate = ulong.MaxValue;
        information.MaximumPacingRate = ulong.MaxValue;
        information.BytesAcked = (ulong)tcb.BytesAcked;
        information.BytesReceived = (ulong)tcb.BytesReceived;
        information.SegmentsOut = (uint)tcb.SegmentsOut;
        information.SegmentsIn = (uint)tcb.SegmentsIn;
        information.NotSentBytes = (uint)Math.Max(tcb.UnsentBytes, 0);
        information.MinimumRtt = Microseconds(tcb.MinimumRtt);
        information.BytesSent = (ulong)tcb.BytesSent;
        information.ReorderingSeen = tcb.Has(TcbFlags.ReorderingSeen) ? 1u : 0u;
    }

    // enum of net/tcp_states.h
    private static byte KernelState(TcpState state) => state switch
    {
        TcpState.Established => 1,
        TcpState.SynSent => 2,
        TcpState.SynReceived => 3,
        TcpState.FinWait1 => 4,
        TcpState.FinWait2 => 5,
        TcpState.TimeWait => 6,
        TcpState.CloseWait => 8,
        TcpState.LastAck => 9,
        TcpState.Listen => 10,
        TcpState.Closing => 11,
        _ => 7,
    };

    private static uint Microseconds(Duration duration) =>
        (uint)Math.Clamp(duration.Microseconds, 0, uint.MaxValue);

    private uint Milliseconds(Instant since) =>
        since.IsSet ? (uint)Math.Clamp((_now - since).Milliseconds, 0, uint.MaxValue) : 0;
}
