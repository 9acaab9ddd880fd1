// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>Facts about a connection that are either so or not.</summary>
[Flags]
public enum TcbFlags : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Both sides send timestamps.</summary>
    Timestamps = 1 << 0,

    /// <summary>Both sides may send SACK blocks.</summary>
    Sack = 1 << 1,

    /// <summary>Both sides scale windows.</summary>
    WindowScale = 1 << 2,

    /// <summary>The user has let go.</summary>
    Orphan = 1 << 3,

    /// <summary>A FIN stands at the end of the send queue, or is sent.</summary>
    FinQueued = 1 << 4,

    /// <summary>The peer's FIN is received in order.</summary>
    FinReceived = 1 << 5,

    /// <summary>The user shut the receiving direction.</summary>
    ReceiveShut = 1 << 6,

    /// <summary>An acknowledgment is owed at the end of this batch.</summary>
    AckNow = 1 << 7,

    /// <summary>On the list of connections that owe an acknowledgment.</summary>
    OnAckList = 1 << 8,

    /// <summary>Data flows both ways in turns: acknowledgments ride on answers (Linux: pingpong).</summary>
    Interactive = 1 << 9,

    /// <summary>On the list of events.</summary>
    OnEventList = 1 << 10,

    /// <summary>The user was told that there is no room and waits for it.</summary>
    WantsSpace = 1 << 11,

    /// <summary>The last sender held a partial segment back for more (MSG_MORE).</summary>
    More = 1 << 12,

    /// <summary>The congestion window held data back since the last acknowledgment.</summary>
    CongestionLimited = 1 << 13,

    /// <summary>The next hop's address is not known yet.</summary>
    PathPending = 1 << 14,

    /// <summary>Accepted from a listener, or waiting there.</summary>
    Passive = 1 << 15,

    /// <summary>On its listener's accept queue.</summary>
    InAcceptQueue = 1 << 16,

    /// <summary>Made from SYN_SENT by a crossing SYN.</summary>
    SimultaneousOpen = 1 << 17,

    /// <summary>A duplicate range waits to be reported (RFC 2883).</summary>
    DsackPending = 1 << 18,

    /// <summary>The retransmission timer runs as a zero-window probe timer.</summary>
    Persist = 1 << 19,

    /// <summary>An ICMP message lowered the path MTU.</summary>
    PathMtuLowered = 1 << 20,

    /// <summary>The retransmission timer runs as a tail loss probe timer (RFC 8985 7).</summary>
    LossProbe = 1 << 21,

    /// <summary>The path has been seen to reorder.</summary>
    ReorderingSeen = 1 << 22,

    /// <summary>The send queue was stopped for lack of frames.</summary>
    Starved = 1 << 23,

    /// <summary>A tail loss probe that was a retransmission has no answer yet (RFC 8985: TLP.is_retrans).</summary>
    LossProbeSent = 1 << 24,
}

/// <summary>
/// All that is known of a connection, in one unmanaged record (RFC 9293 3.3.1: the TCB). Listing, tests and export read
/// this; only <see cref="TcpEngine"/> writes it. Frame numbers are -1 where there is none; ids are 0 where there is none.
/// </summary>
public struct TransmissionControlBlock
{
    /// <summary><see cref="SsThresh"/> while nothing has limited slow start (Linux: TCP_INFINITE_SSTHRESH, the same number).</summary>
    public const int InfiniteSsThresh = 0x7fffffff;

    /// <summary>Our address.</summary>
    public IpAddress Local;

    /// <summary>The peer's address.</summary>
    public IpAddress Remote;

    /// <summary>Our port.</summary>
    public ushort LocalPort;

    /// <summary>The peer's port.</summary>
    public ushort RemotePort;

    /// <summary>State.</summary>
    public TcpState State;

    /// <summary>The pending error (SO_ERROR).</summary>
    public TcpError Error;

    /// <summary>An error that does not end the connection but explains a later time-out.</summary>
    public TcpError SoftError;

    /// <summary>Facts.</summary>
    public TcbFlags Flags;

    /// <summary>What the user attached.</summary>
    public nint Tag;

    /// <summary>SND.UNA: oldest unacknowledged sequence number.</summary>
    public SeqNumber SndUna;

