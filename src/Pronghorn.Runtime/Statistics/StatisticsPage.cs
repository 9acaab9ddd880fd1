// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace Pronghorn.Runtime.Statistics;

/// <summary>
/// Layout of the page that a program on the stack keeps for `pronghorn ss` and `stat`: a header, named counters, rows of
/// sockets. All numbers are in the host's byte order. A reader that does not know <see cref="Version"/> must not go on.
/// </summary>
/// <remarks>
/// The writer makes <see cref="StatisticsHeader.Sequence"/> odd while it writes (a seqlock). A reader asks for fresh rows
/// by raising <see cref="StatisticsHeader.Request"/>; while nobody asks, the writer does nothing.
/// </remarks>
public static class StatisticsPage
{
    /// <summary>"PRONGHRN" as a little-endian number.</summary>
    public const ulong Magic = 0x4e52_4847_4e4f_5250;

    /// <summary>Version of the layout.</summary>
    public const uint Version = 1;

    /// <summary>
    /// Where pages are kept, one for each process, named by its id. Where a program may not write there, it keeps its page
    /// in its user's directory (<see cref="StatisticsPlaces"/>).
    /// </summary>
    public const string Directory = "/run/pronghorn";

    /// <summary>Bytes of a counter's name, zero-padded ASCII.</summary>
    public const int NameLength = 48;

    /// <summary>Counters that a page has room for.</summary>
    public const int MaximumCounters = 192;

    /// <summary>Rows that a page has room for; more sockets are counted but not listed.</summary>
    public const int MaximumRows = 16384;
}

/// <summary>Start of a page.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct StatisticsHeader
{
    /// <summary><see cref="StatisticsPage.Magic"/>.</summary>
    public ulong Magic;

    /// <summary><see cref="StatisticsPage.Version"/>.</summary>
    public uint Version;

    /// <summary>Owner's process id.</summary>
    public int ProcessId;

    /// <summary>Odd while the writer writes.</summary>
    public uint Sequence;

    /// <summary>Raised by a reader that wants fresh rows.</summary>
    public uint Request;

    /// <summary>Value of <see cref="Request"/> that the present content answers.</summary>
    public uint Answered;

    /// <summary>Counters in use.</summary>
    public int CounterCount;

    /// <summary>Rows in use.</summary>
    public int RowCount;

    /// <summary>Sockets that exist; more than <see cref="RowCount"/> when rows ran out.</summary>
    public int SocketCount;

    /// <summary>CLOCK_MONOTONIC of the last writing, nanoseconds.</summary>
    public long WrittenAt;

    /// <summary>Interface index of the device.</summary>
    public int InterfaceId;

    /// <summary>0.</summary>
    public int Reserved;
}

/// <summary>A counter.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct StatisticsCounter
{
    /// <summary>Its value since the program started.</summary>
    public long Value;

    /// <summary>1 when it counts packets or segments not used, 0 otherwise.</summary>
    public int IsDrop;

    /// <summary>0.</summary>
    public int Reserved;

    /// <summary>Name: lower case, words joined by underscores.</summary>
    public CounterName Name;
}

/// <summary>A counter's name.</summary>
[System.Runtime.CompilerServices.InlineArray(StatisticsPage.NameLength)]
public struct CounterName
{
    private byte _first;
}

/// <summary>A connection or a listener.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct StatisticsRow
{
    /// <summary>Local address, high half of 16 bytes in numeric order.</summary>
    public ulong LocalHigh;

    /// <summary>Local address, low half.</summary>
    public ulong LocalLow;

    /// <summary>Remote address, high half.</summary>
    public ulong RemoteHigh;

    /// <summary>Remote address, low half.</summary>
    public ulong RemoteLow;

    /// <summary>Local port.</summary>
    public ushort LocalPort;

    /// <summary>Remote port; 0 for a listener.</summary>
    public ushort RemotePort;

    /// <summary>State, a value of Stack.Tcp.TcpState.</summary>
    public byte State;

    /// <summary>Stack.Tcp.RecoveryState.</summary>
    public byte Recovery;

    /// <summary>Stack.Tcp.CongestionAlgorithm.</summary>
    public byte Congestion;

    /// <summary>0.</summary>
    public byte Reserved;

    /// <summary>Bytes received and not read; for a listener, connections not accepted.</summary>
    public int ReceiveQueue;

    /// <summary>Bytes not acknowledged; for a listener, its backlog.</summary>
    public int SendQueue;

    /// <summary>Congestion window, bytes.</summary>
    public int Cwnd;

    /// <summary>Slow start threshold, bytes.</summary>
    public int SsThresh;

    /// <summary>Segment size, bytes.</summary>
    public int Mss;

    /// <summary>Window that the peer offers, bytes.</summary>
    public uint SndWnd;

    /// <summary>Window that we offer, bytes.</summary>
    public uint RcvWnd;

    /// <summary>0.</summary>
    public int Reserved2;

    /// <summary>Smoothed round-trip time, nanoseconds.</summary>
    public long SmoothedRtt;

    /// <summary>Its variation, nanoseconds.</summary>
    public long RttVariation;

    /// <summary>Retransmission time-out, nanoseconds.</summary>
    public long RetransmissionTimeout;

    /// <summary>Segments retransmitted.</summary>
    public long Retransmissions;

    /// <summary>Payload bytes received.</summary>
    public long BytesReceived;

    /// <summary>Payload bytes acknowledged by the peer.</summary>
    public long BytesAcked;
}
