// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Steering;

// These mirror bpf/common/handoff_maps.h.

/// <summary>An address as the maps hold it: 16 octets in network order, IPv4 mapped.</summary>
[InlineArray(IpAddress.Ipv6Length)]
internal struct MapAddress
{
    private byte _first;

    internal static MapAddress From(IpAddress address)
    {
        MapAddress made = default;
        address.WriteIpv6(made);
        return made;
    }

    internal readonly bool IsZero => !((ReadOnlySpan<byte>)this).ContainsAnyExcept((byte)0);

    internal readonly IpAddress ToAddress()
    {
        ReadOnlySpan<byte> bytes = this;
        return IpAddress.ReadIpv6(bytes);
    }
}

/// <summary>struct handoff_connection.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ConnectionKey : IEquatable<ConnectionKey>
{
    internal MapAddress Remote;
    internal MapAddress Local;
    internal ushort RemotePort;
    internal ushort LocalPort;

    internal static ConnectionKey Create(TcpEnd local, TcpEnd remote) => new()
    {
        Remote = MapAddress.From(remote.Address),
        Local = MapAddress.From(local.Address),
        RemotePort = BinaryPrimitives.ReverseEndianness(remote.Port),
        LocalPort = BinaryPrimitives.ReverseEndianness(local.Port),
    };

    /// <inheritdoc/>
    public readonly bool Equals(ConnectionKey other) => RemotePort == other.RemotePort && LocalPort == other.LocalPort
        && ((ReadOnlySpan<byte>)Remote).SequenceEqual(other.Remote) && ((ReadOnlySpan<byte>)Local).SequenceEqual(other.Local);

    /// <inheritdoc/>
    public override readonly bool Equals(object? other) => other is ConnectionKey key && Equals(key);

    /// <inheritdoc/>
    public override readonly int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Remote);
        hash.AddBytes(Local);
        hash.Add(RemotePort);
        hash.Add(LocalPort);
        return hash.ToHashCode();
    }

    internal readonly TcpEnd LocalEnd => new(Local.ToAddress(), BinaryPrimitives.ReverseEndianness(LocalPort));

    internal readonly TcpEnd RemoteEnd => new(Remote.ToAddress(), BinaryPrimitives.ReverseEndianness(RemotePort));
}

/// <summary>enum handoff_mode.</summary>
public enum SteeringMode : uint
{
    /// <summary>Packets of the peer wait; nothing leaves.</summary>
    Hold = 1,

    /// <summary>Packets of the peer go to the new owner.</summary>
    Redirect = 2,

    /// <summary>The connection has ended at the new owner, whose TIME-WAIT still answers; a SYN begins another one, here.</summary>
    Tombstone = 3,

    /// <summary>At a shared address, and not known here: packets wait while the other nodes are asked.</summary>
    Sought = 4,

    /// <summary>Every node was asked, and none has it: the kernel answers, for a moment.</summary>
    Unknown = 5,

    /// <summary>Not every node could be asked: packets are dropped, for a moment.</summary>
    Unanswered = 6,
}

/// <summary>struct handoff_inbound.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct InboundEntry
{
    internal SteeringMode Mode;
    internal uint Epoch;
    internal ulong Connection;
    internal MapAddress Target;
    internal MapAddress Via;
    internal ushort TargetPort;
    internal ushort Returning;
    internal uint Interface;
    internal ulong LastSeen;
    internal ulong Packets;
    internal ulong Bytes;

    internal readonly Stay Stay => new(Connection, Epoch);

    internal readonly TcpEnd TargetEnd => new(Target.ToAddress(), BinaryPrimitives.ReverseEndianness(TargetPort));

    internal readonly GivenEntry At(ConnectionKey key) => new(
        Mode, key.LocalEnd, key.RemoteEnd, TargetEnd, (int)Interface, Stay, Via.IsZero ? null : Via.ToAddress());
}

/// <summary>struct handoff_outbound.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct OutboundEntry
{
    internal ulong Connection;
    internal MapAddress Source;
    internal MapAddress Anchor;
    internal ushort SourcePort;
    internal ushort IsLive;
    internal uint Epoch;
    internal ulong Packets;
    internal ulong Bytes;

    internal readonly TakenEntry At(ConnectionKey key) => new(
        key.LocalEnd, key.RemoteEnd, new TcpEnd(Source.ToAddress(), BinaryPrimitives.ReverseEndianness(SourcePort)),
        new Stay(Connection, Epoch), IsLive != 0, Anchor.ToAddress());
}

/// <summary>struct handoff_seeking.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SeekingEntry
{
    internal ulong AsksUntil;
    internal ulong DropsUntil;
    internal ulong Next;
}

/// <summary>enum handoff_counter: packets, and where the name says so bytes of packets, since the programs were loaded first.</summary>
public enum SteeringCounter
{
    /// <summary>Held during a move.</summary>
    Held,

    /// <summary>Sent on to a new owner.</summary>
    Redirected,

    /// <summary>Sent under the first owner's address.</summary>
    Translated,

    /// <summary>Held, and given to this node after all.</summary>
    Returned,

    /// <summary>Dropped: cannot be rewritten.</summary>
    DropMalformed,

    /// <summary>Dropped: its hop limit is used up.</summary>
    DropHopLimit,

    /// <summary>
    /// Dropped: this node's own, for a connection that it gave away, or a reset for one that does not go on here yet, or for a SYN that
    /// came by another node after one had ended.
    /// </summary>
    DropOwn,

    /// <summary>Dropped: to be held, and no daemon is there to hold it.</summary>
    DropNoHold,

    /// <summary>ICMP errors about what a new owner sent, sent on to it.</summary>
    ErrorsRedirected,

    /// <summary>Dropped: larger than the interface to the new owner takes.</summary>
    DropTooBig,

    /// <summary>The peer was told by an ICMP error that one was too large; errors are limited in number.</summary>
    TooBigAnswered,

    /// <summary>Bytes of the packets sent on to a new owner, with their headers.</summary>
    RedirectedBytes,

    /// <summary>Bytes of the packets sent under the first owner's address, with their headers.</summary>
    TranslatedBytes,

    /// <summary>First packets of connections at a shared address that other nodes were asked for.</summary>
    Sought,

    /// <summary>Dropped: too many connections at shared addresses are asked for at once.</summary>
    DropSeekLimit,

    /// <summary>Dropped: not every node could be asked for the connection.</summary>
    DropUnanswered,

    /// <summary>How many there are.</summary>
    Count,
}
