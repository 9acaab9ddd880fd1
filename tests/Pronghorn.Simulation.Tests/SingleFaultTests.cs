// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Simulation.Tests;

/// <summary>
/// One short conversation, and every single fault in it: each segment of each direction lost, doubled or late, one by one
/// and with the segment after it.
/// </summary>
public sealed class SingleFaultTests
{
    private static readonly ProgramPlan s_near = new()
    {
        Total = 30_000, LargestWrite = 5000, Ending = ProgramEnding.HalfClose, Content = new StreamContent(1), Settings = Settings(),
    };

    private static readonly ProgramPlan s_far = new()
    {
        Total = 12_000, LargestWrite = 3000, Ending = ProgramEnding.HalfClose, Content = new StreamContent(2), Settings = Settings(),
    };

    [Theory]
    [InlineData(LinkVerdict.Drop, true, true)]
    [InlineData(LinkVerdict.Drop, true, false)]
    [InlineData(LinkVerdict.Drop, false, true)]
    [InlineData(LinkVerdict.Drop, false, false)]
    [InlineData(LinkVerdict.Duplicate, true, true)]
    [InlineData(LinkVerdict.Duplicate, false, true)]
    [InlineData(LinkVerdict.Delay, true, true)]
    [InlineData(LinkVerdict.Delay, false, true)]
    public void EachSegment_IsDisturbed_ConversationIsWhole(LinkVerdict verdict, bool forward, bool sack)
    {
        for (int width = 1; width <= 3; width++)
        {
            long seen = long.MaxValue;
            for (int nth = 1; nth <= seen; nth++)
            {
                seen = Play(verdict, forward, sack, nth, width);
            }

            Assert.InRange(seen, 10, 200);
        }
    }

    private static long Play(LinkVerdict verdict, bool forward, bool sack, int nth, int width)
    {
        var options = new StackOptions
        {
            NeighborMode = NeighborMode.Standalone, MaximumConnections = 16, UseSack = sack, UseTimestamps = sack,
        };
        var link = new LinkSettings { Delay = Duration.FromMilliseconds(5), ReorderingDelay = Duration.FromMilliseconds(12) };

        // Hundreds of conversations, each of some thirty segments: the C library may clear all of a pool each time.
        using var conversation = new Conversation(5, link, s_near, s_far, options, frames: 1024);
        LinkDirection direction = forward ? conversation.Link.Forward : conversation.Link.Backward;
        int count = 0;
        direction.AddRule(LinkRule.For(
            _ =>
            {
                count++;
                return count >= nth && count < nth + width;
            },
            verdict));
        conversation.Start();
        string? problem = conversation.Finish(Duration.FromSeconds(600));
        Assert.True(problem == null, $"{verdict} of segment {nth} (+{width}), forward {forward}: {problem}");
        return count;
    }

    private static SocketSettings Settings()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.KeepAlive = true;
        settings.KeepAliveIdleSeconds = 20;
        settings.KeepAliveIntervalSeconds = 5;
        return settings;
    }
}
