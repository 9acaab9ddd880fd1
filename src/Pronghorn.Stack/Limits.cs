// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Stack;

/// <summary>Every bound of the core in one place. Where Linux has the same bound, its value is taken.</summary>
public static class Limits
{
    /// <summary>
    /// Bytes kept free before the payload of a frame that is to be sent: Ethernet (14), VLAN (4), IP (20 or 40), TCP with
    /// options (60).
    /// </summary>
    public const int TransmitHeadroom = 128;

    /// <summary>Devices that one stack drives.</summary>
    public const int MaximumDevices = 4;

    /// <summary>Interfaces of the host that are known, with or without a device.</summary>
    public const int MaximumInterfaces = 1024;

    /// <summary>Routes that are known.</summary>
    public const int MaximumRoutes = 16384;

    /// <summary>Neighbours that are known (Linux: gc_thresh3 is 1024 per family).</summary>
    public const int MaximumNeighbors = 16384;

    /// <summary>Neighbours known only from frames that they sent, among <see cref="MaximumNeighbors"/>.</summary>
    public const int MaximumLearntNeighbors = 1024;

    /// <summary>Resolution requests that wait to be taken by the runtime.</summary>
    public const int MaximumNeighborRequests = 256;

    /// <summary>Listeners.</summary>
    public const int MaximumListeners = 4096;

    /// <summary>
    /// Largest accept queue (Linux: net.core.somaxconn), and as in Linux also the most handshakes that a listener has open.
    /// </summary>
    public const int MaximumBacklog = 4096;

    /// <summary>Out-of-order frames kept by a connection.</summary>
    public const int MaximumOutOfOrderFrames = 2048;

    /// <summary>Initial congestion window in segments, RFC 6928.</summary>
    public const int InitialWindowSegments = 10;

    /// <summary>Duplicate acknowledgments that mean loss, RFC 5681.</summary>
    public const int DuplicateThreshold = 3;

    /// <summary>Most that <see cref="DuplicateThreshold"/> grows by on a path that reorders (Linux: tcp_max_reordering).</summary>
    public const int MaximumReordering = 300;

    /// <summary>Recoveries without a DSACK after which a widened reordering window shrinks again, RFC 8985 6.2.</summary>
    public const int ReorderingWindowPersist = 16;

    /// <summary>Largest window scale, RFC 7323 2.3.</summary>
    public const int MaximumWindowShift = 14;

    /// <summary>Retransmissions of data before the connection is given up (Linux: tcp_retries2).</summary>
    public const int DataRetries = 15;

    /// <summary>Retransmissions of data once the user has let go (Linux: tcp_orphan_retries).</summary>
    public const int OrphanRetries = 8;

    /// <summary>Retransmissions of a SYN-ACK (Linux: tcp_synack_retries).</summary>
    public const int SynAckRetries = 5;

    /// <summary>Challenge ACKs in one second, all connections together (RFC 5961 7; Linux before 4.7: 100, later 1000).</summary>
    public const int ChallengeAcksPerSecond = 1000;

    /// <summary>Resets in one second for segments that belong to no connection.</summary>
    public const int ResetsPerSecond = 20000;

    /// <summary>Smallest path MTU that an ICMP message may ask for (Linux: net.ipv4.route.min_pmtu).</summary>
    public const int MinimumPathMtu = 552;

    /// <summary>MSS when the peer names none, RFC 9293 MUST-15.</summary>
    public const int DefaultMss = 536;

    /// <summary>Smallest MSS that a peer may ask for (Linux: TCP_MIN_MSS and tcp_min_snd_mss).</summary>
    public const int MinimumMss = 48;

    /// <summary>Largest receive buffer that tuning reaches, bytes.</summary>
    public const int MaximumReceiveBuffer = 4 << 20;

    /// <summary>Largest send buffer that tuning reaches, bytes.</summary>
    public const int MaximumSendBuffer = 4 << 20;

    /// <summary>Frames that only control segments may take.</summary>
    public const int ControlFrameReserve = 64;

    /// <summary>One in so many frames is kept for receiving when connections queue data to send.</summary>
    public const int ReceiveFrameShare = 8;

    /// <summary>While one in so many frames is free, a connection may queue as much as its buffer allows.</summary>
    public const int FairSendShare = 4;

    /// <summary>Frames that a connection may queue for sending when fewer than <see cref="FairSendShare"/> tells are free.</summary>
    public const int FairSendFrames = 16;

    /// <summary>Segments acknowledged at once at the start of a connection (Linux: TCP_MAX_QUICKACKS).</summary>
    public const int QuickAcks = 16;

    /// <summary>How long after a sign of loss acknowledgments are not saved by batches.</summary>
    public static readonly Duration LossyPath = Duration.FromSeconds(2);

    /// <summary>Retransmission timer before the first measurement, RFC 6298 (2.1).</summary>
    public static readonly Duration InitialRto = Duration.FromSeconds(1);

    /// <summary>Least retransmission timer. RFC 6298 (2.4) says one second; Linux takes 200 ms and so do we.</summary>
    public static readonly Duration MinimumRto = Duration.FromMilliseconds(200);

    /// <summary>Most retransmission timer (Linux: TCP_RTO_MAX).</summary>
    public static readonly Duration MaximumRto = Duration.FromSeconds(120);

    /// <summary>Delayed acknowledgment (Linux: TCP_DELACK_MIN; RFC 9293 MUST-59 allows up to 500 ms).</summary>
    public static readonly Duration DelayedAck = Duration.FromMilliseconds(40);

    /// <summary>How long after the last SYN cookie acknowledgments are looked at for one (Linux: TCP_SYNCOOKIE_VALID).</summary>
    public static readonly Duration CookieLife = Duration.FromSeconds(120);

    /// <summary>TIME_WAIT (Linux: TCP_TIMEWAIT_LEN).</summary>
    public static readonly Duration TimeWait = Duration.FromSeconds(60);

    /// <summary>Longest that a cork holds a partial segment back (Linux: 200 ms).</summary>
    public static readonly Duration Cork = Duration.FromMilliseconds(200);

    /// <summary>Least time between two answers to out-of-window segments (Linux: tcp_invalid_ratelimit).</summary>
    public static readonly Duration InvalidAckInterval = Duration.FromMilliseconds(500);

    /// <summary>How long a path MTU told by ICMP counts for new connections (Linux: net.ipv4.route.mtu_expires).</summary>
    public static readonly Duration PathMtuLife = Duration.FromSeconds(600);

    /// <summary>TS.Recent older than this proves nothing, RFC 7323 5.5.</summary>
    public static readonly Duration TimestampStale = Duration.FromSeconds(24L * 24 * 3600);
}
