// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Simulation;

/// <summary>
/// A network of stacks in one thread under a virtual clock. All chance comes from one seed, so every run with the same
/// seed and the same program is the same run.
/// </summary>
public sealed class Fabric : IDisposable
{
    private readonly PriorityQueue<Happening, (long Time, long Order)> _queue = new();
    private readonly List<SimulatedHost> _hosts = [];
    private long _order;
    private int _links;

    /// <summary>Makes an empty network.</summary>
    /// <param name="seed">What all chance follows from.</param>
    public Fabric(ulong seed)
    {
        Seed = seed;
        Random = new Prng(seed);
        Now = new Instant(1_000_000_000);
    }

    /// <summary>What all chance follows from.</summary>
    public ulong Seed { get; }

    /// <summary>The source of chance.</summary>
    public Prng Random { get; }

    /// <summary>The virtual clock.</summary>
    public Instant Now { get; private set; }

    /// <summary>The hosts.</summary>
    public IReadOnlyList<SimulatedHost> Hosts => _hosts;

    /// <summary>Called after every step.</summary>
    public Action? AfterStep { get; set; }

    /// <summary>Adds a host with standalone devices.</summary>
    /// <param name="name">Its name in messages.</param>
    /// <param name="options">How its stack is to behave; the mode must be <see cref="NeighborMode.Standalone"/>.</param>
    /// <param name="frames">Frames in its pool.</param>
    public SimulatedHost AddHost(string name, StackOptions? options = null, int frames = 8192)
    {
        options ??= new StackOptions { NeighborMode = NeighborMode.Standalone, Secret0 = Random.Next64(), MaximumConnections = 4096 };
        var host = new SimulatedHost(this, name, options, frames);
        _hosts.Add(host);
        return host;
    }

    /// <summary>Joins two hosts by a link with a subnet of its own.</summary>
    public Link Connect(SimulatedHost first, SimulatedHost second, LinkSettings settings, int mtu = 1500)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        uint subnet = 0x0a000000u | ((uint)++_links << 8);
        var forward = new LinkDirection(this, first, second, second.NextInterface, settings);
        var backward = new LinkDirection(this, second, first, first.NextInterface, settings);
        first.Attach(forward, IpAddress.FromIpv4(subnet | 1), IpAddress.FromIpv4(subnet), mtu);
        second.Attach(backward, IpAddress.FromIpv4(subnet | 2), IpAddress.FromIpv4(subnet), mtu);
        return new Link(forward, backward);
    }

    /// <summary>Runs something at a time, now or later.</summary>
    public void At(Instant time, Action action) => Enqueue(time, new Happening { Action = action });

    /// <summary>Goes to the next time at which something happens, and does all of it.</summary>
    /// <returns>False when nothing will ever happen.</returns>
    public bool Step() => StepUntil(Instant.Never);

    /// <summary>Steps until a condition holds.</summary>
    /// <returns>False when it did not hold within the time.</returns>
    public bool RunUntil(Func<bool> condition, Duration limit)
    {
        ArgumentNullException.ThrowIfNull(condition);
        Instant end = Now + limit;
        Settle();
        while (!condition())
        {
            if (!StepUntil(end))
            {
                return condition();
            }
        }

        return true;
    }

    /// <summary>Lets time pass.</summary>
    public void RunFor(Duration time)
    {
        Instant end = Now + time;
        Settle();
        while (StepUntil(end))
        {
        }

        Now = end;
        Settle();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SimulatedHost host in _hosts)
        {
            host.Dispose();
        }
    }

    internal void Deliver(LinkDirection link, byte[] bytes, Instant time) =>
        Enqueue(time, new Happening { Link = link, Bytes = bytes });

    internal void Complete(SimulatedHost host, int frame, Instant time)
    {
        if (time <= Now)
        {
            host.Frames.Release(frame);
            return;
        }

        host.FramesInDevices++;
        Enqueue(time, new Happening { Host = host, Frame = frame });
    }

    private void Enqueue(Instant time, Happening happening) =>
        _queue.Enqueue(happening, (Math.Max(time.Nanoseconds, Now.Nanoseconds), _order++));

    private bool StepUntil(Instant end)
    {
        Settle();
        Instant next = NextTime();
        if (!next.IsSet || next > end)
        {
            return false;
        }

        Now = next > Now ? next : Now;
        while (_queue.TryPeek(out _, out (long Time, long Order) key) && key.Time <= Now.Nanoseconds)
        {
            Happen(_queue.Dequeue());
        }

        Settle();
        AfterStep?.Invoke();
        return true;
    }

    private Instant NextTime()
    {
        Instant next = _queue.TryPeek(out _, out (long Time, long Order) key) ? new Instant(key.Time) : Instant.Never;
        foreach (SimulatedHost host in _hosts)
        {
            next = Instant.Earlier(next, host.Stack.NextDeadline);
        }

        return next;
    }

    private static void Happen(in Happening happening)
    {
        if (happening.Link is { } link)
        {
            link.To.Arrive(happening.Bytes, link.ToInterface);
        }
        else if (happening.Host is { } host)
        {
            host.FramesInDevices--;
            host.Frames.Release(happening.Frame);
        }
        else
        {
            happening.Action?.Invoke();
        }
    }

    private void Settle()
    {
        foreach (SimulatedHost host in _hosts)
        {
            host.Settle();
        }
    }

    private struct Happening
    {
        public LinkDirection? Link;
        public byte[]? Bytes;
        public SimulatedHost? Host;
        public int Frame;
        public Action? Action;
    }
}
