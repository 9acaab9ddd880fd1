// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Image;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Protocol;

/// <summary>Both sides of a move against each other, with every message lost once and every step refused once.</summary>
public sealed class MoveProtocolTests
{
    private static readonly TimeSpan s_ever = TimeSpan.FromSeconds(30);
    private static readonly TcpEnd s_there = new(IpAddress.Parse("10.2.0.12"), 80);
    private static readonly Prepare s_request = new(
        7, new Stay(9, 1), false, new TcpEnd(IpAddress.Parse("10.2.0.11"), 80), World.Remote, s_there, 100,
        IpAddress.Parse("10.2.0.11"));

    [Fact]
    public async Task NothingGoesWrong_TargetOwns()
    {
        (MoveOutcome outcome, Refusal there, World world) = await RunAsync();

        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        Assert.True(there.IsNone, there.ToString());
        Assert.True(outcome.IsLive);
        Assert.Equal(["reserve", "inspect", "hold", "take", "restore", "let go", "live", "finish"], world.Steps);
    }

    [Theory]
    [InlineData(typeof(Prepare))]
    [InlineData(typeof(Prepared))]
    [InlineData(typeof(Transfer))]
    [InlineData(typeof(Restored))]
    public async Task MessageBeforeTheDecisionIsLost_OriginKeepsIt(Type lost)
    {
        (MoveOutcome outcome, _, World world) = await RunAsync(lost: lost);

        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        Assert.True(world.OriginOwns);
        Assert.False(world.TargetOwns);
        Assert.False(world.TargetHasRemains);
    }

    [Fact]
    public async Task CommitIsLost_NobodyOwnsTwice()
    {
        (MoveOutcome outcome, Refusal there, World world) = await RunAsync(lost: typeof(Commit));

        Assert.True(outcome.Refusal.IsNone);
        Assert.False(outcome.IsLive);
        Assert.False(there.IsNone);
        Assert.False(world.OriginOwns);
        Assert.False(world.TargetHasRemains);
    }

    [Fact]
    public async Task LiveIsLost_TargetOwns()
    {
        (MoveOutcome outcome, Refusal there, World world) = await RunAsync(lost: typeof(Live));

        Assert.True(outcome.Refusal.IsNone);
        Assert.False(outcome.IsLive);
        Assert.True(there.IsNone);
        Assert.True(world.TargetOwns && !world.OriginOwns);
    }

    [Theory]
    [InlineData("reserve")]
    [InlineData("inspect")]
    [InlineData("hold")]
    [InlineData("take")]
    [InlineData("restore")]
    [InlineData("let go")]
    public async Task StepIsRefused_OriginKeepsIt(string step)
    {
        (MoveOutcome outcome, _, World world) = await RunAsync(refused: step);

        Assert.Equal(RefusalReason.Kernel, outcome.Refusal.Reason);
        Assert.Equal(step, outcome.Refusal.Step);
        Assert.True(world.OriginOwns && !world.TargetOwns && !world.TargetHasRemains);
        Assert.Equal(step is "take" or "restore" or "let go", world.Steps.Contains("give back"));
    }

