// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Threading;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>Somebody who takes connections that come to a listener.</summary>
public interface IConnectionTaker
{
    /// <summary>Whether a worker takes connections for a listener now.</summary>
    bool Serves(TcpEnd listener, uint worker);

    /// <summary>Most bytes that an application may send along.</summary>
    int LargestContent { get; }

    /// <summary>
    /// Gives a worker a connection that is silent still: should this daemon end now, the worker has it, and brings it to the next one.
    /// </summary>
    /// <param name="listener">The listener that it came for.</param>
    /// <param name="worker">Index of the worker.</param>
    /// <param name="fd">The connection; the caller's to close.</param>
    /// <param name="image">The connection, for what its application sent along.</param>
    /// <param name="given">Ends the worker's waiting; null when refused.</param>
    Refusal TryGive(TcpEnd listener, uint worker, int fd, ConnectionImage image, out IGivenConnection? given);
}

/// <summary>A connection that a worker has and does not use yet.</summary>
public interface IGivenConnection
{
    /// <summary>The worker uses it, or closes it if it is not live.</summary>
    void Release(bool isLive);
}

/// <summary>The target's side of a move, on the kernel's sockets.</summary>
/// <param name="node">The node.</param>
/// <param name="taker">Who takes connections.</param>
/// <param name="lifetimes">Sees to the entries when the connection ends; null for nobody.</param>
/// <param name="anchor">Who is told of the end; null for nobody.</param>
public sealed class KernelTarget(SteeredNode node, IConnectionTaker taker, Lifetimes? lifetimes = null, IMessageSender? anchor = null)
    : ITargetSide, IDisposable
{
    // No client connects to them: to the listener's own port one could at any time, from the port that a connection has that came.
    // Above the kernel's own choice for connects (ip_local_port_range ends at 60999 by default).
    private const int FirstSpare = 61_000;
    private const int LastSpare = 65_000;
    private const int Tries = 32;

    private static readonly Refusal s_takenFull = new(RefusalReason.TableFull, "the table of connections taken is full");

    private PreparedSocket? _prepared;
    private int _fd = -1;
    private TcpEnd _local;
    private ConnectionImage? _image;
    private GivenEntry? _formerOwner;

    /// <inheritdoc/>
    public Refusal TryReserve(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!taker.Serves(request.Listener, request.Worker))
        {
            return new Refusal(RefusalReason.NoWorker, $"no worker {request.Worker} takes connections for {request.Listener}");
        }

        // Now, while the connection is not held yet; moves under way together may fill it nevertheless.
        bool isReturning = IsReturning(request);
        if (!isReturning && node.Layer.Tables.IsTakenFull)
        {
            return s_takenFull;
        }

        // The firewall has seen its beginning, and nothing of what went by while it was away.
        if (isReturning && node.Layer.Tables.FindGiven(request.Known, request.Remote, out _))
        {
            node.Tracking?.SetLiberal(request.Known, request.Remote);
        }

        return ConnectionRestore.TryPrepare(node.OpenSocket(request.IsIpv6), out _prepared);
    }

    /// <inheritdoc/>
    public Refusal TryRestore(Prepare request, ConnectionImage image, out TcpEnd local)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(image);
        long began = Stopwatch.GetTimestamp();
        Refusal refusal = Restore(request, image, out local);
        if (refusal.IsNone)
        {
            node.Durations.Restores.Add(Stopwatch.GetElapsedTime(began));
        }

        return refusal;
    }

    private Refusal Restore(Prepare request, ConnectionImage image, out TcpEnd local)
    {
        local = default;
        if (image.Consumed.Length + image.Tag.Length > taker.LargestContent)
        {
            return new Refusal(RefusalReason.Limit, string.Create(
                CultureInfo.InvariantCulture, $"what goes along is longer than the {taker.LargestContent} bytes that a worker is given"));
        }

        if (IsReturning(request))
        {
            local = request.Known;
            return TryTakeBack(request, image);
        }

        local = request.Listener with { Port = FirstSpare };
        Refusal refusal = TryMake(image, local);
        for (int i = 0; i < Tries && refusal.Reason == RefusalReason.EndTaken; i++)
        {
            // The same peer has a connection from the same port that came by another node.
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
        node.Layer.Tables.ForgetGiven(local, request.Remote);
        return node.Layer.Tables.Translate(local, request.Remote, request.Known, request.Stay, request.Anchor) switch
        {
            0 => HoldUntilLive(request),
            -Errno.TooBig => s_takenFull,
            int result => Refusal.FromKernel("having answers leave under the known address", result),
        };
    }

    // In repair a socket still takes segments, and acknowledges them: what it has and nobody else would be lost with this daemon.
    private Refusal HoldUntilLive(Prepare request) => node.Layer.Tables.Hold(_local, request.Remote, request.Stay) switch
    {
        0 => Refusal.None,
        -Errno.TooBig => new Refusal(RefusalReason.TableFull, "the table of connections given away is full"),
        int result => Refusal.FromKernel("holding what comes before the connection works here", result),
    };

    /// <inheritdoc/>
    public Refusal GoLive(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        ConnectionImage image = _image ?? throw new InvalidOperationException("nothing was restored");
        if (!image.IsWhole)
        {
            node.Images?.TrySave(_local, request.Remote, image);
        }

        try
        {
            Refusal refusal = taker.TryGive(request.Listener, request.Worker, _fd, image, out IGivenConnection? given);
            return refusal.IsNone ? GoLive(request, image, given) : refusal;
        }
        finally
        {
            if (!image.IsWhole)
            {
                node.Images?.Forget(_local, request.Remote);
            }
        }
    }

    private Refusal GoLive(Prepare request, ConnectionImage image, IGivenConnection? given)
    {
        // From here on a daemon that comes after this one finishes it, with what the worker brings. Its own packets may leave now.
        if (_formerOwner is null)
        {
            node.Layer.Tables.SetLive(_local, request.Remote);
        }

        node.Layer.Tables.Forget(_local, request.Remote);
        Refusal refusal = ConnectionRestore.GoLive(_fd, image);
        if (!refusal.IsNone)
        {
            given?.Release(isLive: false);
            return refusal;
        }

        _formerOwner = null;
        node.Held.Replay();
        FinSegment.Inject(image, _local, node, _fd);
        if (anchor is not null)
        {
            lifetimes?.Watch(_fd, request, _local, anchor);
        }

        given?.Release(isLive: true);
        _ = Libc.Close(_fd);
        _fd = -1;
        return Refusal.None;
    }

    /// <inheritdoc/>
    public void Drop(Prepare request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (_image is not null && !IsReturning(request))
        {
            lifetimes?.Unclaim(_local, request.Remote);
            node.Layer.Tables.Forget(_local, request.Remote);
            node.Layer.Tables.ForgetTranslation(_local, request.Remote);
        }

        Dispose();
        LeaveWithOwner(request);
    }

    /// <summary>Closes a socket that was restored and nobody took; without a packet.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _prepared, null) is { } unused)
        {
            _ = Libc.Close(unused.Descriptor);
        }

        if (_fd >= 0)
        {
            ConnectionCapture.Discard(_fd);
            _ = Libc.Close(_fd);
            _fd = -1;
        }
    }

    /// <summary>Whether the peer's packets come by this node: the connection was given away here once.</summary>
    private bool IsReturning(Prepare request) =>
        request.Anchor == request.Listener.Address || node.Addresses.Contains(request.Anchor);

    private Refusal TryTakeBack(Prepare request, ConnectionImage image)
    {
        int held = node.Layer.Tables.HoldReturning(request.Known, request.Remote, request.Stay, out GivenEntry owner);
        if (held == -Errno.NoEntry)
        {
            return new Refusal(RefusalReason.Busy, "the peer's packets do not come by this node, to which it would come back");
        }

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
            node.Layer.Tables.Redirect(request.Known, request.Remote, owner.Target, owner.InterfaceIndex, owner.Stay, owner.Via);
            node.Held.Replay();
        }
    }

    private Refusal TryMake(ConnectionImage image, TcpEnd local)
    {
        PreparedSocket? socket = Interlocked.Exchange(ref _prepared, null);
        Refusal refusal = socket is not null ? Refusal.None : ConnectionRestore.TryPrepare(node.OpenSocket(image.IsIpv6), out socket);
        refusal = socket is null ? refusal : ConnectionRestore.TryFill(socket, image, local);
        if (refusal.IsNone)
        {
            _fd = socket!.Descriptor;
        }
        else if (socket is not null)
        {
            _ = Libc.Close(socket.Descriptor);
        }

        return refusal;
    }
}
