// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Diagnostics;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>How a move ended.</summary>
/// <param name="Refusal">None, or why the connection stayed.</param>
/// <param name="Freeze">How long the peer's segments were held; zero when they were not.</param>
/// <param name="Target">The end that the connection has at its new owner.</param>
/// <param name="IsLive">Whether the new owner has said that it works there; it may not have come to that.</param>
public readonly record struct MoveOutcome(Refusal Refusal, TimeSpan Freeze, TcpEnd Target, bool IsLive);

/// <summary>
/// A move as its origin sees it: prepare, hold, snapshot, transfer, and when the target has restored it: redirect, commit. Until then
/// any failure leaves the connection here, working; from then on it is the target's. The origin alone decides, so that there are never
/// two owners: the target stays silent until it is told to go on. The origin's socket is kept, silent, until the target has said that
/// the connection works there: should the target's daemon end just then, it says so when it is back, and the connection goes on here.
/// </summary>
/// <param name="sender">To the target.</param>
/// <param name="answers">What the target says of this move.</param>
/// <param name="times">How long to wait.</param>
/// <param name="unsettled">Moves whose target went away at the decision; null: what is decided is not asked for again.</param>
public sealed class OriginMove(IMessageSender sender, ChannelReader<Message> answers, MoveTimes times, Unsettled? unsettled = null)
{
    /// <summary>Makes the move.</summary>
    /// <param name="request">What the target is asked first.</param>
    /// <param name="side">The connection.</param>
    /// <param name="complete">Adds what the application sends along.</param>
    /// <param name="cancellation">Gives the move up, as long as that can be.</param>
    public async Task<MoveOutcome> RunAsync(
        Prepare request, IOriginSide side, Func<ConnectionImage, ConnectionImage> complete, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(side);
        ArgumentNullException.ThrowIfNull(complete);
        (Prepared? prepared, Refusal refusal, _) = await AskAsync<Prepared>(request, times.Answer, cancellation);
        if (prepared is null)
        {
            return GiveUp(request.Move, refusal, default);
        }

        refusal = side.Inspect();
        long began = Stopwatch.GetTimestamp();
        refusal = refusal.IsNone ? side.Hold() : refusal;
        if (!refusal.IsNone)
        {
            return GiveUp(request.Move, refusal, default);
        }

        refusal = side.TryTake(out ConnectionImage? image);
        if (!refusal.IsNone || image is null)
        {
            side.GiveBack();
            return GiveUp(request.Move, refusal, Stopwatch.GetElapsedTime(began));
        }

        var bytes = new ArrayBufferWriter<byte>(image.SendQueue.Length + image.ReceiveQueue.Length + 512);
        ImageCodec.Write(complete(image), bytes);
        (Restored? restored, refusal, _) = await AskAsync<Restored>(
            new Transfer(request.Move, bytes.WrittenMemory), times.Freeze, cancellation);
        if (restored is null)
        {
            side.GiveBack();
            return GiveUp(request.Move, refusal, Stopwatch.GetElapsedTime(began));
        }

        refusal = side.LetGo(restored.Local);
        TimeSpan freeze = Stopwatch.GetElapsedTime(began);
        if (!refusal.IsNone)
        {
            side.GiveBack();
            return GiveUp(request.Move, refusal, freeze);
        }

        TaskCompletionSource? departure = unsettled?.BeginDeparture(request.Known, request.Remote);
        try
        {
            return await FinishAsync(request, side, restored.Local, freeze);
        }
        finally
        {
            if (departure is not null)
            {
                unsettled?.EndDeparture(request.Known, request.Remote, departure);
            }
        }
    }

    private async Task<MoveOutcome> FinishAsync(Prepare request, IOriginSide side, TcpEnd target, TimeSpan freeze)
    {
        (Live? live, Refusal refusal, bool isRefused) = await AskAsync<Live>(
            new Commit(request.Move), times.Answer, CancellationToken.None);
        bool? isOwned = live is not null ? true : isRefused ? false : null;
        if (isOwned is null && unsettled is not null)
        {
            var item = new AuditItem(request.Stay, side.Local, request.Remote, target, IsUnsettled: true);
            isOwned = await unsettled.WaitForOwnerAsync(item, times.Settle);
        }

        if (isOwned is false)
        {
            side.GiveBack();
            return new MoveOutcome(refusal, freeze, default, IsLive: false);
        }

        side.Finish(target);
        return new MoveOutcome(Refusal.None, freeze, target, isOwned is true);
    }

    private MoveOutcome GiveUp(ulong move, Refusal refusal, TimeSpan freeze)
    {
        // Not waited for: the other's lease ends by itself.
        _ = sender.SendAsync(new Refused(move, refusal), CancellationToken.None).AsTask();
        return new MoveOutcome(refusal, freeze, default, IsLive: false);
    }

    private async Task<(T? Answer, Refusal Refusal, bool IsRefused)> AskAsync<T>(
        Message question, TimeSpan time, CancellationToken cancellation)
        where T : Message
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(time);
        try
        {
            // The other may have stopped reading: sending has no limit of its own, as half a message would end all that follow.
            await sender.SendAsync(question, limit.Token).AsTask().WaitAsync(limit.Token);
            while (true)
            {
                switch (await answers.ReadAsync(limit.Token))
                {
                    case T answer:
                        return (answer, Refusal.None, false);
                    case Refused refused:
                        return (null, refused.Refusal, true);
                    default:
                        // Late, of a step that is past.
                        break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            string what = cancellation.IsCancellationRequested ? "the move was given up" : $"{typeof(T).Name} did not come in time";
            return (null, new Refusal(RefusalReason.Peer, what), false);
        }
        catch (ChannelClosedException)
        {
            return (null, new Refusal(RefusalReason.Peer, "the connection to the other daemon has ended"), false);
        }
    }
}

/// <summary>How long daemons wait for each other.</summary>
/// <param name="Answer">For an answer while nothing is held.</param>
/// <param name="Freeze">For the target to restore the connection, whose segments are held.</param>
/// <param name="Lease">How long a target keeps what it has prepared or restored without hearing of it: longer than both.</param>
public sealed record MoveTimes(TimeSpan Answer, TimeSpan Freeze, TimeSpan Lease)
{
    /// <summary>How long an origin that has decided waits for a target that went away: longer than its daemon needs to be back.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a target keeps what it restored when the origin went away before it decided.</summary>
    public TimeSpan Doubt { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How often each says that it works. Three times as long without a byte, and no move is begun.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>2 s, 500 ms and 5 s.</summary>
    public static MoveTimes Default { get; } = new(TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(5));
}
