// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// A move as its target sees it. What it has prepared or restored it keeps for the time of a lease; only a commit makes it the owner.
/// </summary>
public sealed class TargetMove(IMessageSender sender, ChannelReader<Message> messages, MoveTimes times)
{
    /// <summary>Answers one move to its end.</summary>
    /// <returns>None, or why the connection did not come.</returns>
    public async Task<Refusal> RunAsync(Prepare request, ITargetSide side, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(side);
        Refusal refusal = side.TryReserve(request);
        if (!refusal.IsNone)
        {
            return await RefuseAsync(request, refusal, cancellation);
        }

        bool isLive = false;
        try
        {
            await sender.SendAsync(new Prepared(request.Move), cancellation);
            if (await NextAsync<Transfer>(cancellation) is not { } transfer)
            {
                return new Refusal(RefusalReason.Peer, "the origin gave up before it sent the connection");
            }

            refusal = Restore(request, side, transfer, out TcpEnd local);
            if (!refusal.IsNone)
            {
                return await RefuseAsync(request, refusal, cancellation);
            }

            await sender.SendAsync(new Restored(request.Move, local), cancellation);
            if (await NextAsync<Commit>(cancellation) is null)
            {
                return new Refusal(RefusalReason.Peer, "the origin kept the connection");
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

    /// <summary>The next message, if it is of a type; null when it is a refusal, another, or none comes in the time of the lease.</summary>
    private async Task<T?> NextAsync<T>(CancellationToken cancellation)
        where T : Message
    {
        using var lease = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        lease.CancelAfter(times.Lease);
        try
        {
            return await messages.ReadAsync(lease.Token) as T;
        }
        catch (Exception ended) when (ended is OperationCanceledException or ChannelClosedException)
        {
            return null;
        }
    }
}
