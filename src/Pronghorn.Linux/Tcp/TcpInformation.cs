// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Tcp;

/// <summary>State of a connection in the kernel's numbers (include/net/tcp_states.h).</summary>
public enum KernelTcpState : byte
{
    /// <summary>ESTABLISHED.</summary>
    Established = 1,

    /// <summary>SYN-SENT.</summary>
    SynSent = 2,

    /// <summary>SYN-RECEIVED.</summary>
    SynReceived = 3,

    /// <summary>FIN-WAIT-1.</summary>
    FinWait1 = 4,

    /// <summary>FIN-WAIT-2.</summary>
    FinWait2 = 5,

    /// <summary>TIME-WAIT.</summary>
    TimeWait = 6,

    /// <summary>CLOSED.</summary>
    Closed = 7,

    /// <summary>CLOSE-WAIT.</summary>
    CloseWait = 8,

    /// <summary>LAST-ACK.</summary>
    LastAck = 9,

    /// <summary>LISTEN.</summary>
    Listen = 10,

    /// <summary>CLOSING.</summary>
    Closing = 11,
}

/// <summary>Options that both ends agreed on (TCPI_OPT_* of linux/tcp.h).</summary>
[Flags]
public enum TcpNegotiated : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Timestamps, RFC 7323.</summary>
    Timestamps = 1,

    /// <summary>Selective acknowledgment, RFC 2018.</summary>
    Sack = 2,

    /// <summary>Window scale, RFC 7323.</summary>
    WindowScale = 4,

    /// <summary>Explicit congestion notification, RFC 3168.</summary>
    Ecn = 8,

    /// <summary>Timestamps count microseconds (TCPI_OPT_USEC_TS, since Linux 6.7), which a route says and no peer is asked for.</summary>
    MicrosecondTimestamps = 64,
}

/// <summary>The part of struct tcp_info (tcp(7)) that moving a connection needs.</summary>
/// <param name="State">Its state.</param>
/// <param name="Negotiated">Options in use.</param>
/// <param name="SendScale">Bits by which the peer's windows are shifted.</param>
/// <param name="ReceiveScale">Bits by which its own windows are shifted.</param>
/// <param name="RetransmissionTimeout">Microseconds.</param>
/// <param name="Retransmissions">Segments retransmitted since the start.</param>
/// <param name="CongestionWindow">Segments.</param>
/// <param name="SendMaximumSegment">Most bytes of data that it puts into a segment now: path MTU and options are counted.</param>
public readonly record struct TcpInformation(
    KernelTcpState State,
    TcpNegotiated Negotiated,
    int SendScale,
    int ReceiveScale,
    uint RetransmissionTimeout,
    uint Retransmissions,
    uint CongestionWindow,
    uint SendMaximumSegment)
{
    internal const int Option = 11; // TCP_INFO
    internal const int OffsetOfRetransmissionTimeout = 8;
    internal const int OffsetOfSendMaximumSegment = 16;
    internal const int OffsetOfCongestionWindow = 80;
    internal const int OffsetOfRetransmissions = 100;
    private const TcpNegotiated Known = TcpNegotiated.Timestamps | TcpNegotiated.Sack | TcpNegotiated.WindowScale | TcpNegotiated.Ecn
        | TcpNegotiated.MicrosecondTimestamps;

    private const int LengthNeeded = OffsetOfRetransmissions + sizeof(uint);

    /// <summary>Asks the kernel.</summary>
    /// <returns>0 or a negative error number.</returns>
    public static int Query(int fd, out TcpInformation information)
    {
        Span<byte> bytes = stackalloc byte[LengthNeeded];
        int length = Libc.GetSocketOption(fd, TcpRepair.Level, Option, bytes);
        if (length < LengthNeeded)
        {
            information = default;
            return length < 0 ? length : -Errno.Invalid;
        }

        // Two fields of four bits: the first is in the low ones where the least significant byte comes first.
        byte scales = bytes[6];
        (int low, int high) = (scales & 0xf, scales >> 4);
        information = new TcpInformation(
            (KernelTcpState)bytes[0],
            (TcpNegotiated)bytes[5] & Known,
            BitConverter.IsLittleEndian ? low : high,
            BitConverter.IsLittleEndian ? high : low,
            MemoryMarshal.Read<uint>(bytes[OffsetOfRetransmissionTimeout..]),
            MemoryMarshal.Read<uint>(bytes[OffsetOfRetransmissions..]),
            MemoryMarshal.Read<uint>(bytes[OffsetOfCongestionWindow..]),
            MemoryMarshal.Read<uint>(bytes[OffsetOfSendMaximumSegment..]));
        return 0;
    }
}
