// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>The origin's side of a move, on a connection of the kernel.</summary>
/// <param name="node">The node.</param>
/// <param name="fd">The connection; the caller's to close, after the move too.</param>
/// <param name="local">The end that it has here.</param>
/// <param name="request">What the target was asked.</param>
/// <param name="lifetimes">Knows whether the connection came from another node; null for nobody.</param>
public sealed class KernelOrigin(SteeredNode node, int fd, TcpEnd local, Prepare request, Lifetimes? lifetimes = null) : IOriginSide
{
    private InspectedConnection? _inspected;
    private TimeSpan _spent;

    /// <inheritdoc/>
    public TcpEnd Local => local;

    /// <inheritdoc/>
    public Refusal Inspect() => ConnectionCapture.TryInspect(fd, out _inspected);

    /// <inheritdoc/>
    public Refusal Hold()
    {
        long began = Stopwatch.GetTimestamp();
        int result = lifetimes is null
            ? node.Layer.Tables.Hold(local, request.Remote, request.Stay) : lifetimes.Hold(fd, local, request);
        _spent += Stopwatch.GetElapsedTime(began);
        return result switch
        {
            0 => Refusal.None,
            -Errno.Exists => new Refusal(RefusalReason.Busy, "the connection is being moved already"),
            -Errno.TryAgain => new Refusal(RefusalReason.Busy, "the peer's packets have just come by another node than before"),
            -Errno.TooBig => new Refusal(RefusalReason.TableFull, "the table of connections given away is full"),
            _ => Refusal.FromKernel("holding the peer's packets", result),
        };
    }

    /// <inheritdoc/>
    public Refusal TryTake(out ConnectionImage? image)
    {
        long began = Stopwatch.GetTimestamp();
        Refusal refusal = _inspected is null
            ? ConnectionCapture.TryTake(fd, out image) : ConnectionCapture.TryTake(fd, _inspected, out image);
        _spent += Stopwatch.GetElapsedTime(began);
        return refusal;
    }

    /// <inheritdoc/>
    public void GiveBack()
    {
        // The socket first: what was held must find it awake.
        ConnectionCapture.GiveBack(fd, _inspected?.Options ?? default);
        node.Layer.Tables.Forget(local, request.Remote);
        node.Held.Replay();
    }

    /// <inheritdoc/>
    public Refusal LetGo(TcpEnd target)
    {
        long began = Stopwatch.GetTimestamp();
        // Back at the node that the peer's packets come by it has an end that this one may have too.
        IpAddress? via = target == request.Known && node.SharedAddresses.Contains(target.Address)
            ? node.AddressOfNode(request.Anchor, !target.Address.IsIpv4) : null;
        int result = node.Layer.Tables.Redirect(local, request.Remote, target, node.InterfaceIndex, request.Stay, via);
        node.Held.Replay();
        node.Durations.Captures.Add(_spent + Stopwatch.GetElapsedTime(began));
        return result == 0 ? Refusal.None : Refusal.FromKernel("redirecting the peer's packets", result);
    }

    /// <inheritdoc/>
    public void Finish(TcpEnd target)
    {
        // Before the socket goes, which would look like the connection's end.
        lifetimes?.Leave(fd, target, request.Stay);
        ConnectionCapture.Discard(fd);
    }
}
