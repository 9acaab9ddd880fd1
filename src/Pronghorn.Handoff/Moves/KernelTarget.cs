// SPDX-License-Identifier: Apache-2.0
using System;
using System.Security.Cryptography;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>Somebody who takes connections that come to a listener.</summary>
public interface IConnectionTaker
{
    /// <summary>Whether a worker takes connections for a listener now.</summary>
    bool Serves(TcpEnd listener, uint worker);

    /// <summary>Takes a connection that works. The descriptor is the taker's from now on.</summary>
    void Take(TcpEnd listener, uint worker, int fd, ConnectionImage image);
}

/// <summary>The target's side of a move, on the kernel's sockets.</summary>
/// <param name="node">The node.</param>
/// <param name="taker">Who takes connections.</param>
/// <param name="lifetimes">Sees to the entries when the connection ends; null for nobody.</param>
/// <param name="origin">Who is told of the end.</param>
public sealed class KernelTarget(SteeredNode node, IConnectionTaker taker, Lifetimes? lifetimes = null, IMessageSender? origin = null)
    : ITargetSide, IDisposable
{
    // Above the kernel's own choice for connects (ip_local_port_range ends at 60999 by default).
    private const int FirstSpare = 61_000;
    private const int LastSpare = 65_000;
    private const int Tries = 32;

    private int _fd = -1;
    private TcpEnd _local;
    private ConnectionImage? _image;
    private (TcpEnd End, int Interface, uint Epoch)? _formerOwner;

    /// <inheritdoc/>
    public Refusal TryReserve(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return taker.Serves(request.Listener, request.Worker)
            ? Refusal.None
            : new Refusal(RefusalReason.NoWorker, $"no worker {request.Worker} takes connections for {request.Listener}");
    }

    /// <inheritdoc/>
    public Refusal TryRestore(Prepare request, ConnectionImage image, out TcpEnd local)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(image);
        if (IsReturning(request))
        {
            local = request.Known;
            return TryTakeBack(request, image);
        }

        local = request.Listener;
        Refusal refusal = TryMake(image, local);
        for (int i = 0; i < Tries && refusal.Reason == RefusalReason.EndTaken; i++)
        {
            // The same peer has a connection of its own to that port from the same port: this one gets another here.
            local = request.Listener with { Port = (ushort)RandomNumberGenerator.GetInt32(FirstSpare, LastSpare) };
            refusal = TryMake(image, local);
        }

        if (!refusal.IsNone)
        {
            return refusal;
        }

        _local = local;
        _image = image;

        // It may have been here before, and have left something for packets under way.
        lifetimes?.Claim(local, request.Remote);
        node.Layer.ForgetLeft(local, request.Remote);
        return node.Layer.Translate(local, request.Remote, request.Known, request.Epoch) switch
        {
            0 => Refusal.None,
            -Errno.TooBig => new Refusal(RefusalReason.TableFull, "the table of connections taken is full"),
            int result => Refusal.FromKernel("having answers leave under the known address", result),
        };
    }

    /// <inheritdoc/>
    public Refusal GoLive(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        ConnectionImage image = _image ?? throw new InvalidOperationException("nothing was restored");
        Refusal refusal = ConnectionRestore.GoLive(_fd, image);
        if (!refusal.IsNone)
        {
            return refusal;
        }

        if (_formerOwner is not null)
        {
            _formerOwner = null;
            node.Layer.Forget(request.Known, request.Remote);
            node.Held.Replay();
        }

        if (image.State == KernelTcpState.CloseWait)
        {
            Span<byte> frame = stackalloc byte[FinSegment.MaximumLength];
            node.Held.Inject(frame[..FinSegment.Write(image, _local, node.Mac, node.InterfaceIndex, frame)]);
        }

        int fd = _fd;
        _fd = -1;
        if (origin is not null)
        {
            lifetimes?.Watch(fd, request, _local, origin);
        }

        taker.Take(request.Listener, request.Worker, fd, image);
        return Refusal.None;
    }

    /// <inheritdoc/>
    public void Drop(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (_image is not null && !IsReturning(request))
        {
            node.Layer.ForgetTranslation(_local, request.Remote);
        }

        Dispose();
        LeaveWithOwner(request);
    }

    /// <summary>Closes a socket that was restored and nobody took; without a packet.</summary>
    public void Dispose()
    {
        if (_fd >= 0)
        {
            ConnectionCapture.Discard(_fd);
            _ = Libc.Close(_fd);
            _fd = -1;
        }
    }

    /// <summary>Whether it is this node's address that the peer knows: the connection was given away here once.</summary>
    private static bool IsReturning(Prepare request) => request.Known.Address == request.Listener.Address;

    private Refusal TryTakeBack(Prepare request, ConnectionImage image)
    {
        int held = node.Layer.HoldReturning(request.Known, request.Remote, request.Epoch, out (TcpEnd, int, uint) owner);
        if (held < 0)
        {
            return Refusal.FromKernel("a connection that this node did not give away cannot come back", held);
        }

        _formerOwner = owner;
        Refusal refusal = TryMake(image, request.Known);
        if (refusal.IsNone)
        {
            (_local, _image) = (request.Known, image);
        }
        else
        {
            LeaveWithOwner(request);
        }

        return refusal;
    }

    private void LeaveWithOwner(Prepare request)
    {
        if (_formerOwner is { } owner)
        {
            _formerOwner = null;
            node.Layer.Redirect(request.Known, request.Remote, owner.End, owner.Interface, owner.Epoch);
            node.Held.Replay();
        }
    }

    private Refusal TryMake(ConnectionImage image, TcpEnd local)
    {
        int fd = node.OpenSocket(image.IsIpv6);
        if (fd < 0)
        {
            return Refusal.FromKernel("making a socket", fd);
        }

        Refusal refusal = ConnectionRestore.TryFill(fd, image, local);
        if (refusal.IsNone)
        {
            _fd = fd;
        }
        else
        {
            _ = Libc.Close(fd);
        }

        return refusal;
    }
}
