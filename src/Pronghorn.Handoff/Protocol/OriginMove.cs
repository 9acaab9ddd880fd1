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
/// any failure leaves the connection here, working; from then on it is the target's, whatever happens. The origin alone decides, so
/// that there are never two owners: the target stays silent until it is told to go on.
/// </summary>
public sealed class OriginMove(IMessageSender sender, ChannelReader<Message> answers, MoveTimes times)
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
        (Prepared? prepared, Refusal refusal) = await AskAsync<Prepared>(request, times.Answer, cancellation);
        if (prepared is null)
        {
            return GiveUp(request.Move, refusal, default);
        }

        long began = Stopwatch.GetTimestamp();
        refusal = side.Hold();
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
        (Restored? restored, refusal) = await AskAsync<Restored>(
            new Transfer(request.Move, bytes.WrittenMemory), times.Freeze, cancellation);
        if (restored is null)
        {
            side.GiveBack();
            return GiveUp(request.Move, refusal, Stopwatch.GetElapsedTime(began));
        }

        side.LetGo(restored.Local);
        TimeSpan freeze = Stopwatch.GetElapsedTime(began);
        (Live? live, _) = await AskAsync<Live>(new Commit(request.Move), times.Answer, CancellationToken.None);
        return new MoveOutcome(Refusal.None, freeze, restored.Local, live is not null);
    }

    private MoveOutcome GiveUp(ulong move, Refusal refusal, TimeSpan freeze)
    {
        // Not waited for: the other's lease ends by itself.
        _ = sender.SendAsync(new Refused(move, refusal), CancellationToken.None).AsTask();
        return new MoveOutcome(refusal, freeze, default, IsLive: false);
    }

    private async Task<(T? Answer, Refusal Refusal)> AskAsync<T>(Message question, TimeSpan time, CancellationToken cancellation)
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
                        return (answer, Refusal.None);
                    case Refused refused:
                        return (null, refused.Refusal);
                    default:
                        // Late, of a step that is past.
                        break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            return (null, new Refusal(
                RefusalReason.Peer, cancellation.IsCancellationRequested ? "the move was given up" : $"no answer to {typeof(T).Name}"));
        }
        catch (ChannelClosedException)
        {
            return (null, new Refusal(RefusalReason.Peer, "the connection to the other daemon has ended"));
        }
    }
}

/// <summary>How long daemons wait for each other.</summary>
/// <param name="Answer">For an answer while nothing is held.</param>
/// <param name="Freeze">For the target to restore the connection, whose segments are held.</param>
/// <param name="Lease">How long a target keeps what it has prepared or restored without hearing of it: longer than both.</param>
public sealed record MoveTimes(TimeSpan Answer, TimeSpan Freeze, TimeSpan Lease)
{
    /// <summary>2 s, 500 ms and 5 s.</summary>
    public static MoveTimes Default { get; } = new(TimeSpan.FromSeconds(2), TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(5));
}
