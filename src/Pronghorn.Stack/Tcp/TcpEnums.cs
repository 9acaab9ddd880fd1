// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Stack.Tcp;

/// <summary>The states of RFC 9293 3.3.2.</summary>
public enum TcpState : byte
{
    /// <summary>No connection.</summary>
    Closed,

    /// <summary>Waiting for a connection request.</summary>
    Listen,

    /// <summary>SYN sent, waiting for the peer's.</summary>
    SynSent,

    /// <summary>SYNs crossed or answered, waiting for the acknowledgment of ours.</summary>
    SynReceived,

    /// <summary>Open.</summary>
    Established,

    /// <summary>Our FIN is sent and not acknowledged.</summary>
    FinWait1,

    /// <summary>Our FIN is acknowledged, the peer's is awaited.</summary>
    FinWait2,

    /// <summary>The peer sent FIN, our user did not close yet.</summary>
    CloseWait,

    /// <summary>FINs crossed, ours is not acknowledged.</summary>
    Closing,

    /// <summary>The peer sent FIN, then we did; ours is not acknowledged.</summary>
    LastAck,

    /// <summary>Both closed; old segments die out.</summary>
    TimeWait,
}

/// <summary>Why a user call failed or a connection ended. The POSIX room maps it to errno.</summary>
public enum TcpError : byte
{
    /// <summary>No error.</summary>
    None,

    /// <summary>The peer refused the connection.</summary>
    ConnectionRefused,

    /// <summary>The peer reset the connection.</summary>
    ConnectionReset,

    /// <summary>No answer in time.</summary>
    TimedOut,

    /// <summary>A router says that the host cannot be reached.</summary>
    HostUnreachable,

    /// <summary>No route, or a router says that the network cannot be reached.</summary>
    NetworkUnreachable,

    /// <summary>The address and port are taken.</summary>
    AddressInUse,

    /// <summary>The address is not one of ours.</summary>
    AddressNotAvailable,

    /// <summary>No record or frame is free.</summary>
    NoBuffers,

    /// <summary>Sending after shutdown or after the peer went away.</summary>
    BrokenPipe,

    /// <summary>Not connected.</summary>
    NotConnected,

    /// <summary>Connected already.</summary>
    AlreadyConnected,

    /// <summary>The connection is being opened.</summary>
    InProgress,

    /// <summary>Nothing can be done now; an event will tell when.</summary>
    WouldBlock,

    /// <summary>Larger than a packet may be.</summary>
    MessageTooLong,

    /// <summary>A wrong argument.</summary>
    Invalid,

    /// <summary>Aborted on this side.</summary>
    ConnectionAborted,

    /// <summary>A router says that the protocol is not spoken.</summary>
    ProtocolError,
}

/// <summary>What a socket is ready for. The values are those of EPOLLIN and its kin; the meaning is that of Linux's tcp_poll.</summary>
[Flags]
public enum Readiness : ushort
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Data, end of stream, an error, or a connection to accept.</summary>
    In = 0x1,

    /// <summary>Room to send.</summary>
    Out = 0x4,

    /// <summary>An error is pending.</summary>
    Error = 0x8,

    /// <summary>Both directions are closed.</summary>
    HangUp = 0x10,

    /// <summary>The peer's direction is closed.</summary>
    ReadHangUp = 0x2000,
}

/// <summary>How <see cref="TcpEngine.Send"/> treats what it is given.</summary>
[Flags]
public enum SendFlags : byte
{
    /// <summary>Send as Nagle's rule and the options say.</summary>
    None = 0,

    /// <summary>More follows at once: hold a partial segment back (MSG_MORE).</summary>
    More = 1,
}

/// <summary>How <see cref="TcpEngine.Receive"/> treats what it gives.</summary>
[Flags]
public enum ReceiveFlags : byte
{
    /// <summary>Take the bytes out of the queue.</summary>
    None = 0,

    /// <summary>Leave them there (MSG_PEEK).</summary>
    Peek = 1,
}

/// <summary>Congestion control algorithms.</summary>
public enum CongestionAlgorithm : byte
{
    /// <summary>What <see cref="StackOptions.Congestion"/> says.</summary>
    Default,

    /// <summary>CUBIC, RFC 9438.</summary>
    Cubic,

    /// <summary>Reno with NewReno's recovery, RFC 5681 and 6582.</summary>
    NewReno,
}

/// <summary>Where a connection stands in loss recovery; the values are Linux's TCP_CA_*.</summary>
public enum RecoveryState : byte
{
    /// <summary>Nothing suspicious.</summary>
    Open = 0,

    /// <summary>Duplicate acknowledgments or SACK blocks, no loss proven.</summary>
    Disorder = 1,

    /// <summary>Fast recovery.</summary>
    Recovery = 3,

    /// <summary>Retransmission timer expired.</summary>
    Loss = 4,
}

/// <summary>Something new about a connection or listener.</summary>
/// <param name="Id">The connection's or listener's number.</param>
/// <param name="IsListener">Whether <paramref name="Id"/> is a listener's.</param>
/// <param name="Tag">What the user attached to it.</param>
/// <param name="Edge">What newly happened: fresh data sets <see cref="Readiness.In"/> also when unread data was there before.</param>
public readonly record struct TcpEvent(int Id, bool IsListener, nint Tag, Readiness Edge);
