// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using static Pronghorn.Handoff.Image.ImageWriter;

namespace Pronghorn.Handoff.Protocol;

/// <summary>
/// Messages as bytes: length of what follows (4), kind (1), number of the move (8), and the fields in their order. Numbers are
/// big-endian, texts UTF-8 with a length of 4 bytes before them.
/// </summary>
public static class MessageCodec
{
    /// <summary>Bytes of the length in front of each message.</summary>
    public const int LengthBytes = 4;

    /// <summary>Most bytes that a message may have: an image with four full queues, and some.</summary>
    public const int MaximumLength = (4 * ImageCodec.MaximumQueue) + (1 << 16);

    private const int LongestText = 1024;

    private enum Kind : byte
    {
        Prepare = 1,
        Prepared = 2,
        Transfer = 3,
        Restored = 4,
        Commit = 5,
        Live = 6,
        Refused = 7,
        Ended = 8,
        Moved = 9,
        Repointed = 10,
        Audit = 11,
        Owned = 12,
        Asked = 13,
        Decided = 14,
        Sought = 15,
        Found = 16,
        NotFound = 17,
        Released = 18,
        Heartbeat = 19,
    }

    /// <summary>Writes a message with its length.</summary>
    public static void Write(Message message, ArrayBufferWriter<byte> writer)
    {
        ArgumentNullException.ThrowIfNull(message);
        ArgumentNullException.ThrowIfNull(writer);
        var body = new ArrayBufferWriter<byte>();
        Octet(body, (byte)KindOf(message));
        Long(body, message.Move);
        WriteFields(message, body);
        Bytes(writer, body.WrittenSpan);
    }

    /// <summary>Reads a message, without its length.</summary>
    /// <exception cref="ImageFormatException">The bytes are no message.</exception>
    public static Message Read(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ImageReader(bytes);
        var kind = (Kind)reader.Octet("kind");
        ulong move = reader.Long("number of the move");
        Message message = kind switch
        {
            Kind.Prepare => new Prepare(
                move, ReadStay(ref reader), reader.Octet("family") != 0, reader.End("known end"), reader.End("remote end"),
                reader.End("listener"), reader.Word("worker"), reader.Address("anchor")),
            Kind.Prepared => new Prepared(move),
            Kind.Transfer => new Transfer(move, reader.Bytes("image", MaximumLength)),
            Kind.Restored => new Restored(move, reader.End("local end")),
            Kind.Commit => new Commit(move),
            Kind.Live => new Live(move),
            Kind.Refused => ReadRefused(move, ref reader),
            Kind.Ended => new Ended(
                ReadStay(ref reader), reader.End("known end"), reader.End("remote end"), reader.Octet("whether it never lived") != 0),
            Kind.Moved => new Moved(ReadStay(ref reader), reader.End("known end"), reader.End("remote end"), reader.End("new end")),
            Kind.Repointed => new Repointed(ReadStay(ref reader)),
            Kind.Audit => ReadAudit(ref reader),
            Kind.Owned => new Owned(ReadStay(ref reader)),
            Kind.Asked => new Asked(ReadStay(ref reader)),
            Kind.Decided => new Decided(ReadStay(ref reader), reader.Octet("whether it is given") != 0),
            Kind.Sought => new Sought(move, reader.End("known end"), reader.End("remote end")),
            Kind.Found => new Found(
                ReadStay(ref reader), reader.End("known end"), reader.End("remote end"), reader.End("owner's end"),
                reader.Octet("whether it has ended") != 0),
            Kind.Released => new Released(ReadStay(ref reader), reader.End("known end"), reader.End("remote end")),
            Kind.Heartbeat => new Heartbeat(),
            Kind.NotFound => new NotFound(move, reader.End("known end"), reader.End("remote end")),
            _ => throw new ImageFormatException(
                string.Create(CultureInfo.InvariantCulture, $"a message of kind {(int)kind} is not known here")),
        };
        reader.AssertEnd();
        return message;
    }

    private static Kind KindOf(Message message) => message switch
    {
        Prepare => Kind.Prepare,
        Prepared => Kind.Prepared,
        Transfer => Kind.Transfer,
        Restored => Kind.Restored,
        Commit => Kind.Commit,
        Live => Kind.Live,
        Refused => Kind.Refused,
        Ended => Kind.Ended,
        Moved => Kind.Moved,
        Repointed => Kind.Repointed,
        Audit => Kind.Audit,
        Owned => Kind.Owned,
        Asked => Kind.Asked,
        Decided => Kind.Decided,
        Sought => Kind.Sought,
        Found => Kind.Found,
        NotFound => Kind.NotFound,
        Heartbeat => Kind.Heartbeat,
        Released => Kind.Released,
        _ => throw new ArgumentException($"{message.GetType().Name} has no number", nameof(message)),
    };

