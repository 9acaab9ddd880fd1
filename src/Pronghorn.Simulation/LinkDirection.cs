// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Stack;

namespace Pronghorn.Simulation;

/// <summary>One direction of a link: where frames wait, are lost, overtake each other.</summary>
public sealed class LinkDirection
{
    private readonly Fabric _fabric;
    private readonly List<LinkRule> _rules = [];
    private Instant _busyUntil;
    private Instant _lastArrival;

    internal LinkDirection(Fabric fabric, SimulatedHost from, SimulatedHost to, int toInterface, LinkSettings settings)
    {
        _fabric = fabric;
        From = from;
        To = to;
        ToInterface = toInterface;
        Settings = settings;
    }

    /// <summary>The sending host.</summary>
    public SimulatedHost From { get; }

    /// <summary>The receiving host.</summary>
    public SimulatedHost To { get; }

    /// <summary>What the direction does to frames; may be changed at any time.</summary>
    public LinkSettings Settings { get; set; }

    /// <summary>While set, nothing gets through.</summary>
    public bool Partitioned { get; set; }

    /// <summary>Frames given to the direction.</summary>
    public long Frames { get; private set; }

    /// <summary>Frames lost by chance, rule, partition or a full queue.</summary>
    public long Lost { get; private set; }

    /// <summary>Called with every TCP segment that is sent, and whether it was lost.</summary>
    public Action<SegmentInfo, bool>? Observer { get; set; }

    internal int ToInterface { get; }

    /// <summary>Adds a rule behind the present ones.</summary>
    public void AddRule(LinkRule rule) => _rules.Add(rule);

    /// <summary>Takes a frame and schedules its arrivals. Returns when the sender's device is done with it.</summary>
    internal Instant Send(ReadOnlySpan<byte> frame)
    {
        Frames++;
        Prng random = _fabric.Random;
        LinkVerdict verdict = LinkVerdict.None;
        bool isSegment = SegmentInfo.TryRead(frame, _fabric.Now, out SegmentInfo segment);
        if (isSegment)
        {
            verdict = Judge(segment);
        }

        Instant departure = Depart(frame.Length, out bool overflow);
        bool lost = Partitioned || overflow || verdict == LinkVerdict.Drop
            || (verdict == LinkVerdict.None && random.Chance(Settings.Loss));
        if (isSegment)
        {
            Observer?.Invoke(segment, lost);
        }

        if (lost)
        {
            Lost++;
            return departure;
        }

        bool twice = verdict == LinkVerdict.Duplicate || random.Chance(Settings.Duplication);
        for (int copy = twice ? 2 : 1; copy > 0; copy--)
        {
            byte[] bytes = frame.ToArray();
            if (random.Chance(Settings.Corruption))
            {
                Corrupt(bytes, random);
            }

            _fabric.Deliver(this, bytes, Arrival(departure, verdict, random));
        }

        return departure;
    }

    private LinkVerdict Judge(in SegmentInfo segment)
    {
        foreach (LinkRule rule in _rules)
        {
            if (rule.Applies(segment))
            {
                return rule.Verdict;
            }
        }

        return LinkVerdict.None;
    }

    private Instant Depart(int length, out bool overflow)
    {
        overflow = false;
        if (Settings.BitsPerSecond == 0)
        {
            return _fabric.Now;
        }

        Instant start = _busyUntil > _fabric.Now ? _busyUntil : _fabric.Now;
        long waiting = (long)((start - _fabric.Now).Nanoseconds / 1e9 * Settings.BitsPerSecond / 8);
        if (waiting > Settings.QueueBytes)
        {
            overflow = true;
            return _fabric.Now;
        }

        _busyUntil = start + new Duration((long)(length * 8e9 / Settings.BitsPerSecond));
        return _busyUntil;
    }

    private Instant Arrival(Instant departure, LinkVerdict verdict, Prng random)
    {
        Instant arrival = departure + Settings.Delay;
        if (verdict == LinkVerdict.Delay || random.Chance(Settings.Reordering))
        {
            // Held back: it does not bind those behind it.
            long most = Math.Max(1000, Settings.ReorderingDelay.Nanoseconds);
            return arrival + new Duration(verdict == LinkVerdict.Delay ? most : 1 + (long)(random.Next64() % (ulong)most));
        }

        if (Settings.Jitter > Duration.Zero)
        {
            arrival += new Duration((long)(random.Next64() % (ulong)Settings.Jitter.Nanoseconds));
        }

        if (arrival < _lastArrival)
        {
            arrival = _lastArrival;
        }

        _lastArrival = arrival;
        return arrival;
    }

    // Within one word, so that the Internet checksum sees it: what it cannot see would not prove anything about TCP.
    private static void Corrupt(byte[] bytes, Prng random)
    {
        int word = random.Below(bytes.Length / 2) * 2;
        int bits = random.Between(1, 0xfffe);
        bytes[word] ^= (byte)(bits >> 8);
        bytes[word + 1] ^= (byte)bits;
    }
}
