// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using Pronghorn.Linux.Tcp;
using static Pronghorn.Handoff.Image.ImageWriter;

namespace Pronghorn.Handoff.Image;

/// <summary>
/// Images as bytes between daemons. Numbers are big-endian. A version is a layout: a reader refuses those that it does not know,
/// for a connection restored from half of its state is worse than one that stays where it is.
/// </summary>
/// <remarks>
/// Layout of version 1: version (2), flags (1; bit 0: AF_INET6), state (1), local and remote end (16 + 2 each), write sequence (4),
/// RCV.NXT (4), negotiated (1), send scale (1), receive scale (1), reserved (1), MSS (2), timestamp (4), five words of the window
/// (20), unsent (4), number of options (1) and for each id (1), length (1), value; then lengths (4 each) and bytes of the send queue, the
/// receive queue, the consumed bytes and the tag.
/// </remarks>
public static class ImageCodec
{
    /// <summary>The version that is written, and the newest that is read.</summary>
    public const ushort Version = 1;

    /// <summary>Most bytes of a queue, and of consumed bytes and tag: as much as a connection's buffer may hold in the kernel.</summary>
    public const int MaximumQueue = 64 << 20;

    private const int MaximumScale = 14; // RFC 7323, 2.3

    /// <summary>Writes an image.</summary>
    public static void Write(ConnectionImage image, IBufferWriter<byte> writer)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(writer);
        Short(writer, Version);
        Octet(writer, image.IsIpv6 ? (byte)1 : (byte)0);
        Octet(writer, (byte)image.State);
        End(writer, image.Local);
        End(writer, image.Remote);
        Word(writer, image.WriteSequence);
        Word(writer, image.RcvNxt);
        Octet(writer, (byte)image.Negotiated);
        Octet(writer, image.SendScale);
        Octet(writer, image.ReceiveScale);
        Octet(writer, 0);
        Short(writer, image.MaximumSegment);
        Word(writer, image.Timestamp);
        Word(writer, image.Window.SndWl1);
        Word(writer, image.Window.SndWnd);
        Word(writer, image.Window.MaxWindow);
        Word(writer, image.Window.RcvWnd);
        Word(writer, image.Window.RcvWup);
        Word(writer, (uint)image.Unsent);
        Octet(writer, checked((byte)image.Options.Length));
        foreach (SavedOption option in image.Options)
        {
            Octet(writer, option.Id);
            Octet(writer, checked((byte)option.Value.Length));
            writer.Write(option.Value.Span);
        }

        Bytes(writer, image.SendQueue.Span);
        Bytes(writer, image.ReceiveQueue.Span);
        Bytes(writer, image.Consumed.Span);
        Bytes(writer, image.Tag.Span);
    }

    /// <summary>Reads an image; the bytes must be no more than it.</summary>
    /// <exception cref="ImageFormatException">They are not an image of a known version, or contradict themselves.</exception>
    public static ConnectionImage Read(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ImageReader(bytes);
        ushort version = reader.Short("version");
        if (version != Version)
        {
            throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"the image is of version {version}; this daemon knows {Version}"));
        }

        byte flags = reader.Octet("flags");
        byte state = reader.Octet("state");
        ConnectionImage image = ReadNumbers(ref reader, flags, state);
        image = image with { Options = Options(ref reader) };
        image = image with
        {
            SendQueue = reader.Bytes("send queue", MaximumQueue),
            ReceiveQueue = reader.Bytes("receive queue", MaximumQueue),
            Consumed = reader.Bytes("consumed bytes", MaximumQueue),
            Tag = reader.Bytes("tag", MaximumQueue),
        };
        reader.AssertEnd();
        Validate(image, flags);
        return image;
    }

    // An object's initializer runs in the order in which it is written, which is that of the layout.
    private static ConnectionImage ReadNumbers(ref ImageReader reader, byte flags, byte state)
    {
        TcpEnd local = reader.End("local end");
        TcpEnd remote = reader.End("remote end");
        uint write = reader.Word("write sequence");
        uint next = reader.Word("RCV.NXT");
        byte negotiated = reader.Octet("negotiated options");
        byte sendScale = reader.Octet("send scale");
        byte receiveScale = reader.Octet("receive scale");
        _ = reader.Octet("reserved octet");
        return new ConnectionImage
        {
            IsIpv6 = (flags & 1) != 0,
            State = (KernelTcpState)state,
            Local = local,
            Remote = remote,
            WriteSequence = write,
            RcvNxt = next,
            Negotiated = (TcpNegotiated)negotiated,
            SendScale = sendScale,
            ReceiveScale = receiveScale,
            MaximumSegment = reader.Short("MSS"),
            Timestamp = reader.Word("timestamp"),
            Window = new TcpRepairWindow
            {
                SndWl1 = reader.Word("SND.WL1"),
                SndWnd = reader.Word("SND.WND"),
                MaxWindow = reader.Word("largest window"),
                RcvWnd = reader.Word("RCV.WND"),
                RcvWup = reader.Word("RCV.WUP"),
            },
            Unsent = (int)Math.Min(reader.Word("unsent"), int.MaxValue),
            SendQueue = default,
            ReceiveQueue = default,
        };
    }

    private static ImmutableArray<SavedOption> Options(ref ImageReader reader)
    {
        int count = reader.Octet("number of options");
        ImmutableArray<SavedOption>.Builder options = ImmutableArray.CreateBuilder<SavedOption>(count);
        for (int i = 0; i < count; i++)
        {
            byte id = reader.Octet("option");
            options.Add(new SavedOption(id, reader.Take("option", reader.Octet("length of an option"))));
        }

        return options.MoveToImmutable();
    }

    private static void Validate(ConnectionImage image, byte flags)
    {
        Require((flags & ~1) == 0, "unknown flags");
        Require(
            image.State is KernelTcpState.Established or KernelTcpState.CloseWait or KernelTcpState.FinWait1,
            $"state {(int)image.State}, in which no connection moves");
        Require(image.Local.Port != 0 && image.Remote.Port != 0, "port 0");
        Require(image.Local.Address.IsIpv4 == image.Remote.Address.IsIpv4, "ends of two families");
        Require(image.IsIpv6 || image.Local.Address.IsIpv4, "an IPv6 end of an IPv4 socket");
        Require(
            (image.Negotiated & ~(TcpNegotiated.Timestamps | TcpNegotiated.Sack | TcpNegotiated.WindowScale)) == 0,
            "options that cannot be restored");
        Require(image.SendScale <= MaximumScale && image.ReceiveScale <= MaximumScale, "a window scale above 14");
        Require(image.MaximumSegment > 0, "an MSS of 0");
        Require(image.Unsent <= image.SendQueue.Length, "more unsent bytes than the send queue has");
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new ImageFormatException("the image has " + otherwise);
        }
    }
}