    private static void WriteFields(Message message, ArrayBufferWriter<byte> body)
    {
        switch (message)
        {
            case Prepare prepare:
                WriteStay(body, prepare.Stay);
                Octet(body, prepare.IsIpv6 ? (byte)1 : (byte)0);
                End(body, prepare.Known);
                End(body, prepare.Remote);
                End(body, prepare.Listener);
                Word(body, prepare.Worker);
                Address(body, prepare.Anchor);
                break;
            case Restored restored:
                End(body, restored.Local);
                break;
            case Transfer transfer:
                Bytes(body, transfer.Image.Span);
                break;
            case Refused refused:
                Octet(body, (byte)refused.Refusal.Reason);
                Word(body, (uint)refused.Refusal.Error);
                byte[] text = Encoding.UTF8.GetBytes(refused.Refusal.Step ?? "");
                Bytes(body, text.AsSpan(0, Math.Min(text.Length, LongestText)));
                break;
            case Ended ended:
                WriteStay(body, ended.Stay);
                End(body, ended.Known);
                End(body, ended.Remote);
                Octet(body, ended.HasNeverLived ? (byte)1 : (byte)0);
                break;
            case Moved moved:
                WriteStay(body, moved.Stay);
                End(body, moved.Known);
                End(body, moved.Remote);
                End(body, moved.Target);
                break;
            case Repointed repointed:
                WriteStay(body, repointed.Stay);
                break;
            case Owned owned:
                WriteStay(body, owned.Stay);
                break;
            case Asked asked:
                WriteStay(body, asked.Stay);
                break;
            case Decided decided:
                WriteStay(body, decided.Stay);
                Octet(body, decided.IsGiven ? (byte)1 : (byte)0);
                break;
            case Audit audit:
                WriteAudit(body, audit);
                break;
            default:
                WriteSeeking(message, body);
                break;
        }
    }

    private static void WriteSeeking(Message message, ArrayBufferWriter<byte> body)
    {
        switch (message)
        {
            case Sought sought:
                End(body, sought.Known);
                End(body, sought.Remote);
                break;
            case Found found:
                WriteStay(body, found.Stay);
                End(body, found.Known);
                End(body, found.Remote);
                End(body, found.Target);
                Octet(body, found.HasEnded ? (byte)1 : (byte)0);
                break;
            case Released released:
                WriteStay(body, released.Stay);
                End(body, released.Known);
                End(body, released.Remote);
                break;
            case NotFound missing:
                End(body, missing.Known);
                End(body, missing.Remote);
                break;
        }
    }

    private static void WriteStay(ArrayBufferWriter<byte> body, Stay stay)
    {
        Long(body, stay.Connection);
        Word(body, stay.Epoch);
    }

    private static Stay ReadStay(ref ImageReader reader) => new(reader.Long("number of the connection"), reader.Word("epoch"));

    private static void WriteAudit(ArrayBufferWriter<byte> body, Audit audit)
    {
        Word(body, (uint)audit.Items.Length);
        foreach (AuditItem item in audit.Items)
        {
            WriteStay(body, item.Stay);
            End(body, item.Known);
            End(body, item.Remote);
            End(body, item.Target);
            Octet(body, item.IsUnsettled ? (byte)1 : (byte)0);
        }
    }

    private static Audit ReadAudit(ref ImageReader reader)
    {
        uint count = reader.Word("number of connections");
        if (count > Audit.MostItems)
        {
            throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"an audit of {count} connections; at most {Audit.MostItems} are allowed"));
        }

        ImmutableArray<AuditItem>.Builder items = ImmutableArray.CreateBuilder<AuditItem>((int)count);
        for (uint i = 0; i < count; i++)
        {
            items.Add(new AuditItem(
                ReadStay(ref reader), reader.End("known end"), reader.End("remote end"), reader.End("target"),
                reader.Octet("whether it is unsettled") != 0));
        }

        return new Audit(items.MoveToImmutable());
    }

    private static Refused ReadRefused(ulong move, ref ImageReader reader)
    {
        byte reason = reader.Octet("reason");
        uint error = reader.Word("error");
        string step = Encoding.UTF8.GetString(reader.Bytes("step", LongestText).Span);
        RefusalReason known = reason is > 0 and <= (byte)RefusalReason.Address ? (RefusalReason)reason : RefusalReason.Refused;
        return new Refused(move, new Refusal(known, step, (int)Math.Min(error, int.MaxValue)));
    }
}
