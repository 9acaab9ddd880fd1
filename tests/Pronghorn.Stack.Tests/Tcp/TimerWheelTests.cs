// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>The wheel against a list of times: 100,000 random operations.</summary>
public sealed class TimerWheelTests
{
    private const int Connections = 60;
    private const long Tick = 1_000_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void RandomOperations_EveryTimerRunsInItsTick(int seed)
    {
        using var net = new TcpFixture(knowPeer: false);
        var random = new Random(seed);
        var model = new Dictionary<int, Instant>();
        List<int> ids = Open(net);
        Instant now = net.Now;
        for (int step = 0; step < 33_000; step++)
        {
            int id = ids[random.Next(ids.Count)];
            ref TransmissionControlBlock tcb = ref Unsafe.AsRef(in net.Tcp.Get(id));
            switch (random.Next(4))
            {
                case 0:
                case 1:
                    // In SYN_SENT the life timer does nothing when it expires but to be gone.
                    tcb.LifeAt = now + Spread(random);
                    model[id] = tcb.LifeAt;
                    net.Tcp.Schedule(id, ref tcb, tcb.LifeAt);
                    break;
                case 2:
                    tcb.LifeAt = Instant.Never;
                    model.Remove(id);
                    break;
                default:
                    now = Advance(random, net, now);
                    net.Stack.Poll(now);
                    Compare(net, model, ids, now);
                    break;
            }

            AssertDeadline(net, model);
        }
    }

    private static List<int> Open(TcpFixture net)
    {
        var ids = new List<int>();
        for (int i = 0; i < Connections; i++)
        {
            int id = net.Tcp.Connect(
                TcpFixture.OurAddress, (ushort)(50000 + i), TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
            ref TransmissionControlBlock tcb = ref Unsafe.AsRef(in net.Tcp.Get(id));
            tcb.RetransmitAt = Instant.Never;
            ids.Add(id);
        }

        return ids;
    }

    private static Duration Spread(Random random)
    {
        long most = 1L << random.Next(10, 47);
        return new Duration(random.NextInt64(most));
    }

    private static Instant Advance(Random random, TcpFixture net, Instant now)
    {
        Instant next = net.Stack.NextDeadline;
        return random.Next(3) == 0 && next.IsSet && next > now ? next : now + Spread(random);
    }

    private static void Compare(TcpFixture net, Dictionary<int, Instant> model, List<int> ids, Instant now)
    {
        foreach (int id in ids)
        {
            bool runs = model.TryGetValue(id, out Instant at);
            long dueTick = (at.Nanoseconds + Tick - 1) / Tick;
            if (runs && at <= now && net.Tcp.Get(id).LifeAt == Instant.Never)
            {
                model.Remove(id);
                continue;
            }

            // A timer set for the tick that has begun runs in the next one.
            bool late = runs && dueTick < now.Nanoseconds / Tick && net.Tcp.Get(id).LifeAt != Instant.Never;
            Assert.False(
                late && at + Duration.FromMilliseconds(2) < now,
                $"{id} should have run at {at.Nanoseconds}, it is {now.Nanoseconds}");
            Assert.Equal(runs ? at : Instant.Never, net.Tcp.Get(id).LifeAt);
        }
    }

    private static void AssertDeadline(TcpFixture net, Dictionary<int, Instant> model)
    {
        Instant deadline = net.Stack.NextDeadline;
        foreach ((int id, Instant at) in model)
        {
            Assert.True(
                deadline <= at + Duration.FromMilliseconds(2),
                $"{id} is due at {at.Nanoseconds}, the wheel says {deadline.Nanoseconds}");
        }
    }
}
