// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Pronghorn.Runtime.Statistics;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Observation;

/// <summary>Turns a program's page into what is shown of it.</summary>
internal static class StatisticsDecoder
{
    // What a connection starts with: no threshold, RFC 5681 3.1.
    private const int NoThreshold = int.MaxValue;

    // A running program answers within the writer's own interval of 50 ms; one that sleeps does not.
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(2);

    /// <summary>Reads the page of a process; null, with a word about why, where it cannot be read.</summary>
    internal static ProcessSnapshot? TryRead(string directory, int pid, string program)
    {
        string path = Path.Combine(directory, pid.ToString(CultureInfo.InvariantCulture));
        int error = StatisticsReader.Open(path, out StatisticsReader? reader);
        if (error < 0 || reader is null)
        {
            Terminal.Note(Explain(path, error));
            return null;
        }

        using (reader)
        {
            if (!ProcessOwner.MayKeepPage(pid, reader.Owner))
            {
                Terminal.Note($"{path} belongs to user {reader.Owner}, who does not run process {pid}: not shown");
                return null;
            }

            bool fresh = reader.CanRequest && WaitForAnswer(reader);
            if (!reader.TryRead(out StatisticsHeader header, out StatisticsCounter[] counters, out StatisticsRow[] rows))
            {
                Terminal.Note($"{path}: its owner died while it wrote");
                return null;
            }

            if (header.ProcessId != pid)
            {
                Terminal.Note($"{path} is the page of process {header.ProcessId}, not of {pid}: not shown");
                return null;
            }

            if (!fresh)
            {
                Terminal.Note(reader.CanRequest
                    ? $"{program} (pid {pid}) {ProcessState.Explain(ProcessState.Read(pid))}: this is what it last said"
                    : $"{program} (pid {pid}) is another user's and is not asked: this is what it last said");
            }

            if (header.SocketCount > header.RowCount)
            {
                Terminal.Note($"{program} (pid {pid}) has {header.SocketCount} sockets, the first {header.RowCount} are listed");
            }

            return new ProcessSnapshot(
                pid,
                program,
                [.. rows.Select(row => ToSocket(row, pid, program))],
                [.. counters.Select(counter => new CounterSnapshot(
                    StatisticsReader.NameOf(counter), counter.Value, counter.IsDrop != 0))]);
        }
    }

    /// <summary>What a row shows.</summary>
    internal static SocketSnapshot ToSocket(in StatisticsRow row, int pid, string program)
    {
        bool isListener = row.State == (byte)TcpState.Listen;
        IpAddress local = new(row.LocalHigh, row.LocalLow);
        IpAddress remote = new(row.RemoteHigh, row.RemoteLow);
        return new SocketSnapshot
        {
            Pid = pid,
            Program = program,
            State = NameOf((TcpState)row.State),
            RecvQ = row.ReceiveQueue,
            SendQ = row.SendQueue,
            Local = $"{local}:{row.LocalPort}",
            Peer = isListener ? "0.0.0.0:*" : $"{remote}:{row.RemotePort}",
            Transmission = isListener ? null : ToTransmission(row),
        };
    }

    private static TransmissionSnapshot ToTransmission(in StatisticsRow row) => new()
    {
        CwndBytes = row.Cwnd,
        SsthreshBytes = row.SsThresh == NoThreshold ? null : row.SsThresh,
        RttUs = row.SmoothedRtt / 1e3,
        RttvarUs = row.RttVariation / 1e3,
        RtoMs = row.RetransmissionTimeout / 1e6,
        Mss = row.Mss,
        SndWnd = row.SndWnd,
        RcvWnd = row.RcvWnd,
        Retransmissions = row.Retransmissions,
    };

    private static bool WaitForAnswer(StatisticsReader reader)
    {
        uint request = reader.Request();
        long start = Stopwatch.GetTimestamp();
        while (!reader.IsAnswered(request))
        {
            if (Stopwatch.GetElapsedTime(start) > s_patience)
            {
                return false;
            }

            Thread.Sleep(s_step);
        }

        return true;
    }

    // The names of ss(8).
    private static string NameOf(TcpState state) => state switch
    {
        TcpState.Listen => "LISTEN",
        TcpState.SynSent => "SYN-SENT",
        TcpState.SynReceived => "SYN-RECV",
        TcpState.Established => "ESTAB",
        TcpState.FinWait1 => "FIN-WAIT-1",
        TcpState.FinWait2 => "FIN-WAIT-2",
        TcpState.CloseWait => "CLOSE-WAIT",
        TcpState.Closing => "CLOSING",
        TcpState.LastAck => "LAST-ACK",
        TcpState.TimeWait => "TIME-WAIT",
        _ => "UNCONN",
    };

    private static string Explain(string path, int error)
    {
        const int ProtocolError = -71;
        return error switch
        {
            ProtocolError => $"{path} is not a page of this version: use the pronghorn that belongs to the library",
            -13 or -1 => $"{path} may not be read: it belongs to another user; run as root",
            _ => $"{path} cannot be read: error {-error} (errno(3))",
        };
    }
}
