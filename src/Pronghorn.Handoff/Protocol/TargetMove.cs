// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// A move as its target sees it. What it has prepared it keeps for the time of a lease; only a commit makes it the owner. What it has
/// restored it keeps longer when the origin goes away, which may have decided.
/// </summary>
/// <param name="sender">To the origin.</param>
/// <param name="messages">What the origin says of this move.</param>
/// <param name="times">How long to wait.</param>
/// <param name="unsettled">Moves whose origin went away before the decision was heard; null: they are given up.</param>
/// <param name="origin">The origin, over whatever stream there is; null: the one of <paramref name="sender"/> only.</param>
public sealed class TargetMove(
    IMessageSender sender,
    ChannelReader<Message> messages,
    MoveTimes times,
    Unsettled? unsettled = null,
    IMessageSender? origin = null)
{
    // A longer image takes so long to restore that whoever brings messages must not wait for it: other moves would.
    private const int LargestInPlace = 64 * 1024;

    /// <summary>Answers one move to its end.</summary>
    /// <returns>None, or why the connection did not come.</returns>
    public async Task<Refusal> RunAsync(Prepare request, ITargetSide side, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(side);
        if (unsettled is not null)
        {
            // Less than the origin waits for the answer.
            await unsettled.WaitForDepartureAsync(request.Known, request.Remote, times.Answer / 2);
        }

        Refusal refusal = side.TryReserve(request);
        if (!refusal.IsNone)
        {
            return await RefuseAsync(request, refusal, cancellation);
        }

        bool isLive = false;
        try
        {
            await sender.SendAsync(new Prepared(request.Move), cancellation);
            if ((await NextAsync(cancellation)).Message is not Transfer transfer)
            {
                return new Refusal(RefusalReason.Peer, "the origin gave up before it sent the connection");
            }

            if (transfer.Image.Length > LargestInPlace)
            {
                await Task.Yield();
            }

            refusal = Restore(request, side, transfer, out TcpEnd local);
            if (!refusal.IsNone)
            {
                return await RefuseAsync(request, refusal, cancellation);
            }

            await sender.SendAsync(new Restored(request.Move, local), cancellation);
            if (!await IsCommittedAsync(request.Stay, cancellation))
            {
                return new Refusal(RefusalReason.Peer, "the origin kept the connection");
            }

            if (transfer.Image.Length > LargestInPlace)
            {
                await Task.Yield();
            }

            refusal = side.GoLive(request);
            isLive = refusal.IsNone;
            await sender.SendAsync(isLive ? new Live(request.Move) : new Refused(request.Move, refusal), cancellation);
            return refusal;
        }
        finally
        {
            if (!isLive)
            {
                side.Drop(request);
            }
        }
    }

    private static Refusal Restore(Prepare request, ITargetSide side, Transfer transfer, out TcpEnd local)
    {
        local = default;
        ConnectionImage image;
        try
        {
            image = ImageCodec.Read(transfer.Image);
        }
        catch (ImageFormatException mistake)
        {
            return new Refusal(RefusalReason.Refused, mistake.Message);
        }

        return image.Remote == request.Remote && image.IsIpv6 == request.IsIpv6
            ? side.TryRestore(request, image, out local)
            : new Refusal(RefusalReason.Refused, $"the image is of a connection with {image.Remote}, not {request.Remote}");
    }

    private async Task<Refusal> RefuseAsync(Prepare request, Refusal refusal, CancellationToken cancellation)
    {
        await sender.SendAsync(new Refused(request.Move, refusal), cancellation);
        return refusal;
    }

    private async Task<bool> IsCommittedAsync(Stay stay, CancellationToken cancellation)
    {
        (Message? message, bool isHeard) = await NextAsync(cancellation);
        return message is Commit
            || (!isHeard && unsettled is not null && await unsettled.AskForDecisionAsync(stay, origin ?? sender, times.Doubt));
    }

    /// <summary>The next message. Null, and not heard, when none comes in the time of the lease, or the origin has gone.</summary>
    private async Task<(Message? Message, bool IsHeard)> NextAsync(CancellationToken cancellation)
    {
        using var lease = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        lease.CancelAfter(times.Lease);
        try
        {
            return (await messages.ReadAsync(lease.Token), true);
        }
        catch (Exception ended) when (ended is OperationCanceledException or ChannelClosedException)
        {
            return (null, false);
        }
    }
}