    /// <summary>SND.NXT: next sequence number to send. It never goes back; what is lost is marked in the queue instead.</summary>
    public SeqNumber SndNxt;

    /// <summary>One past the last byte that the user has queued, FIN included.</summary>
    public SeqNumber WriteSeq;

    /// <summary>End of the last segment sent that was shorter than the MSS (Minshall's snd_sml).</summary>
    public SeqNumber SmallEnd;

    /// <summary>SND.WL1: sequence number of the segment that last updated the window.</summary>
    public SeqNumber SndWl1;

    /// <summary>SND.WL2: acknowledgment of the segment that last updated the window.</summary>
    public SeqNumber SndWl2;

    /// <summary>ISS.</summary>
    public SeqNumber Iss;

    /// <summary>SND.WND in bytes.</summary>
    public uint SndWnd;

    /// <summary>Largest window that the peer ever offered, bytes.</summary>
    public uint MaxSndWnd;

    /// <summary>RCV.NXT.</summary>
    public SeqNumber RcvNxt;

    /// <summary>RCV.NXT when the window was last told to the peer.</summary>
    public SeqNumber RcvWup;

    /// <summary>IRS.</summary>
    public SeqNumber Irs;

    /// <summary>Window last told to the peer, from <see cref="RcvWup"/>, bytes.</summary>
    public uint RcvWnd;

    /// <summary>Snd.Wind.Shift (RFC 7323).</summary>
    public byte SndWindShift;

    /// <summary>Rcv.Wind.Shift (RFC 7323).</summary>
    public byte RcvWindShift;

    /// <summary>Largest payload of a segment that we send, options already taken off, bytes.</summary>
    public int SendMss;

    /// <summary>The peer's MSS option, bytes.</summary>
    public int PeerMss;

    /// <summary>Largest payload lately received: the peer's segment size as we see it (Linux: rcv_mss), bytes.</summary>
    public int ReceiveMss;

    /// <summary>Path MTU, bytes.</summary>
    public int PathMtu;

    /// <summary>TS.Recent (RFC 7323).</summary>
    public uint TsRecent;

    /// <summary>When <see cref="TsRecent"/> was set.</summary>
    public Instant TsRecentAt;

    /// <summary>Added to the millisecond clock to give our TSval.</summary>
    public uint TsOffset;

    /// <summary>Last.ACK.sent (RFC 7323 4.3).</summary>
    public SeqNumber LastAckSent;

    /// <summary>First frame of the send queue.</summary>
    public int SendHead;

    /// <summary>Last frame of the send queue.</summary>
    public int SendTail;

    /// <summary>First frame of the send queue that was never sent.</summary>
    public int SendNext;

    /// <summary>Payload bytes in the send queue, sent or not.</summary>
    public int SendQueueBytes;

    /// <summary>Frames in the send queue.</summary>
    public int SendQueueFrames;

    /// <summary>First frame of the receive queue.</summary>
    public int ReceiveHead;

    /// <summary>Last frame of the receive queue.</summary>
    public int ReceiveTail;

    /// <summary>Bytes that the user can read.</summary>
    public int ReceiveQueueBytes;

    /// <summary>First frame of the out-of-order queue, lowest sequence number first.</summary>
    public int OutOfOrderHead;

    /// <summary>Frames in the out-of-order queue.</summary>
    public int OutOfOrderFrames;

    /// <summary>Payload bytes in the out-of-order queue.</summary>
    public int OutOfOrderBytes;

    /// <summary>SACK blocks to report, latest first (RFC 2018 4).</summary>
    public SackBlocks ReportBlocks;

    /// <summary>How many of <see cref="ReportBlocks"/> are in use.</summary>
    public byte ReportBlockCount;

    /// <summary>The duplicate range to report first (RFC 2883).</summary>
    public SackBlock Dsack;

    /// <summary>Bytes that the receive buffer may hold.</summary>
    public int ReceiveBuffer;

    /// <summary>Bytes that the send buffer may hold.</summary>
    public int SendBuffer;

    /// <summary>Bytes that the user took since <see cref="ReceiveTuneAt"/>.</summary>
    public int ReceiveTuneBytes;

    /// <summary>Start of the present measurement of the user's appetite.</summary>
    public Instant ReceiveTuneAt;

    /// <summary>Congestion window, bytes.</summary>
    public int Cwnd;

