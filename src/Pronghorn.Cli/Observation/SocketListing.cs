// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Pronghorn.Cli.Observation;

/// <summary>Which sockets to list, and how much of each.</summary>
/// <param name="Listening">Only listeners.</param>
/// <param name="All">Listeners and connections.</param>
/// <param name="Information">How each connection fares, on a second line.</param>
/// <param name="Processes">The program that owns each.</param>
internal sealed record SocketListingOptions(bool Listening, bool All, bool Information, bool Processes);

/// <summary>Writes sockets as ss(8) does, so that eyes and habits carry over.</summary>
internal static class SocketListing
{
    /// <summary>The sockets that the options select, as ss(8) would: connections unless told otherwise.</summary>
    internal static IReadOnlyList<SocketSnapshot> Select(
        IEnumerable<SocketSnapshot> sockets, SocketListingOptions options, SocketFilter filter) =>
        [.. sockets.Where(socket =>
            (filter.HasStates || options.All || (socket.State == "LISTEN") == options.Listening) && filter.Matches(socket))];

    /// <summary>A number with its noun: "1 socket", "2 sockets".</summary>
    internal static string Count(int number, string noun) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {noun}{(number == 1 ? "" : "s")}");

    /// <summary>The lines of the listing, the heading first.</summary>
    internal static IEnumerable<string> Format(IReadOnlyList<SocketSnapshot> sockets, SocketListingOptions options)
    {
        int localWidth = Math.Max(18, sockets.Select(socket => socket.Local.Length).DefaultIfEmpty().Max());
        int peerWidth = Math.Max(18, sockets.Select(socket => socket.Peer.Length).DefaultIfEmpty().Max());
        yield return Line("State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port", options.Processes ? "Process" : "");
        foreach (SocketSnapshot socket in sockets)
        {
            yield return Line(
                socket.State,
                socket.RecvQ.ToString(CultureInfo.InvariantCulture),
                socket.SendQ.ToString(CultureInfo.InvariantCulture),
                socket.Local,
                socket.Peer,
                options.Processes ? $"users:((\"{socket.Program}\",pid={socket.Pid}))" : "");
            if (options.Information && socket.Transmission is TransmissionSnapshot transmission)
            {
                yield return Describe(transmission);
            }
        }

        string Line(string state, string received, string sent, string local, string peer, string process) =>
            $"{state,-10} {received,-7} {sent,-7} {local.PadLeft(localWidth)} {peer.PadLeft(peerWidth)} {process}".TrimEnd();
    }

    private static string Describe(TransmissionSnapshot t)
    {
        long segments = t.Mss > 0 ? t.CwndBytes / t.Mss : 0;
        string threshold = t.SsthreshBytes is long bytes && t.Mss > 0
            ? (bytes / t.Mss).ToString(CultureInfo.InvariantCulture)
            : "-";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"\t rto:{t.RtoMs:0.#} rtt:{t.RttUs / 1000:0.###}/{t.RttvarUs / 1000:0.###} mss:{t.Mss} cwnd:{segments} "
            + $"ssthresh:{threshold} snd_wnd:{t.SndWnd} rcv_wnd:{t.RcvWnd} retrans:{t.Retransmissions}");
    }
}
