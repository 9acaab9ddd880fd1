// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab.Tests.Redis;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Lab.Tests.Loss;

/// <summary>Every octet arrives over cables that lose and reorder, against the kernel's stack and against ourselves.</summary>
public sealed class LossTests : IClassFixture<FaultyCable>
{
    private readonly FaultyCable _cable;
    private readonly ITestOutputHelper _output;

    public LossTests(FaultyCable cable, ITestOutputHelper output)
    {
        _cable = cable;
        _output = output;
    }

    [Theory]
    [InlineData("", 64)]
    [InlineData("loss=10000", 64)]
    [InlineData("loss=50000", 8)]
    [InlineData("reorder=10000 late=300", 64)]
    [InlineData("loss=10000 reorder=10000 late=200", 16)]
    public void Cable_WithFaults_DeliversEveryOctet(string faults, int megabytes)
    {
        ArgumentNullException.ThrowIfNull(faults);
        _cable.Set(faults);
        int most = Product.RunsLongTests ? Math.Max(megabytes, 64) : megabytes;
        foreach ((Side client, Side server) in ((Side, Side)[])
            [(Side.Kernel, Side.Pronghorn), (Side.Pronghorn, Side.Kernel), (Side.Pronghorn, Side.Pronghorn)])
        {
            using var transfers = new Transfers(_cable, client, server);
            foreach (bool fromServer in (bool[])[false, true])
            {
                TransferResult result = transfers.Run(fromServer, (long)most << 20, seed: megabytes);
                _output.WriteLine(Describe(faults, client, server, fromServer, result));
            }
        }
    }

    [Theory]
    [InlineData("loss=10000", 64)]
    [InlineData("loss=50000", 4)]
    public void RedisValues_OverLossyCable_AreTheSame(string faults, int megabytes)
    {
        _cable.Set(faults);
        string directory = Directory.CreateTempSubdirectory("pronghorn-lab-").FullName;
        try
        {
            using RedisServer server =
                RedisServer.Start(Side.Pronghorn, _cable.Server, TwoHosts.ServerAddress, directory);
            using RespConnection client =
                RespConnection.Connect(_cable.Client, TwoHosts.ServerAddress, RedisServer.Port);
            byte[] value = new byte[megabytes << 20];
            new Random(megabytes).NextBytes(value);
            Assert.Equal("OK", client.Text("SET", "value", value));
            Assert.True(value.AsSpan().SequenceEqual((byte[])client.Call("GET", "value")!));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>
    /// Throughput beside the kernel's over the same cable: 64 MiB each way, interleaved, medians of three. Long, so only with
    /// PRONGHORN_LONG_TESTS=1; the figures go into the test's output and to the file that PRONGHORN_LOSS_REPORT names.
    /// </summary>
    [Theory]
    [InlineData("delay=50 loss=10000", 64)]
    [InlineData("delay=500 rate=500 loss=10000", 64)]
    [InlineData("delay=50 loss=50000", 64)]
    [InlineData("delay=500 rate=500 loss=50000", 16)]
    [InlineData("delay=50 rate=1000 reorder=10000 late=300", 64)]
    public void Throughput_BesideKernel_IsMeasured(string faults, int megabytes)
    {
        ArgumentNullException.ThrowIfNull(faults);
        int runs = Product.RunsLongTests ? 3 : 1;
        long bytes = Product.RunsLongTests ? (long)megabytes << 20 : 1 << 20;
        (Side Client, Side Server)[] pairs =
            [(Side.Kernel, Side.Kernel), (Side.Kernel, Side.Pronghorn), (Side.Pronghorn, Side.Kernel)];
        var megabits = new double[pairs.Length, 2, runs];
        _cable.Set(faults);
        for (int run = 0; run < runs; run++)
        {
            for (int pair = 0; pair < pairs.Length; pair++)
            {
                using var transfers = new Transfers(_cable, pairs[pair].Client, pairs[pair].Server);
                for (int direction = 0; direction < 2; direction++)
                {
                    megabits[pair, direction, run] = transfers.Run(direction == 1, bytes, seed: run + 1).Megabits;
                }
            }
        }

        double Median(int pair, int direction) =>
            Enumerable.Range(0, runs).Select(run => megabits[pair, direction, run]).Order().ElementAt(runs / 2);

        // A role has two places: as client and as server; the kernel's figure is the mean of its two directions.
        double kernel = (Median(0, 0) + Median(0, 1)) / 2;
        double sender = (Median(1, 1) + Median(2, 0)) / 2;
        double receiver = (Median(1, 0) + Median(2, 1)) / 2;
        string line = string.Create(
            CultureInfo.InvariantCulture,
            $"{faults}: kernel to kernel {kernel:F1} Mbit/s, Pronghorn sends {sender:F1} ({sender / kernel:P0}), "
            + $"receives {receiver:F1} ({receiver / kernel:P0})");
        _output.WriteLine(line);
        string? report = Environment.GetEnvironmentVariable("PRONGHORN_LOSS_REPORT");
        if (!string.IsNullOrEmpty(report))
        {
            File.AppendAllText(report, line + "\n");
        }

        Assert.All(megabits.Cast<double>(), value => Assert.True(value > 0));
    }

    private static string Describe(string faults, Side client, Side server, bool fromServer, TransferResult result) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{faults}: {(fromServer ? server : client)} to {(fromServer ? client : server)}: "
            + $"{result.Megabits:F1} Mbit/s, {result.Retransmitted} sent again");
}