    /// <summary>Slow start threshold, bytes; <see cref="InfiniteSsThresh"/> before the first loss.</summary>
    public int SsThresh;

    /// <summary>Bytes acknowledged and not yet turned into window by congestion avoidance.</summary>
    public int CwndCredit;

    /// <summary>State of CUBIC.</summary>
    public CubicState Cubic;

    /// <summary>State of the first slow start.</summary>
    public HyStartState HyStart;

    /// <summary>Congestion control in use.</summary>
    public CongestionAlgorithm Congestion;

    /// <summary>Where loss recovery stands.</summary>
    public RecoveryState Recovery;

    /// <summary>SND.NXT when recovery began (RFC 6675: RecoveryPoint).</summary>
    public SeqNumber RecoveryPoint;

    /// <summary>Duplicate acknowledgments in a row.</summary>
    public int DuplicateAcks;

    /// <summary>Bytes of the send queue that the peer has by SACK; without SACK, one MSS a duplicate acknowledgment.</summary>
    public int SackedBytes;

    /// <summary>Bytes of the send queue deemed lost.</summary>
    public int LostBytes;

    /// <summary>Bytes retransmitted and not yet acknowledged.</summary>
    public int RetransBytes;

    /// <summary>Highest sequence number that a SACK block has covered (RFC 6675: HighData is SND.NXT).</summary>
    public SeqNumber HighSacked;

    /// <summary>Duplicate threshold in segments, raised on a path that reorders (Linux: tp->reordering).</summary>
    public int Reordering;

    /// <summary>Send time of the latest-sent segment known to be delivered (RFC 8985: RACK.xmit_ts).</summary>
    public Instant RackSentAt;

    /// <summary>End of that segment (RFC 8985: RACK.end_seq).</summary>
    public SeqNumber RackEnd;

    /// <summary>Round-trip time of that segment (RFC 8985: RACK.rtt).</summary>
    public Duration RackRtt;

    /// <summary>RFC 8985: RACK.reo_wnd_mult, 1 to 255.</summary>
    public int RackWindowMultiplier;

    /// <summary>RFC 8985: RACK.reo_wnd_persist: recoveries that a raised multiplier still lasts, 0 to 16.</summary>
    public byte RackWindowPersist;

    /// <summary>SND.NXT when the multiplier was last raised.</summary>
    public SeqNumber RackDsackRound;

    /// <summary>SND.NXT when the last tail loss probe was sent (RFC 8985: TLP.end_seq).</summary>
    public SeqNumber LossProbeEnd;

    /// <summary>Bytes delivered in this recovery (RFC 6937: prr_delivered).</summary>
    public int PrrDelivered;

    /// <summary>Bytes sent in this recovery (RFC 6937: prr_out).</summary>
    public int PrrOut;

    /// <summary>Flight size at the start of recovery (RFC 6937: RecoverFS).</summary>
    public int RecoverFlight;

    /// <summary>Congestion window before the last reduction, to undo it.</summary>
    public int PriorCwnd;

    /// <summary>Slow start threshold before the last reduction, to undo it.</summary>
    public int PriorSsThresh;

    /// <summary>State of CUBIC before the last reduction, to undo it (RFC 9438 4.9).</summary>
    public CubicState PriorCubic;

    /// <summary>SND.UNA when the last reduction was made; only later acknowledgments can undo it.</summary>
    public SeqNumber UndoMarker;

    /// <summary>Retransmissions in this recovery that no DSACK has called needless; -1 when there is nothing to undo.</summary>
    public int UndoRetransmissions;

    /// <summary>Our TSval of the first retransmission in this recovery (RFC 3522), 0 when none.</summary>
    public uint RetransmitStamp;

    /// <summary>SRTT (RFC 6298); zero before the first measurement.</summary>
    public Duration SmoothedRtt;

    /// <summary>RTTVAR (RFC 6298).</summary>
    public Duration RttVariation;

    /// <summary>Least round-trip time seen.</summary>
    public Duration MinimumRtt;

    /// <summary>RTO without back-off.</summary>
    public Duration RetransmissionTimeout;

    /// <summary>Time-outs in a row without progress.</summary>
    public int Backoff;

    /// <summary>When the oldest data now unanswered was first sent again, or probing began.</summary>
    public Instant StalledSince;

