// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>ICMP message types (RFC 792).</summary>
public enum Icmpv4Type : byte
{
    /// <summary>Answer to an echo request.</summary>
    EchoReply = 0,

    /// <summary>A packet could not be delivered.</summary>
    DestinationUnreachable = 3,

    /// <summary>Deprecated (RFC 6633).</summary>
    SourceQuench = 4,

    /// <summary>A shorter way exists.</summary>
    Redirect = 5,

    /// <summary>Echo request.</summary>
    Echo = 8,

    /// <summary>The hop limit ran out, or reassembly took too long.</summary>
    TimeExceeded = 11,

    /// <summary>A header field was not understood.</summary>
    ParameterProblem = 12,
}

/// <summary>Codes of <see cref="Icmpv4Type.DestinationUnreachable"/> (RFC 792, RFC 1122 3.2.2.1).</summary>
public static class Icmpv4Code
{
    /// <summary>No route to the network.</summary>
    public const byte NetworkUnreachable = 0;

    /// <summary>The host does not answer.</summary>
    public const byte HostUnreachable = 1;

    /// <summary>The host does not speak the protocol: a hard error.</summary>
    public const byte ProtocolUnreachable = 2;

    /// <summary>Nobody has the port: a hard error.</summary>
    public const byte PortUnreachable = 3;

    /// <summary>The packet is too big and may not be fragmented; the next hop's MTU is given (RFC 1191 4).</summary>
    public const byte FragmentationNeeded = 4;

    /// <summary>The source route failed.</summary>
    public const byte SourceRouteFailed = 5;

    /// <summary>A filter forbids the network.</summary>
    public const byte NetworkProhibited = 9;

    /// <summary>A filter forbids the host.</summary>
    public const byte HostProhibited = 10;

    /// <summary>A filter forbids the packet.</summary>
    public const byte AdministrativelyProhibited = 13;
}

/// <summary>An ICMP message as received (RFC 792), its checksum verified.</summary>
public readonly ref struct Icmpv4View
{
    private readonly ReadOnlySpan<byte> _message;

    private Icmpv4View(ReadOnlySpan<byte> message) => _message = message;

    /// <summary>What kind of message it is.</summary>
    public Icmpv4Type Type => (Icmpv4Type)_message[0];

    /// <summary>Narrows the type down; see <see cref="Icmpv4Code"/>.</summary>
    public byte Code => _message[1];

    /// <summary>The second 32-bit word; its meaning depends on the type.</summary>
    public uint RestOfHeader => BinaryPrimitives.ReadUInt32BigEndian(_message[4..]);

    /// <summary>Whose echo it is. Only in echo messages.</summary>
    public ushort EchoIdentifier => (ushort)(RestOfHeader >> 16);

    /// <summary>Which echo it is. Only in echo messages.</summary>
    public ushort EchoSequence => (ushort)RestOfHeader;

    /// <summary>The next hop's MTU in octets, 0 from an old router. Only with <see cref="Icmpv4Code.FragmentationNeeded"/>.</summary>
    public ushort NextHopMtu => (ushort)RestOfHeader;

    /// <summary>The echoed data, or the start of the packet that an error is about (<see cref="Ipv4View.TryParseQuoted"/>).</summary>
    public ReadOnlySpan<byte> Payload => _message[Icmpv4Message.HeaderLength..];

    /// <summary>Whether the message is about a packet that it quotes; such a message is never answered (RFC 1122 3.2.2).</summary>
    public bool IsError => Type is Icmpv4Type.DestinationUnreachable or Icmpv4Type.SourceQuench or Icmpv4Type.Redirect
        or Icmpv4Type.TimeExceeded or Icmpv4Type.ParameterProblem;

    /// <summary>Reads the payload of an IP packet and verifies the checksum.</summary>
    public static bool TryParse(ReadOnlySpan<byte> message, out Icmpv4View view, out WireError error)
    {
        error = WireError.None;
        if (message.Length < Icmpv4Message.HeaderLength)
        {
            error = WireError.TooShort;
        }
        else if (Checksum.Finish(Checksum.Sum(message)) != 0)
        {
            error = WireError.BadChecksum;
        }

        view = error == WireError.None ? new Icmpv4View(message) : default;
        return error == WireError.None;
    }
}

/// <summary>Writes ICMP messages (RFC 792).</summary>
public static class Icmpv4Message
{
    /// <summary>Octets before the data.</summary>
    public const int HeaderLength = 8;

    /// <summary>
    /// Octets of the failed packet that an error quotes at most, so that the error's packet stays within 576 (RFC 1812 4.3.2.3).
    /// </summary>
    public const int MaximumQuote = 576 - Ipv4Header.MinimumLength - HeaderLength;

    /// <summary>Writes an echo request or reply.</summary>
    /// <param name="destination">Room for eight octets and the data. The data may be in place there already.</param>
    /// <param name="type"><see cref="Icmpv4Type.Echo"/> or <see cref="Icmpv4Type.EchoReply"/>.</param>
    /// <param name="identifier">Whose echo it is.</param>
    /// <param name="sequence">Which echo it is.</param>
    /// <param name="payload">The data to echo.</param>
    /// <returns>Octets written.</returns>
    /// <exception cref="ArgumentException">There is not enough room.</exception>
    public static int WriteEcho(
        Span<byte> destination,
        Icmpv4Type type,
        ushort identifier,
        ushort sequence,
        ReadOnlySpan<byte> payload) =>
        Write(destination, type, 0, ((uint)identifier << 16) | sequence, payload);

    /// <summary>Writes an error about a packet, of which it quotes as much as RFC 1812 allows.</summary>
    /// <param name="destination">Room for the message: 8 octets and the quote.</param>
    /// <param name="type">An error type.</param>
    /// <param name="code">Narrows the type down.</param>
    /// <param name="restOfHeader">The second word: the next hop's MTU, or 0.</param>
    /// <param name="originalPacket">The packet that failed, from its IP header on.</param>
    /// <returns>Octets written.</returns>
    /// <exception cref="ArgumentException">There is not enough room.</exception>
    public static int WriteError(
        Span<byte> destination,
        Icmpv4Type type,
        byte code,
        uint restOfHeader,
        ReadOnlySpan<byte> originalPacket) =>
        Write(destination, type, code, restOfHeader, originalPacket[..Math.Min(originalPacket.Length, MaximumQuote)]);

    private static int Write(Span<byte> destination, Icmpv4Type type, byte code, uint rest, ReadOnlySpan<byte> payload)
    {
        Span<byte> message = destination[..(HeaderLength + payload.Length)];
        payload.CopyTo(message[HeaderLength..]);
        BinaryPrimitives.WriteUInt32BigEndian(message, ((uint)type << 24) | ((uint)code << 16));
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], rest);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], Checksum.Finish(Checksum.Sum(message)));
        return message.Length;
    }
}
