// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>The page for Prometheus of a daemon that works.</summary>
public sealed class MetricsDaemonTests : IDisposable
{
    private const int Port = 9951;

    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task ConnectionHasMoved_BothPagesSayIt()
    {
        for (int node = 0; node < 2; node++)
        {
            _world.Configure(node, static text => text + "\nmetrics = 127.0.0.1:9951");
            _world.StartDaemon(node);
            _world.StartWorker(node);
        }

        await _world.WaitUntilConnectedAsync(0, 1);
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("1.there from 1.0", await client.AskAsync("get 1.there"));

        // The client may have its answer before the origin has heard that the connection works over there.
        MetricsPage from;
        do
        {
            from = await ReadAsync(0);
        }
        while (from["pronghorn_handoff_given_total"] == 0);

        Assert.Equal((1, 0), (from["pronghorn_handoff_given_total"], from["pronghorn_handoff_given_unconfirmed_total"]));
        Assert.Equal(1, from["pronghorn_handoff_freeze_seconds_count"]);
        Assert.InRange(from["pronghorn_handoff_freeze_seconds_sum"], 1e-6, 30);
        Assert.Equal(1, from["pronghorn_handoff_entries{table=\"given\"}"]);
        Assert.Equal(1, from["pronghorn_handoff_peer_connected{peer=\"node-1\"}"]);
        Assert.Equal(0, from["pronghorn_handoff_peer_connected{peer=\"node-2\"}"]);

        // A segment has 54 bytes of headers at least.
        MetricsPage to = await ReadAsync(1);
        Assert.Equal((1, 1), (to["pronghorn_handoff_taken"], to["pronghorn_handoff_entries{table=\"taken\"}"]));
        double packets = to["pronghorn_handoff_packets_total{action=\"Translated\"}"];
        Assert.InRange(packets, 1, 100);
        Assert.InRange(to["pronghorn_handoff_bytes_total{action=\"Translated\"}"], 54 * packets, 200 * packets);
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private async Task<MetricsPage> ReadAsync(int node)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = (_, _) => ValueTask.FromResult<Stream>(NamespaceThread.Run(_world.NodeOf(node), static () =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Connect(IPAddress.Loopback, Port);
                return new NetworkStream(socket, ownsSocket: true);
            })),
        };
        using var client = new HttpClient(handler);
        return MetricsPage.Parse(await client.GetStringAsync(new Uri($"http://127.0.0.1:{Port}/metrics"), CancellationToken.None));
    }
}