    /// <summary>Retransmission, persist or loss probe timer.</summary>
    public Instant RetransmitAt;

    /// <summary>RACK's reordering timer (RFC 8985 6.3).</summary>
    public Instant ReorderAt;

    /// <summary>Delayed acknowledgment timer.</summary>
    public Instant DelayedAckAt;

    /// <summary>Keep-alive timer, or the end of FIN_WAIT_2 or TIME_WAIT.</summary>
    public Instant LifeAt;

    /// <summary>When a cork or MSG_MORE lets go.</summary>
    public Instant CorkAt;

    /// <summary>When the last segment came.</summary>
    public Instant LastReceivedAt;

    /// <summary>When data last came in order.</summary>
    public Instant LastDataAt;

    /// <summary>When data last came out of order or twice.</summary>
    public Instant LastDisorderAt;

    /// <summary>When data last was sent.</summary>
    public Instant LastSentAt;

    /// <summary>When an out-of-window segment was last answered.</summary>
    public Instant LastInvalidAckAt;

    /// <summary>When the connection was made.</summary>
    public Instant CreatedAt;

    /// <summary>Unanswered keep-alive probes.</summary>
    public int KeepAliveProbesSent;

    /// <summary>Immediate acknowledgments left (Linux: quick).</summary>
    public byte QuickAcksLeft;

    /// <summary>Listener that it came from while it is not accepted, 0 otherwise.</summary>
    public int Listener;

    /// <summary>User's settings.</summary>
    public SocketSettings Settings;

    /// <summary>Device to send by.</summary>
    public int InterfaceId;

    /// <summary>Next hop's link address.</summary>
    public MacAddress NextHopMac;

    /// <summary>Generation of tables for which <see cref="NextHopMac"/> is good.</summary>
    public int PathGeneration;

    /// <summary>Next identification of IPv4.</summary>
    public ushort Identification;

    /// <summary>Segments received.</summary>
    public long SegmentsIn;

    /// <summary>Segments sent.</summary>
    public long SegmentsOut;

    /// <summary>Payload bytes received in order.</summary>
    public long BytesReceived;

    /// <summary>Payload bytes acknowledged by the peer.</summary>
    public long BytesAcked;

    /// <summary>Payload bytes sent, retransmissions included.</summary>
    public long BytesSent;

    /// <summary>Segments retransmitted.</summary>
    public long TotalRetransmissions;

    /// <summary>Segments received out of order.</summary>
    public long OutOfOrderSegments;

    internal uint Hash;
    internal int AcceptNext;
    internal int EventNext;
    internal Readiness PendingEdge;
    internal int AckNext;
    internal int TimerNext;
    internal int TimerPrevious;
    internal int TimerSlot;
    internal long TimerTick;

    /// <summary>Whether both SYNs are exchanged and no end is reached.</summary>
    public readonly bool IsSynchronized => State >= TcpState.Established;

    /// <summary>Sequence space sent and not acknowledged, bytes.</summary>
    public readonly int FlightSize => SndNxt - SndUna;

    /// <summary>Estimate of what is in the network (RFC 6675: pipe), bytes.</summary>
    public readonly int Pipe => FlightSize - SackedBytes - LostBytes + RetransBytes;

    /// <summary>Queued and never sent, bytes.</summary>
    public readonly int UnsentBytes => WriteSeq - SndNxt;

    /// <summary>End of the window told to the peer.</summary>
    public readonly SeqNumber ReceiveRight => RcvWup + RcvWnd;

    /// <summary>Whether all of these facts hold.</summary>
    public readonly bool Has(TcbFlags flags) => (Flags & flags) == flags;
}

/// <summary>Four SACK blocks.</summary>
[System.Runtime.CompilerServices.InlineArray(4)]
public struct SackBlocks
{
    private SackBlock _first;
}

/// <summary>What CUBIC remembers (RFC 9438 4).</summary>
public struct CubicState
{
    /// <summary>W_max in segments.</summary>
    public double WMax;

    /// <summary>K in seconds.</summary>
    public double K;

    /// <summary>W_est in segments.</summary>
    public double WEst;

    /// <summary>cwnd_epoch in segments.</summary>
    public double CwndEpoch;

    /// <summary>Start of the epoch; <see cref="Instant.Never"/> when none.</summary>
    public Instant EpochStart;
}
