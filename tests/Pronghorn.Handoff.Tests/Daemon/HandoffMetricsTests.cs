// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Web;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>The page that Prometheus reads: what is on it, its format, and who gets it.</summary>
public sealed class HandoffMetricsTests
{
    private static readonly HandoffStatus s_status = new()
    {
        ProcessId = 1,
        Interface = "eth0",
        Listeners = 2,
        Given = 3,
        GivenUnconfirmed = 1,
        TakenNow = 4,
        Undelivered = 5,
        Refused = new Dictionary<string, long>(),
        LastRefusals = new Dictionary<string, string>(),
        FreezeMicroseconds = new Dictionary<string, long>(),
        HeldBytes = 6,
        HeldDropped = 7,
        InboundEntries = 8,
        OutboundEntries = 9,
        InboundLimit = 10,
        OutboundLimit = 11,
        Packets = new Dictionary<string, ulong> { ["Redirected"] = 12 },
        Bytes = new Dictionary<string, ulong> { ["Redirected"] = 13 },
        Peers =
        [
            new PeerStatus("edge-2", "10.0.0.3:1950", true, "silent", 14, IsSilent: true),
            new PeerStatus("\"3\\", "10.0.0.4:1950", false, "x", 0),
        ],
        PeersRejected = 15,
        WorkersRejected = 16,
        MovesUnderWay = 16,
    };

    [Fact]
    public void Page_HasWhatTheStatusHas()
    {
        MetricsPage page = MetricsPage.Parse(HandoffMetrics.Write(s_status, new HandoffCounts(), new MoveDurations()));
        Assert.Equal(2, page["pronghorn_handoff_listeners"]);
        Assert.Equal(4, page["pronghorn_handoff_taken"]);
        Assert.Equal(5, page["pronghorn_handoff_undelivered_total"]);
        Assert.Equal(6, page["pronghorn_handoff_held_bytes"]);
        Assert.Equal(7, page["pronghorn_handoff_held_dropped_frames_total"]);
        Assert.Equal(8, page["pronghorn_handoff_entries{table=\"given\"}"]);
        Assert.Equal(9, page["pronghorn_handoff_entries{table=\"taken\"}"]);
        Assert.Equal(10, page["pronghorn_handoff_entries_limit{table=\"given\"}"]);
        Assert.Equal(11, page["pronghorn_handoff_entries_limit{table=\"taken\"}"]);
        Assert.Equal(12, page["pronghorn_handoff_packets_total{action=\"Redirected\"}"]);
        Assert.Equal(13, page["pronghorn_handoff_bytes_total{action=\"Redirected\"}"]);
        Assert.Equal(1, page["pronghorn_handoff_peer_connected{peer=\"edge-2\"}"]);
        Assert.Equal(0, page["pronghorn_handoff_peer_connected{peer=\"\\\"3\\\\\"}"]);
        Assert.Equal(1, page["pronghorn_handoff_peer_silent{peer=\"edge-2\"}"]);
        Assert.Equal(0, page["pronghorn_handoff_peer_silent{peer=\"\\\"3\\\\\"}"]);
        Assert.Equal(14, page["pronghorn_handoff_peer_given_up_total{peer=\"edge-2\"}"]);
        Assert.Equal(15, page["pronghorn_handoff_streams_rejected_total"]);
        Assert.Equal(16, page["pronghorn_handoff_workers_rejected_total"]);
        Assert.Equal(16, page["pronghorn_handoff_moves_under_way"]);
    }

