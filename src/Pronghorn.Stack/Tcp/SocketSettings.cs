// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Stack.Tcp;

/// <summary>What a user may set on a connection, or on a listener for the connections that it will accept.</summary>
public struct SocketSettings
{
    /// <summary>Linux's defaults.</summary>
    public static readonly SocketSettings Default = new()
    {
        KeepAliveIdleSeconds = 7200,
        KeepAliveIntervalSeconds = 75,
        KeepAliveProbes = 9,
        SynRetries = 6,
        FinWait2Seconds = 60,
        Ttl = 64,
        NotSentLowWater = -1,
    };

    /// <summary>TCP_NODELAY: no Nagle.</summary>
    public bool NoDelay;

    /// <summary>TCP_CORK: full segments only, for at most 200 ms.</summary>
    public bool Cork;

    /// <summary>SO_KEEPALIVE.</summary>
    public bool KeepAlive;

    /// <summary>TCP_QUICKACK: no delayed acknowledgment.</summary>
    public bool QuickAck;

    /// <summary>TCP_KEEPIDLE, seconds, 1 to 32767.</summary>
    public int KeepAliveIdleSeconds;

    /// <summary>TCP_KEEPINTVL, seconds, 1 to 32767.</summary>
    public int KeepAliveIntervalSeconds;

    /// <summary>TCP_KEEPCNT, 1 to 127.</summary>
    public int KeepAliveProbes;

    /// <summary>TCP_USER_TIMEOUT in milliseconds; 0 means the retry limits decide.</summary>
    public int UserTimeoutMilliseconds;

    /// <summary>SO_RCVBUF as asked for, bytes; 0 means tuned.</summary>
    public int ReceiveBuffer;

    /// <summary>SO_SNDBUF as asked for, bytes; 0 means tuned.</summary>
    public int SendBuffer;

    /// <summary>TCP_MAXSEG; 0 means by MTU.</summary>
    public int MaximumSegmentSize;

    /// <summary>TCP_SYNCNT, 1 to 127.</summary>
    public int SynRetries;

    /// <summary>TCP_LINGER2: seconds in FIN_WAIT_2 without a user.</summary>
    public int FinWait2Seconds;

    /// <summary>TCP_NOTSENT_LOWAT, bytes; -1 means none.</summary>
    public int NotSentLowWater;

    /// <summary>IP_TTL, 1 to 255.</summary>
    public byte Ttl;

    /// <summary>IP_TOS.</summary>
    public byte TypeOfService;

    /// <summary>TCP_CONGESTION.</summary>
    public CongestionAlgorithm Congestion;
}
