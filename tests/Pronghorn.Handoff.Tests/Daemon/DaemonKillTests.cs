// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Daemons end at any step of any move, while clients ask for what is now on one node, now on the other.</summary>
public sealed class DaemonKillTests(ITestOutputHelper output) : IDisposable
{
    private const int Clients = 24;

    private readonly DaemonWorld _world = new();

    [Theory]
    [InlineData("KILL", 0)]
    [InlineData("KILL", 1)]
    [InlineData("TERM", 0)]
    [InlineData("TERM", 1)]
    public async Task DaemonEndsAgainAndAgain_EveryAnswerComesOnceAndInOrder(string signal, int node)
    {
        const int Times = 8;
        Process[] daemons = [_world.StartDaemon(0), _world.StartDaemon(1)];
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        using var enough = new CancellationTokenSource();
        int answers = 0;
        Task[] clients = [.. Enumerable.Range(0, Clients).Select(number => Task.Run(() => AskAsync(number, enough.Token)))];
        for (int i = 0; i < Times; i++)
        {
            // In the middle of moves: some have happened since the last time.
            await MovedAsync(1 - node, 50, clients);
            DaemonWorld.End(daemons[node], signal);
            daemons[node] = _world.StartDaemon(node);
            await _world.WaitUntilConnectedAsync(0, 1);
            output.WriteLine($"{answers} answers after {i + 1} times");
        }

        await enough.CancelAsync();
        await Task.WhenAll(clients);
        Assert.True(answers > Times * 50, $"only {answers} answers");

        async Task AskAsync(int number, CancellationToken cancellation)
        {
            using StreamReaderWriter client = _world.Connect(number % 2);
            try
            {
                await AskAllAsync(client, number, cancellation);
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                throw new InvalidOperationException($"client {number}: {await _world.DescribeAsync(client.Port)}", failure);
            }
        }

        async Task AskAllAsync(StreamReaderWriter client, int number, CancellationToken cancellation)
        {
            for (int i = 0; !cancellation.IsCancellationRequested; i++)
            {
                // Two in a row: the second is under way when the first makes the connection move.
                string first = string.Create(CultureInfo.InvariantCulture, $"{i % 2}.{number}.{i}");
                string second = first + "." + new string('x', i % 150);
                await client.SendAsync($"get {first}\nget {second}\n");
                Assert.StartsWith(first + " from ", await client.ReadAsync(), StringComparison.Ordinal);
                Assert.StartsWith(second + " from ", await client.ReadAsync(), StringComparison.Ordinal);
                Interlocked.Increment(ref answers);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private async Task MovedAsync(int node, long count, Task[] clients)
    {
        long begin = (await _world.StatusOfAsync(node)).Given;
        while ((await _world.StatusOfAsync(node)).Given < begin + count)
        {
            if (clients.FirstOrDefault(static client => client.IsCompleted) is { } ended)
            {
                await ended;
            }

            await Task.Delay(1);
        }
    }
}
