// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>From end to end: a client, daemons as they are installed, and workers in C that use libtcpm.</summary>
public sealed class HandoffDaemonTests : IDisposable
{
    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task ContentIsElsewhere_ConnectionMovesToItsWorker_AndTheClientSeesNothing()
    {
        await StartAllAsync();
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("0.here from 0.0", await client.AskAsync("get 0.here"));
        Assert.Equal("1.there from 1.0", await client.AskAsync("get 1.there"));
        Assert.Equal("1.again from 1.0", await client.AskAsync("get 1.again"));

        HandoffStatus from = await GivenAsync(0, 1);
        Assert.Equal((1, 0, 1), (from.Given, from.GivenUnconfirmed, from.InboundEntries));
        Assert.Equal(1, from.FreezeMicroseconds.Values.Sum());
        HandoffStatus to = await _world.StatusOfAsync(1);
        Assert.Equal((1, 1, 0), (to.TakenNow, to.OutboundEntries, to.Undelivered));
    }

    [Fact]
    public async Task HalfARequestIsRead_AndMoreIsUnderWay_NothingIsLost()
    {
        await StartAllAsync();
        using StreamReaderWriter client = _world.Connect(0);
        await client.SendAsync("get 1.fir");
        await client.SendAsync("st\nget 1.second\nget 1.th");
        Assert.Equal("1.first from 1.0", await client.ReadAsync());
        Assert.Equal("1.second from 1.0", await client.ReadAsync());
        await client.SendAsync("ird\n");
        Assert.Equal("1.third from 1.0", await client.ReadAsync());
    }

    [Fact]
    public async Task ManyClients_BothWays_EachIsAnsweredByTheOwner()
    {
        await StartAllAsync();
        await Task.WhenAll(Enumerable.Range(0, 60).Select(async number =>
        {
            int node = number % 2;
            using StreamReaderWriter client = _world.Connect(node);
            for (int i = 0; i < 20; i++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"{1 - node}.{number}.{i}");
                Assert.Equal($"{name} from {1 - node}.0", await client.AskAsync("get " + name));
            }
        }));
        Assert.Equal(30, (await GivenAsync(0, 30)).Given);
        Assert.Equal(30, (await GivenAsync(1, 30)).Given);
    }

    [Fact]
    public async Task ContentIsNowHereNowThere_ConnectionGoesRoundAndBack_ByOneRedirectAtTheMost()
    {
        await StartAllAsync(count: 3);
        using StreamReaderWriter client = _world.Connect(0);
        int owner = 0;
        var random = new Random(11);
        for (int i = 0; i < 100; i++)
        {
            owner = (owner + random.Next(1, 3)) % 3;
            string name = string.Create(CultureInfo.InvariantCulture, $"{owner}.{i}");
            string? answer = await client.AskAsync("get " + name);
            if (answer != $"{name} from {owner}.0")
            {
                Assert.Fail($"{answer} after {i} moves, and not from {owner}.0\n{await _world.DescribeAsync(client.Port)}");
            }
        }

        // By way of node 0 only, once it has heard where the connection is.
        ulong[] before, after;
        var time = Stopwatch.StartNew();
        do
        {
            Assert.True(time.Elapsed < TimeSpan.FromSeconds(30), "packets go by way of former owners");
            before = await RedirectedAsync();
            Assert.NotNull(await client.AskAsync($"get {owner}.again"));
            after = await RedirectedAsync();
        }
        while (!before.AsSpan(1).SequenceEqual(after.AsSpan(1)));

        Assert.Equal(owner != 0, after[0] > before[0]);
        Assert.Equal(owner == 0 ? 0 : 1, (await _world.StatusOfAsync(0)).InboundEntries);
    }

    [Fact]
    public async Task ManyClients_AllOverThePlace_EachIsAnsweredByTheOwner()
    {
        await StartAllAsync(count: 3);
        await Task.WhenAll(Enumerable.Range(0, 30).Select(async number =>
        {
            var random = new Random(number);
            using StreamReaderWriter client = _world.Connect(number % 3);
            for (int i = 0; i < 40; i++)
            {
                int owner = random.Next(3);
                string name = string.Create(CultureInfo.InvariantCulture, $"{owner}.{number}.{i}");
                Assert.Equal($"{name} from {owner}.0", await client.AskAsync("get " + name));
            }
        }));
    }

    [Fact]
    public async Task OtherNodeHasNoWorker_ConnectionStays_AndWorks()
    {
        _world.StartDaemon(0);
        _world.StartDaemon(1);
        _world.StartWorker(0);
        await _world.WaitUntilConnectedAsync(0, 1);
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("1.there from 0.0", await client.AskAsync("get 1.there"));
        Assert.Equal(1, (await _world.StatusOfAsync(0)).Refused["NoWorker"]);

        // Until there is one.
        _world.StartWorker(1);
        Assert.Equal("1.more from 1.0", await client.AskAsync("get 1.more"));
    }

    [Fact]
    public async Task OtherDaemonIsKilledAndBack_ConnectionsStayWhereTheyAre_AndMoveAfterwards()
    {
        _world.StartDaemon(0);
        Process daemon = _world.StartDaemon(1);
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        using StreamReaderWriter moved = _world.Connect(0);
        using StreamReaderWriter staying = _world.Connect(0);
        Assert.Equal("1.a from 1.0", await moved.AskAsync("get 1.a"));

        DaemonWorld.End(daemon, "KILL");
        Assert.Equal("1.b from 0.0", await staying.AskAsync("get 1.b"));
        Assert.Equal("1.c from 1.0", await moved.AskAsync("get 1.c"));

        _world.StartDaemon(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        while ((await _world.StatusOfAsync(1)).Listeners == 0)
        {
            await Task.Yield();
        }

        Assert.Equal("1.d from 1.0", await staying.AskAsync("get 1.d"));

        // What came to the daemon before is known to this one too.
        Assert.Equal("0.e from 0.0", await moved.AskAsync("get 0.e"));
        Assert.Equal("1.f from 1.0", await moved.AskAsync("get 1.f"));
    }

    [Fact]
    public async Task WorkerIsKilled_ItsRegistrationEnds()
    {
        await StartAllAsync();
        Process second = _world.StartWorker(1, worker: 1);
        Assert.Equal(2, (await _world.StatusOfAsync(1)).Listeners);
        DaemonWorld.End(second, "KILL");
        while ((await _world.StatusOfAsync(1)).Listeners != 1)
        {
            await Task.Yield();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    // The client may have its answer before the origin has heard that the connection works over there.
    private async Task<HandoffStatus> GivenAsync(int node, int count)
    {
        HandoffStatus status;
        do
        {
            status = await _world.StatusOfAsync(node);
        }
        while (status.Given < count);
        return status;
    }

    private async Task<ulong[]> RedirectedAsync() =>
        [.. (await Task.WhenAll(Nodes(3).Select(_world.StatusOfAsync))).Select(static status => status.Packets["Redirected"])];

    private async Task StartAllAsync(int count = 2)
    {
        for (int node = 0; node < count; node++)
        {
            _world.StartDaemon(node);
            _world.StartWorker(node);
        }

        await _world.WaitUntilConnectedAsync(Nodes(count));
    }

    private static int[] Nodes(int count) => [.. Enumerable.Range(0, count)];
}