    [Fact]
    public async Task OtherDaemonEnds_OriginKeepsIt()
    {
        (MoveOutcome outcome, _, World world) = await RunAsync(ends: typeof(Transfer));

        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        Assert.True(world.OriginOwns && !world.TargetOwns);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OriginGoesBeforeItsDecisionIsHeard_TargetAsksUntilItKnows(bool isGiven)
    {
        // Both sides have their own: they are two daemons.
        (Unsettled there, Unsettled here) = (new Unsettled(), new Unsettled());
        var world = new World(null);
        Channel<Message> toTarget = Channel.CreateUnbounded<Message>();
        Channel<Message> toOrigin = Channel.CreateUnbounded<Message>();
        var later = new AnsweringSender(message =>
        {
            Assert.Equal(new Asked(s_request.Stay), message);
            Assert.True(there.Decide(s_request.Stay, isGiven));
        });
        Task<Refusal> target = AnswerAsync(
            toTarget, new TargetMove(new Wire(toOrigin, toTarget, null, null), toTarget.Reader, TimesFor(null), there, later), world);
        Task<MoveOutcome> origin = new OriginMove(
            new Wire(toTarget, toOrigin, null, typeof(Commit)), toOrigin.Reader, TimesFor(null), here)
            .RunAsync(s_request, world, static image => image, CancellationToken.None);

        Assert.Equal(isGiven, (await target).IsNone);
        while (!here.Leaving.Any())
        {
            Assert.False(origin.IsCompleted, "the origin did not ask");
            await Task.Yield();
        }

        Assert.Equal(s_request.Stay, here.Leaving.Single().Stay);
        here.Settle(s_request.Stay, isOwned: isGiven);
        MoveOutcome outcome = await origin;
        Assert.Equal((isGiven, isGiven), (outcome.Refusal.IsNone, outcome.IsLive));
        Assert.Equal((!isGiven, isGiven), (world.OriginOwns, world.TargetOwns));
        Assert.False(world.TargetHasRemains);
        Assert.Empty(here.Leaving);
    }

    [Fact]
    public async Task NobodyEverSaysWhatWasDecided_EitherSideEndsInTime()
    {
        (Unsettled there, Unsettled here) = (new Unsettled(), new Unsettled());
        MoveTimes times = TimesFor(null) with { Doubt = TimeSpan.FromMilliseconds(1), Settle = TimeSpan.FromMilliseconds(1) };
        var world = new World(null);
        Channel<Message> toTarget = Channel.CreateUnbounded<Message>();
        Channel<Message> toOrigin = Channel.CreateUnbounded<Message>();
        Task<Refusal> target = AnswerAsync(
            toTarget, new TargetMove(new Wire(toOrigin, toTarget, null, null), toTarget.Reader, times, there), world);
        MoveOutcome outcome = await new OriginMove(
            new Wire(toTarget, toOrigin, null, typeof(Commit)), toOrigin.Reader, times, here)
            .RunAsync(s_request, world, static image => image, CancellationToken.None);

        Assert.Equal((true, false), (outcome.Refusal.IsNone, outcome.IsLive));
        Assert.Equal(RefusalReason.Peer, (await target).Reason);
        Assert.False(world.OriginOwns || world.TargetOwns || world.TargetHasRemains);
    }

    [Fact]
    public async Task ConnectionComesBackBeforeItsOwnerHasSaidThatItIsLive_FormerSocketGoesFirst()
    {
        var here = new Unsettled();
        var world = new World(null);
        Channel<Message> answers = Channel.CreateUnbounded<Message>();
        Channel<Message> back = Channel.CreateUnbounded<Message>();
        Task<Refusal>? returning = null;
        var toOwner = new AnsweringSender(message =>
        {
            if (message is Commit)
            {
                back.Writer.TryComplete();
                returning = new TargetMove(new AnsweringSender(static _ => { }), back.Reader, TimesFor(null), here)
                    .RunAsync(s_request with { Move = 8, Stay = s_request.Stay.Next() }, world, CancellationToken.None);
                Assert.True(answers.Writer.TryWrite(new Live(s_request.Move)));
            }
        });
        Assert.True(answers.Writer.TryWrite(new Prepared(s_request.Move)));
        Assert.True(answers.Writer.TryWrite(new Restored(s_request.Move, s_there)));
        MoveOutcome outcome = await new OriginMove(toOwner, answers.Reader, TimesFor(null), here)
            .RunAsync(s_request, world, static image => image, CancellationToken.None);

        Assert.True(outcome.IsLive);
        Assert.Equal(RefusalReason.Peer, (await returning!).Reason);
        Assert.Equal(["inspect", "hold", "take", "let go", "finish", "reserve"], world.Steps);
    }

    [Fact]
    public void EveryMessage_WrittenAndRead_IsTheSame()
    {
        var end = new TcpEnd(IpAddress.Parse("fd00::1"), 1);
        var stay = new Stay(ulong.MaxValue, 77);
        Message[] messages =
        [
            s_request, new Prepared(1), new Restored(2, end), new Commit(3), new Live(4),
            new Refused(5, new Refusal(RefusalReason.Address, "why", 7)), new Ended(stay, end, World.Remote, HasNeverLived: true),
            new Moved(stay, end, World.Remote, s_there), new Repointed(stay), new Owned(stay), new Asked(stay), new Decided(stay, true),
            new Sought(8, end, World.Remote), new Found(stay, end, World.Remote, s_there), new NotFound(8, end, World.Remote),
            new Released(stay, end, World.Remote),
            new Heartbeat(),
        ];
        foreach (Message message in messages)
        {
            Assert.Equal(message, ThroughBytes(message));
        }

        AuditItem[] items = [new(stay, end, World.Remote, s_there, true), new(new Stay(1, 1), s_there, end, end, false)];
        Assert.Equal(items, ((Audit)ThroughBytes(new Audit([.. items]))).Items);
        Assert.Throws<ImageFormatException>(() => ThroughBytes(new Audit([.. new AuditItem[Audit.MostItems + 1]])));
    }

    [Fact]
    public async Task OtherStopsReading_OriginKeepsItInTime()
    {
        var world = new World(null);
        Channel<Message> answers = Channel.CreateUnbounded<Message>();
        answers.Writer.TryWrite(new Prepared(7));
        MoveOutcome outcome = await new OriginMove(new StuckSender(), answers.Reader, TimesFor(typeof(Transfer)))
            .RunAsync(s_request, world, static image => image, CancellationToken.None);
        Assert.Equal(RefusalReason.Peer, outcome.Refusal.Reason);
        Assert.True(world.OriginOwns);
    }

    private static async Task<(MoveOutcome Outcome, Refusal There, World World)> RunAsync(
        Type? lost = null, string? refused = null, Type? ends = null)
    {
        var world = new World(refused);
        Channel<Message> toTarget = Channel.CreateUnbounded<Message>();
        Channel<Message> toOrigin = Channel.CreateUnbounded<Message>();
        MoveTimes times = TimesFor(lost);
        var origin = new OriginMove(new Wire(toTarget, toOrigin, lost, ends), toOrigin.Reader, times);
        Task<Refusal> target = AnswerAsync(
            toTarget, new TargetMove(new Wire(toOrigin, toTarget, lost, ends), toTarget.Reader, times), world);
        MoveOutcome outcome = await origin.RunAsync(s_request, world, static image => image, CancellationToken.None);
        toTarget.Writer.TryComplete();
        return (outcome, await target, world);
    }

    /// <summary>Short only where what is waited for never comes: a busy machine may be slow with everything else.</summary>
    private static MoveTimes TimesFor(Type? lost)
    {
        bool isAsked = lost == typeof(Prepare) || lost == typeof(Prepared) || lost == typeof(Commit) || lost == typeof(Live);
        bool isFrozen = lost == typeof(Transfer) || lost == typeof(Restored);
        return new MoveTimes(
            isAsked ? TimeSpan.FromSeconds(2) : s_ever,
            isFrozen ? TimeSpan.FromMilliseconds(50) : s_ever,
            lost == typeof(Commit) ? TimeSpan.FromSeconds(3) : s_ever);
    }

    private static async Task<Refusal> AnswerAsync(Channel<Message> toTarget, TargetMove move, World world)
    {
        try
        {
            return await move.RunAsync((Prepare)await toTarget.Reader.ReadAsync(), world, CancellationToken.None);
        }
        catch (Exception ended) when (ended is ChannelClosedException or InvalidCastException)
        {
            return new Refusal(RefusalReason.Peer, "never asked");
        }
    }

    private static Message ThroughBytes(Message message)
    {
        var bytes = new System.Buffers.ArrayBufferWriter<byte>();
        MessageCodec.Write(message, bytes);
        return MessageCodec.Read(bytes.WrittenMemory[MessageCodec.LengthBytes..]);
    }

    /// <summary>Encodes and decodes, as a real one does.</summary>
    private sealed class Wire(Channel<Message> to, Channel<Message> from, Type? lost, Type? ends) : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            if (message.GetType() == ends)
            {
                to.Writer.TryComplete();
                from.Writer.TryComplete();
            }
            else if (message.GetType() != lost)
            {
                to.Writer.TryWrite(ThroughBytes(message));
            }

            return ValueTask.CompletedTask;
        }
    }

    private sealed class World(string? refused) : IOriginSide, ITargetSide
    {
        public static TcpEnd Remote { get; } = new(IpAddress.Parse("10.2.0.1"), 40000);

        public List<string> Steps { get; } = [];

        public bool OriginOwns { get; private set; } = true;

        public bool TargetOwns { get; private set; }

        public bool TargetHasRemains { get; private set; }

        public Refusal Inspect() => Step("inspect");

        public Refusal Hold() => Step("hold");

        public Refusal TryTake(out ConnectionImage? image)
        {
            Refusal refusal = Step("take");
            OriginOwns = false;
            image = refusal.IsNone ? TestImage.Of(s_request.Known, Remote) with { ReceiveQueue = "GET /"u8.ToArray() } : null;
            return refusal;
        }

        public void GiveBack()
        {
            Step("give back");
            Assert.False(TargetOwns);
            OriginOwns = true;
        }

        public TcpEnd Local => default;

        public Refusal LetGo(TcpEnd target) => Step("let go");

        public void Finish(TcpEnd target) => Step("finish");

        public Refusal TryReserve(Prepare request) => Step("reserve");

        public Refusal TryRestore(Prepare request, ConnectionImage image, out TcpEnd local)
        {
            local = request.Listener;
            Refusal refusal = Step("restore");
            TargetHasRemains = refusal.IsNone;
            return refusal;
        }

        public Refusal GoLive(Prepare request)
        {
            Assert.False(OriginOwns);
            TargetHasRemains = false;
            TargetOwns = true;
            return Step("live");
        }

        public void Drop(Prepare request) => TargetHasRemains = false;

        private Refusal Step(string name)
        {
            lock (Steps)
            {
                Steps.Add(name);
            }

            return name == refused ? new Refusal(RefusalReason.Kernel, name, 5) : Refusal.None;
        }
    }

    private sealed class AnsweringSender(Action<Message> sent) : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation)
        {
            sent(message);
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>Sends what is short, and never finishes with what is long.</summary>
    private sealed class StuckSender : IMessageSender
    {
        public ValueTask SendAsync(Message message, CancellationToken cancellation) =>
            message is Prepare ? ValueTask.CompletedTask : new ValueTask(new TaskCompletionSource().Task);
    }
}
