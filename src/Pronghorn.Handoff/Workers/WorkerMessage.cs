// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Globalization;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Workers;

/// <summary>What a message between a worker and its daemon is about; native/tcpm/tcpm.c has the same numbers.</summary>
public enum WorkerMessageKind
{
    /// <summary>Worker: its first message; the descriptor is where it takes connections.</summary>
    Hello = 1,

    /// <summary>Worker: the descriptor is a listener of its own; connections that come to it are for this worker.</summary>
    Register = 2,

    /// <summary>Worker: no longer.</summary>
    Unregister = 3,

    /// <summary>Worker: the descriptor is a connection that is to go to another node's worker.</summary>
    Handoff = 4,

    /// <summary>Daemon: how what was asked has ended.</summary>
    Result = 5,

    /// <summary>
    /// Daemon: the descriptor is a connection that comes, silent until <see cref="Release"/> with the same number. Result 0: should the
    /// daemon end before that, another finishes it; 1: it cannot.
    /// </summary>
    Connection = 6,

    /// <summary>Worker: the descriptor is a connection that was being moved when the daemon before this one ended.</summary>
    Recover = 7,

    /// <summary>Daemon: the connection of that number is the worker's; with a result that is not 0: it does not come, close it.</summary>
    Release = 8,

    /// <summary>Worker: the descriptor came, and the daemon ended before <see cref="Release"/>. The result is as it came.</summary>
    Finish = 9,
}

/// <summary>
/// A message between a worker and its daemon, one packet of a SOCK_SEQPACKET socket each: magic (4), kind (4), sequence (4), result (4),
/// worker (4), family 4 or 6 (2), port (2), address (16), length of what was consumed (4), length of the tag (4), and both. Numbers are
/// big-endian.
/// </summary>
public sealed record WorkerMessage(WorkerMessageKind Kind)
{
    /// <summary>Bytes before what is consumed and the tag.</summary>
    public const int HeaderLength = 48;

    /// <summary>Most bytes of what was consumed and the tag together.</summary>
    public const int MaximumContent = 65_536;

    /// <summary>Most bytes of a message.</summary>
    public const int MaximumLength = HeaderLength + MaximumContent;

    private const uint Magic = 0x54434d31; // "TCM1"

    /// <summary>Number that the worker gave its question; the answer has the same.</summary>
    public uint Sequence { get; init; }

    /// <summary>0, or why not: a <see cref="Sockets.RefusalReason"/>.</summary>
    public int Result { get; init; }

    /// <summary>Index of the worker that is meant.</summary>
    public uint Worker { get; init; }

    /// <summary>The listener that is meant, or the peer of a connection that has come.</summary>
    public TcpEnd End { get; init; }

    /// <summary>What the application read of the stream already.</summary>
    public ReadOnlyMemory<byte> Consumed { get; init; }

    /// <summary>What else goes with the connection; of a result that is not 0, why in words.</summary>
    public ReadOnlyMemory<byte> Tag { get; init; }

    /// <summary>Reads a message; what it refers to is copied.</summary>
    /// <exception cref="ImageFormatException">The bytes are no message.</exception>
    public static WorkerMessage Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderLength || BinaryPrimitives.ReadUInt32BigEndian(bytes) != Magic)
        {
            throw new ImageFormatException("what a worker sent is no message of this version of libtcpm");
        }

        uint kind = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        uint consumed = BinaryPrimitives.ReadUInt32BigEndian(bytes[40..]);
        uint tag = BinaryPrimitives.ReadUInt32BigEndian(bytes[44..]);
        if (kind is < (uint)WorkerMessageKind.Hello or > (uint)WorkerMessageKind.Finish
            || consumed > MaximumContent || tag > MaximumContent || HeaderLength + consumed + tag != bytes.Length)
        {
            throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture,
                $"a worker's message of kind {kind} and {bytes.Length} bytes says it has {consumed} and {tag}"));
        }

        return new WorkerMessage((WorkerMessageKind)kind)
        {
            Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]),
            Result = BinaryPrimitives.ReadInt32BigEndian(bytes[12..]),
            Worker = BinaryPrimitives.ReadUInt32BigEndian(bytes[16..]),
            End = ReadEnd(bytes),
            Consumed = bytes.Slice(HeaderLength, (int)consumed).ToArray(),
            Tag = bytes.Slice(HeaderLength + (int)consumed, (int)tag).ToArray(),
        };
    }

    /// <summary>Writes it.</summary>
    /// <exception cref="ArgumentException">It is longer than <see cref="MaximumLength"/>.</exception>
    public byte[] ToBytes()
    {
        if (Consumed.Length + Tag.Length > MaximumContent)
        {
            throw new ArgumentException(string.Create(
                CultureInfo.InvariantCulture,
                $"what was consumed and the tag have {Consumed.Length + Tag.Length} bytes; {MaximumContent} may go"));
        }

        byte[] bytes = new byte[HeaderLength + Consumed.Length + Tag.Length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), (uint)Kind);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), Sequence);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(12), Result);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(16), Worker);
        WriteEnd(bytes);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(40), (uint)Consumed.Length);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(44), (uint)Tag.Length);
        Consumed.Span.CopyTo(bytes.AsSpan(HeaderLength));
        Tag.Span.CopyTo(bytes.AsSpan(HeaderLength + Consumed.Length));
        return bytes;
    }

    private static TcpEnd ReadEnd(ReadOnlySpan<byte> bytes)
    {
        ushort port = BinaryPrimitives.ReadUInt16BigEndian(bytes[22..]);
        return BinaryPrimitives.ReadUInt16BigEndian(bytes[20..]) switch
        {
            0 => default,
            4 => new TcpEnd(IpAddress.ReadIpv4(bytes[24..]), port),
            6 => new TcpEnd(IpAddress.ReadIpv6(bytes[24..]), port),
            ushort family => throw new ImageFormatException(
                string.Create(CultureInfo.InvariantCulture, $"a worker's message has an address of family {family}; 4 and 6 are known")),
        };
    }

    private void WriteEnd(Span<byte> bytes)
    {
        if (End == default)
        {
            return;
        }

        BinaryPrimitives.WriteUInt16BigEndian(bytes[20..], End.Address.IsIpv4 ? (ushort)4 : (ushort)6);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[22..], End.Port);
        if (End.Address.IsIpv4)
        {
            End.Address.WriteIpv4(bytes[24..]);
        }
        else
        {
            End.Address.WriteIpv6(bytes[24..]);
        }
    }
}
