// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Image;

/// <summary>
/// Everything that moves with a TCP connection: what TCP_REPAIR reads out of its socket, its options, and what the application
/// adds. Sequence numbers are RFC 9293's, taken while nothing was sent or received.
/// </summary>
public sealed record ConnectionImage
{
    /// <summary>Whether the socket is of AF_INET6; its addresses may be IPv4 nevertheless.</summary>
    public required bool IsIpv6 { get; init; }

    /// <summary>The end that moves, as the peer knows it.</summary>
    public required TcpEnd Local { get; init; }

    /// <summary>The peer.</summary>
    public required TcpEnd Remote { get; init; }

    /// <summary>Established, CloseWait (the peer has sent its FIN) or FinWait1 (the application has shut its side).</summary>
    public required KernelTcpState State { get; init; }

    /// <summary>
    /// Number of the byte that the application would write next: behind all of <see cref="SendQueue"/>. A FIN is not counted.
    /// </summary>
    public required uint WriteSequence { get; init; }

    /// <summary>RCV.NXT: behind all of <see cref="ReceiveQueue"/>. A FIN of the peer is counted.</summary>
    public required uint RcvNxt { get; init; }

    /// <summary>Bytes written by the application and not acknowledged, oldest first.</summary>
    public required ReadOnlyMemory<byte> SendQueue { get; init; }

    /// <summary>Of <see cref="SendQueue"/>, how many at its end were never sent.</summary>
    public required int Unsent { get; init; }

    /// <summary>Bytes received and not read by the application, oldest first.</summary>
    public required ReadOnlyMemory<byte> ReceiveQueue { get; init; }

    /// <summary>Options that both ends agreed on.</summary>
    public required TcpNegotiated Negotiated { get; init; }

    /// <summary>The peer's MSS in bytes, clamped.</summary>
    public required ushort MaximumSegment { get; init; }

    /// <summary>Bits by which the peer's windows are shifted, 0 to 14.</summary>
    public required byte SendScale { get; init; }

    /// <summary>Bits by which this end's windows are shifted, 0 to 14.</summary>
    public required byte ReceiveScale { get; init; }

    /// <summary>The clock of timestamps at the moment of the snapshot, or a moment later, as TCP_REPAIR takes it.</summary>
    public required uint Timestamp { get; init; }

    /// <summary>Both windows.</summary>
    public required TcpRepairWindow Window { get; init; }

    /// <summary>Socket options, by their place in <see cref="Sockets.SocketOptions"/>.</summary>
    public ImmutableArray<SavedOption> Options { get; init; } = [];

    /// <summary>What the application read of the stream and wants read again by the new owner, oldest first.</summary>
    public ReadOnlyMemory<byte> Consumed { get; init; }

    /// <summary>Whatever else the application sends along; nobody looks into it.</summary>
    public ReadOnlyMemory<byte> Tag { get; init; }

    /// <summary>Whether a socket made of it needs no more than to leave repair: no bytes unsent, no FIN of either side's.</summary>
    public bool IsWhole => Unsent == 0 && State == KernelTcpState.Established;
}

/// <summary>A socket option and its value.</summary>
/// <param name="Id">Number in the table of options that are carried; not the kernel's.</param>
/// <param name="Value">The value as getsockopt gives it.</param>
public readonly record struct SavedOption(byte Id, ReadOnlyMemory<byte> Value)
{
    /// <inheritdoc/>
    public bool Equals(SavedOption other) => Id == other.Id && Value.Span.SequenceEqual(other.Value.Span);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Id, Value.Length);
}
