// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli.Observation;

/// <summary>One connection or listener of a program on the stack.</summary>
internal sealed record SocketSnapshot
{
    /// <summary>Process that owns it.</summary>
    public required int Pid { get; init; }

    /// <summary>Name of the program.</summary>
    public required string Program { get; init; }

    /// <summary>State as ss(8) writes it: LISTEN, ESTAB, SYN-SENT, ...</summary>
    public required string State { get; init; }

    /// <summary>Bytes received and not read; for a listener, connections not accepted.</summary>
    public required long RecvQ { get; init; }

    /// <summary>Bytes not acknowledged; for a listener, its backlog.</summary>
    public required long SendQ { get; init; }

    /// <summary>Local address and port.</summary>
    public required string Local { get; init; }

    /// <summary>Remote address and port; "0.0.0.0:*" for a listener.</summary>
    public required string Peer { get; init; }

    /// <summary>How the connection fares; null for a listener.</summary>
    public TransmissionSnapshot? Transmission { get; init; }
}

/// <summary>How a connection fares.</summary>
internal sealed record TransmissionSnapshot
{
    /// <summary>Congestion window in bytes.</summary>
    public required long CwndBytes { get; init; }

    /// <summary>Slow start threshold in bytes; null before the first loss, when there is none.</summary>
    public required long? SsthreshBytes { get; init; }

    /// <summary>Smoothed round trip time in microseconds.</summary>
    public required double RttUs { get; init; }

    /// <summary>Its variation in microseconds.</summary>
    public required double RttvarUs { get; init; }

    /// <summary>Retransmission time-out in milliseconds.</summary>
    public required double RtoMs { get; init; }

    /// <summary>Largest segment sent, in bytes.</summary>
    public required int Mss { get; init; }

    /// <summary>Window that the peer offers, in bytes.</summary>
    public required long SndWnd { get; init; }

    /// <summary>Window that we offer, in bytes.</summary>
    public required long RcvWnd { get; init; }

    /// <summary>Segments retransmitted over its life.</summary>
    public required long Retransmissions { get; init; }
}

/// <summary>One counter.</summary>
/// <param name="Name">Name, lower case, words joined by underscores.</param>
/// <param name="Value">Its value since the program started.</param>
/// <param name="IsDrop">Whether it counts packets or segments not used, by reason.</param>
internal sealed record CounterSnapshot(string Name, long Value, bool IsDrop);

/// <summary>A program on the stack.</summary>
/// <param name="Pid">Its process.</param>
/// <param name="Program">Its name.</param>
/// <param name="Sockets">What it has open.</param>
/// <param name="Counters">What it counted.</param>
internal sealed record ProcessSnapshot(
    int Pid, string Program, SocketSnapshot[] Sockets, CounterSnapshot[] Counters);
