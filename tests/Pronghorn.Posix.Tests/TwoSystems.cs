// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>Two hosts with socket layers, joined by a cable, under virtual time.</summary>
internal sealed class TwoSystems : IDisposable
{
    public const ushort Port = 6379;

    public TwoSystems()
    {
        Near = new TestSystem(this, IpAddress.FromIpv4(0x0a000001), 1);
        Far = new TestSystem(this, IpAddress.FromIpv4(0x0a000002), 2);
        Near.Driver.Join(Far.Driver, Far.Address);
        Far.Driver.Join(Near.Driver, Near.Address);
    }

    public Clock Clock { get; } = new();

    public TestSystem Near { get; }

    public TestSystem Far { get; }

    public Instant Now => Clock.Now;

    /// <summary>Two connected sockets: one of the near host, one that the far host accepted.</summary>
    public (int Near, int Far) Connected(bool nonBlocking = false)
    {
        int listener = Far.Listen(Port);
        int near = Near.Socket();
        Assert.Equal(0, Near.Connect(near, Far.Address, Port));
        int far = (int)Far.Accept(listener, nonBlocking ? FileControl.NonBlocking : 0);
        Assert.True(far > 0, $"accept: {far}");
        Assert.Equal(0, Far.Close(listener));
        if (nonBlocking)
        {
            Assert.Equal(0, Near.Layer.SetFlags(near, FileControl.NonBlocking));
        }

        return (near, far);
    }

    /// <summary>Lets time pass.</summary>
    public void Run(Duration time)
    {
        Instant end = Now + time;
        while (Step(end))
        {
        }
    }

    /// <summary>Long enough for a few round trips, too short for any timer but that of delayed acknowledgements.</summary>
    public void Exchange() => Run(Duration.FromMilliseconds(100));

    /// <summary>Goes to the next time at which something happens, at most to a limit.</summary>
    /// <returns>False when nothing happens before the limit, which then is the time.</returns>
    public bool Step(Instant limit)
    {
        Instant next = Instant.Earlier(Near.Poll(), Far.Poll());
        next = Instant.Earlier(next, Instant.Earlier(Near.Driver.NextArrival, Far.Driver.NextArrival));
        next = next > Now ? next : Now + Duration.FromMicroseconds(1);
        if (next > limit || !next.IsSet)
        {
            Clock.Now = limit.IsSet ? limit : Now;
            Near.Poll();
            Far.Poll();
            return false;
        }

        Clock.Now = next;
        Near.Poll();
        Far.Poll();
        return true;
    }

    public void Dispose()
    {
        Near.Dispose();
        Far.Dispose();
    }
}