    [Fact]
    public void Moves_AreInTheHistogram_ByTheirLimits()
    {
        (HandoffCounts counts, MoveDurations durations) = (new HandoffCounts(), new MoveDurations());
        foreach (double microseconds in (double[])[1, 8, 8.1, 500, 512, 513, 10_000_000])
        {
            counts.Add(new MoveOutcome(Refusal.None, TimeSpan.FromMicroseconds(microseconds), default, IsLive: true));
        }

        counts.Add(new MoveOutcome(Refusal.None, default, default, IsLive: false));
        counts.Add(new MoveOutcome(new Refusal(RefusalReason.TableFull, "x"), TimeSpan.Zero, default, IsLive: false));
        MetricsPage page = MetricsPage.Parse(HandoffMetrics.Write(s_status, counts, durations));

        Assert.Equal((8, 1), (page["pronghorn_handoff_given_total"], page["pronghorn_handoff_given_unconfirmed_total"]));
        Assert.Equal(1, page["pronghorn_handoff_refused_total{reason=\"TableFull\"}"]);
        Assert.Equal(0, page["pronghorn_handoff_refused_total{reason=\"NoWorker\"}"]);
        (double Limit, double Count)[] buckets = page.BucketsOf("pronghorn_handoff_freeze_seconds");
        Assert.Equal(DurationHistogram.Limits.Length + 1, buckets.Length);
        Assert.Equal([(8e-6, 2), (10e-6, 3), (12e-6, 3)], buckets[..3]);
        Assert.Equal(5, buckets.Single(static bucket => bucket.Limit == 512e-6).Count);
        Assert.Equal(6, buckets.Single(static bucket => bucket.Limit == 640e-6).Count);
        Assert.Equal((double.PositiveInfinity, 7), buckets[^1]);
        Assert.Equal(7, page["pronghorn_handoff_freeze_seconds_count"]);
        Assert.Equal(10.0015421, page["pronghorn_handoff_freeze_seconds_sum"], 1e-7);
    }

    [Fact]
    public async Task Asked_AnswersGetOfThePageAlone()
    {
        var end = new IPEndPoint(IPAddress.Loopback, FreePort());
        await using WebListener server = await MetricsServer.StartAsync(end, static () => "page\n");
        using var client = new HttpClient { BaseAddress = new Uri($"http://{end}") };

        using HttpResponseMessage answer = await client.GetAsync(new Uri("/metrics", UriKind.Relative));
        Assert.Equal("page\n", await answer.Content.ReadAsStringAsync());
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType!.ToString());
        Assert.False(answer.Headers.Contains("Server"));
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync(new Uri("/", UriKind.Relative))).StatusCode);
        Assert.Equal(
            HttpStatusCode.MethodNotAllowed, (await client.DeleteAsync(new Uri("/metrics", UriKind.Relative))).StatusCode);
    }

    [Fact]
    public async Task MuchIsAsked_IsRefused_AndOthersAreAnswered()
    {
        var end = new IPEndPoint(IPAddress.Loopback, FreePort());
        await using WebListener server = await MetricsServer.StartAsync(end, static () => "page\n");
        Assert.StartsWith(
            "HTTP/1.1 414 ", await AskAsync(end, $"GET /metrics?{new string('a', 2000)} HTTP/1.1\r\n"), StringComparison.Ordinal);
        Assert.StartsWith(
            "HTTP/1.1 431 ", await AskAsync(end, $"GET /metrics HTTP/1.1\r\nHost: a\r\nX: {new string('a', 20_000)}\r\n\r\n"),
            StringComparison.Ordinal);

        // Whoever connects and says nothing is put off the line, after five seconds.
        Assert.Equal("", await AskAsync(end, ""));
        Assert.StartsWith("HTTP/1.1 200 ", await AskAsync(
            end, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task PortIsTaken_IsNamed()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        IOException failure = await Assert.ThrowsAsync<IOException>(
            () => MetricsServer.StartAsync((IPEndPoint)taken.LocalEndPoint!, static () => ""));
        Assert.StartsWith("metrics: 127.0.0.1:", failure.Message, StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static async Task<string> AskAsync(IPEndPoint end, string text)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(end);
        await socket.SendAsync(Encoding.ASCII.GetBytes(text));
        using var reader = new StreamReader(new NetworkStream(socket));
        try
        {
            return await reader.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(20));
        }
        catch (IOException)
        {
            return "";
        }
    }
}
