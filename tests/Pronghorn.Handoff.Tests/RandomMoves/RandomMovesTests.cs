// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Tests.Daemon;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Handoff.Tests.RandomMoves;

/// <summary>
/// Connections of both families go from node to node at any byte, over three nodes and back, while the wire loses and reorders packets
/// and daemons are killed; each byte of each stream is compared. PRONGHORN_LONG_TESTS=1 makes it 10,000 moves.
/// </summary>
public sealed class RandomMovesTests(ITestOutputHelper output)
{
    private const int Connections = 16;

    private static readonly bool s_isLong = Environment.GetEnvironmentVariable("PRONGHORN_LONG_TESTS") == "1";

    [Theory]
    [InlineData("", false)]
    [InlineData("loss=5000 reorder=10000 late=1000", false)]
    [InlineData("loss=2000 reorder=5000 late=500", true)]
    public async Task ConnectionsMoveAtRandom_EveryByteArrivesInOrder_AndNothingIsLeft(string faults, bool areKilled)
    {
        long enough = s_isLong ? 10_000 : 300;
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        using var world = new DaemonWorld(isBehindCable: true);
        using var cable = Cable.Start(world.ClientCable!, faults, seed);
        Process[] daemons = [.. Enumerable.Range(0, world.Nodes).Select(world.StartDaemon)];

        StreamWorker[] workers = [.. Enumerable.Range(0, world.Nodes).Select(node => new StreamWorker(world, node))];
        await world.WaitUntilConnectedAsync(0, 1, 2);
        while (!workers.All(static worker => worker.IsRegistered))
        {
            await Task.Delay(1);
        }

        int[] files = [.. daemons.Select(CountFiles)];
        using var stopped = new CancellationTokenSource();
        int ended = 0;
        Task[] clients =
        [
            .. Enumerable.Range(0, Connections).Select(number => Task.Run(async () =>
            {
                var random = new Random(seed + number);
                while (!stopped.IsCancellationRequested)
                {
                    await StreamClient.RunAsync(world, random);
                    Interlocked.Increment(ref ended);
                }
            })),
        ];
        var killer = new Random(seed);
        int killed = 0;
        while ((workers.Sum(static worker => worker.Moved) < enough || (areKilled && killed < enough / 100))
            && !clients.Any(static client => client.IsFaulted))
        {
            if (areKilled)
            {
                long before = workers.Sum(static worker => worker.Moved);
                while (workers.Sum(static worker => worker.Moved) < before + 40 && !clients.Any(static client => client.IsFaulted))
                {
                    await Task.Delay(1);
                }

                await EndOneAsync(world, daemons, killer);
                killed++;
            }

            await Task.Delay(1);
        }

        await stopped.CancelAsync();
        foreach (string problem in workers.SelectMany(static worker => worker.Problems))
        {
            output.WriteLine(problem);
        }

        await Task.WhenAll(clients);
        long moved = workers.Sum(static worker => worker.Moved);
        output.WriteLine($"{moved} moves of {ended} connections, {killed} daemons ended");
        await AssertNothingIsLeftAsync(world, daemons, areKilled ? null : files);
        foreach (StreamWorker worker in workers)
        {
            await worker.DisposeAsync();
            Assert.Empty(worker.Problems);
        }
    }

    private static async Task EndOneAsync(DaemonWorld world, Process[] daemons, Random killer)
    {
        int node = killer.Next(world.Nodes);

        // One that is never up is no daemon that ends.
        await world.WaitUntilItAnswersAsync(node);
        DaemonWorld.End(daemons[node], killer.Next(2) == 0 ? "KILL" : "TERM");
        daemons[node] = world.StartDaemon(node);
    }

    private static int CountFiles(Process daemon) => Directory.GetFiles($"/proc/{daemon.Id}/fd").Length;

    private static async Task AssertNothingIsLeftAsync(DaemonWorld world, Process[] daemons, int[]? files)
    {
        // Entries outlive their connections by a minute and some.
        long end = Environment.TickCount64 + (s_isLong ? 150_000 : 30_000);
        for (int node = 0; node < world.Nodes; node++)
        {
            HandoffStatus status;
            do
            {
                // An end that was not told is found out by an audit, once a minute: what is not told at once is a failure here.
                status = await world.StatusOfAsync(node);
                Assert.True(
                    Environment.TickCount64 < end,
                    $"node {node} still has {world.CountGiven(node)} connections given away that have ended; {status.ToJson()}");
                await Task.Delay(1);
            }
            while (status.TakenNow > 0 || status.MovesUnderWay > 0 || status.HeldBytes > 0 || world.CountGiven(node) > 0
                || (s_isLong && status.InboundEntries + status.OutboundEntries > 0));
            Assert.Equal(0, status.Undelivered);
            if (files is not null)
            {
                // Threads of the pool and a status that is being asked for come and go.
                Assert.InRange(CountFiles(daemons[node]), 0, files[node] + 8);
            }
        }
    }
}
