// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Simulation.Tests;

/// <summary>
/// What congestion control reaches in virtual time, by loss, round-trip time and algorithm, held to a table in the tree. A
/// change that is meant is taken over by copying the table that the failure prints into Throughput.snapshot.txt.
/// </summary>
public sealed class ThroughputTests(ITestOutputHelper output)
{
    private const int Bytes = 3 << 20;
    private const int Seeds = 3;
    private const double Tolerance = 0.15;

    private static readonly int[] s_lossPerMillion = [0, 1_000, 10_000, 30_000];
    private static readonly int[] s_rttMilliseconds = [1, 10, 50, 200];

    [Fact]
    public void BulkTransfer_UnderLoss_IsAsFastAsTheTableSays()
    {
        Dictionary<string, double> expected = ReadSnapshot();
        var table = new StringBuilder("# 100 Mbit/s, queue 256 KiB, 3 MiB, mean of 3 seeds, Mbit/s of payload in virtual time\n");
        bool same = true;
        foreach (CongestionAlgorithm algorithm in new[] { CongestionAlgorithm.Cubic, CongestionAlgorithm.NewReno })
        {
            foreach (int loss in s_lossPerMillion)
            {
                foreach (int rtt in s_rttMilliseconds)
                {
                    string cell = string.Create(CultureInfo.InvariantCulture, $"{algorithm} loss={loss / 10_000.0}% rtt={rtt}ms");
                    double rate = Measure(algorithm, loss, rtt);
                    table.AppendLine(CultureInfo.InvariantCulture, $"{cell} {rate:F2}");
                    same &= expected.TryGetValue(cell, out double known) && Math.Abs(rate - known) <= known * Tolerance;
                }
            }
        }

        output.WriteLine(table.ToString());
        Assert.True(same, "The table differs from Throughput.snapshot.txt:\n" + table);
    }

    private static double Measure(CongestionAlgorithm algorithm, int loss, int rtt)
    {
        double sum = 0;
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            sum += Measure(algorithm, loss, rtt, seed);
        }

        return sum / Seeds;
    }

    private static double Measure(CongestionAlgorithm algorithm, int loss, int rtt, ulong seed)
    {
        SocketSettings settings = SocketSettings.Default;
        settings.Congestion = algorithm;
        using var fabric = new Fabric(seed);
        SimulatedHost client = fabric.AddHost("client");
        SimulatedHost server = fabric.AddHost("server");
        var way = new LinkSettings
        {
            Delay = Duration.FromMicroseconds(rtt * 500L), BitsPerSecond = 100_000_000, QueueBytes = 256 << 10, Loss = loss,
        };
        Link link = fabric.Connect(client, server, way);
        link.Backward.Settings = way with { Loss = 0 };
        int listener = server.Tcp.Listen(server.Address, 80, 1, 0, settings, out _);
        int near = client.Tcp.Connect(client.Address, 40000, server.Address, 80, 0, settings, fabric.Now, out _);
        int far = 0;
        Assert.True(fabric.RunUntil(() => server.Tcp.TryAccept(listener, out far), Duration.FromSeconds(60)));
        byte[] buffer = new byte[64 << 10];
        int sent = 0;
        int received = 0;
        Instant start = fabric.Now;
        bool Done()
        {
            int count = 1;
            while (sent < Bytes && count > 0)
            {
                Span<byte> data = buffer.AsSpan(0, Math.Min(buffer.Length, Bytes - sent));
                count = client.Tcp.Send(near, data, SendFlags.None, fabric.Now, out _);
                sent += count;
            }

            while ((count = server.Tcp.Receive(far, buffer, ReceiveFlags.None, fabric.Now, out _)) > 0)
            {
                received += count;
            }

            return received == Bytes;
        }

        Assert.True(fabric.RunUntil(Done, Duration.FromSeconds(3600)));
        return Bytes * 8 / 1e6 / ((fabric.Now - start).Nanoseconds / 1e9);
    }

    private static Dictionary<string, double> ReadSnapshot()
    {
        var table = new Dictionary<string, double>();
        foreach (string line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Throughput.snapshot.txt")))
        {
            int at = line.LastIndexOf(' ');
            if (at > 0 && line[0] != '#')
            {
                table[line[..at]] = double.Parse(line.AsSpan(at + 1), CultureInfo.InvariantCulture);
            }
        }

        return table;
    }
}
