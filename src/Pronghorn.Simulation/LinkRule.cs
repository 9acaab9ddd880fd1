// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Simulation;

/// <summary>What a rule does to a segment.</summary>
public enum LinkVerdict
{
    /// <summary>Chance decides, as without a rule.</summary>
    None,

    /// <summary>Deliver, whatever chance says.</summary>
    Pass,

    /// <summary>Lose it.</summary>
    Drop,

    /// <summary>Deliver it twice.</summary>
    Duplicate,

    /// <summary>Hold it back, so that later segments overtake it.</summary>
    Delay,
}

/// <summary>Decides about segments of one direction before chance does. The first rule that matches wins.</summary>
public sealed class LinkRule
{
    private readonly Func<SegmentInfo, bool> _matches;
    private readonly int _first;
    private readonly int _last;
    private int _seen;

    private LinkRule(Func<SegmentInfo, bool> matches, int first, int last, LinkVerdict verdict)
    {
        _matches = matches;
        _first = first;
        _last = last;
        Verdict = verdict;
    }

    /// <summary>What happens to segments that match.</summary>
    public LinkVerdict Verdict { get; }

    /// <summary>Drops the <paramref name="nth"/> segment of a kind, counted from 1.</summary>
    public static LinkRule DropNth(int nth, Func<SegmentInfo, bool>? matches = null) =>
        new(matches ?? (_ => true), nth, nth, LinkVerdict.Drop);

    /// <summary>Drops segments with payload whose first byte lies in [low, high), counted from a base such as ISS + 1.</summary>
    public static LinkRule DropRange(SeqNumber origin, int low, int high, int times = 1) =>
        new(s => s.PayloadLength > 0 && s.Sequence - origin >= low && s.Sequence - origin < high, 1, times, LinkVerdict.Drop);

    /// <summary>Drops segments that have all of these flags.</summary>
    public static LinkRule DropFlags(TcpFlags flags, int times) =>
        new(s => (s.Flags & flags) == flags, 1, times, LinkVerdict.Drop);

    /// <summary>Applies a verdict to the first so many segments of a kind.</summary>
    public static LinkRule For(Func<SegmentInfo, bool> matches, LinkVerdict verdict, int times = int.MaxValue) =>
        new(matches, 1, times, verdict);

    internal bool Applies(in SegmentInfo segment)
    {
        if (!_matches(segment))
        {
            return false;
        }

        _seen++;
        return _seen >= _first && _seen <= _last;
    }
}
