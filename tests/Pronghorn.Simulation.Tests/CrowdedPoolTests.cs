// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Simulation.Tests;

/// <summary>Many connections on few frames: all come to their end, however slowly some programs read.</summary>
public sealed class CrowdedPoolTests
{
    private const ushort Port = 80;

    [Theory]
    [InlineData(1, 100, 1024, 0)]
    [InlineData(2, 100, 1024, 10_000)]
    [InlineData(3, 200, 512, 0)]
    [InlineData(4, 50, 512, 20_000)]
    public void SlowReadersAndFewFrames_EveryStreamArrives(int seed, int connections, int frames, int loss)
    {
        using var fabric = new Fabric((ulong)seed);
        SimulatedHost client = fabric.AddHost("client", Options(), frames);
        SimulatedHost server = fabric.AddHost("server", Options(), frames);
        fabric.Connect(client, server, new LinkSettings { Loss = loss, Reordering = loss, BitsPerSecond = 1_000_000_000 });
        var plans = new List<(ProgramPlan Near, ProgramPlan Far)>();
        var all = new List<SimulatedProgram>();
        var programs = new Dictionary<(SimulatedHost, int), SimulatedProgram>();
        int listener = server.Tcp.Listen(IpAddress.AnyIpv4, Port, 1024, 0, SocketSettings.Default, out _);
        client.OnEvent = e => programs.GetValueOrDefault((client, e.Id))?.Pump();
        server.OnEvent = e =>
        {
            if (!e.IsListener)
            {
                programs.GetValueOrDefault((server, e.Id))?.Pump();
                return;
            }

            while (server.Tcp.TryAccept(listener, out int id))
            {
                (ProgramPlan near, ProgramPlan far) = plans[server.Tcp.Get(id).RemotePort - 10_000];
                var program = new SimulatedProgram(fabric, server, id, far, near);
                programs[(server, id)] = program;
                all.Add(program);
                program.Pump();
            }
        };
        for (int i = 0; i < connections; i++)
        {
            plans.Add((Plan(fabric.Random), Plan(fabric.Random)));
            int id = client.Tcp.Connect(
                client.Address, (ushort)(10_000 + i), server.Address, Port, 0, SocketSettings.Default, fabric.Now, out _);
            all.Add(programs[(client, id)] = new SimulatedProgram(fabric, client, id, plans[i].Near, plans[i].Far));
        }

        bool Done() => all.Count == 2 * connections && all.TrueForAll(p => p.Finished);
        bool ended = fabric.RunUntil(Done, Duration.FromSeconds(3600));
        Assert.True(ended, string.Join('\n', all.Where(p => !p.Finished).Take(10)));
        Assert.All(all, p => Assert.Null(p.Problem));
        fabric.RunFor(Duration.FromSeconds(130));
        Assert.Equal(0, client.Tcp.ConnectionCount + server.Tcp.ConnectionCount);
        Invariants.CheckNothingHeld(client);
        Invariants.CheckNothingHeld(server);

        // Otherwise the test would prove nothing.
        Assert.True(server.Stack.Counters[Counter.MemoryPressure] + client.Stack.Counters[Counter.MemoryPressure] > 0);
    }

    private static StackOptions Options() => new() { NeighborMode = NeighborMode.Standalone, MaximumConnections = 1024 };

    private static ProgramPlan Plan(Prng random) => new()
    {
        Total = random.Between(10_000, 150_000),
        LargestWrite = random.Spread(64, 65536),
        LargestRead = random.Spread(256, 65536),
        ReadPauses = random.Chance(500_000) ? 300_000 : 0,
        LongestPause = Duration.FromMilliseconds(300),
        Ending = ProgramEnding.HalfClose,
        Content = new StreamContent(random.Next64()),
    };
}
