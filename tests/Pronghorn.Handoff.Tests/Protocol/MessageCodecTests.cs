// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Protocol;

/// <summary>Messages between daemons as bytes: whatever comes from a peer is read as one of them, or refused.</summary>
public sealed class MessageCodecTests
{
    private static readonly Stay s_stay = new(0x0102030405060708, 9);
    private static readonly TcpEnd s_known = new(IpAddress.Parse("10.0.0.1"), 80);
    private static readonly TcpEnd s_remote = new(IpAddress.Parse("fd00::2"), 40_000);
    private static readonly TcpEnd s_target = new(IpAddress.Parse("10.0.0.3"), 61_000);

    private static readonly Message[] s_all =
    [
        new Prepare(1, s_stay, IsIpv6: true, s_known, s_remote, s_target, Worker: 3, Anchor: s_known.Address),
        new Prepared(2),
        new Transfer(3, new byte[] { 1, 2, 3 }),
        new Restored(4, s_target),
        new Commit(5),
        new Live(6),
        new Refused(7, new Refusal(RefusalReason.NoWorker, "nobody", 5)),
        new Ended(s_stay, s_known, s_remote, HasNeverLived: true),
        new Moved(s_stay, s_known, s_remote, s_target),
        new Repointed(s_stay),
        new Audit([new AuditItem(s_stay, s_known, s_remote, s_target, true), new AuditItem(s_stay, s_known, s_remote, s_target, false)]),
        new Owned(s_stay),
        new Asked(s_stay),
        new Decided(s_stay, IsGiven: true),
        new Sought(8, s_known, s_remote),
        new Found(s_stay, s_known, s_remote, s_target, HasEnded: true),
        new NotFound(9, s_known, s_remote),
        new Released(s_stay, s_known, s_remote),
        new Heartbeat(),
    ];

    public static TheoryData<int> Indices { get; } = [.. Enumerable.Range(0, s_all.Length)];

    [Fact]
    public void EveryKindOfMessage_IsLookedAtHere()
    {
        IEnumerable<string> kinds = typeof(Message).Assembly.GetTypes()
            .Where(static t => t.IsSubclassOf(typeof(Message))).Select(static t => t.Name);
        Assert.Equal(kinds.Order(), s_all.Select(static m => m.GetType().Name).Order());
    }

    [Theory]
    [MemberData(nameof(Indices))]
    public void Message_WrittenAndRead_IsTheSame(int index) =>
        Assert.Equal(Bytes(s_all[index]), Bytes(MessageCodec.Read(Bytes(s_all[index]))));

    [Fact]
    public void Reasons_WrittenAndRead_AreTheSame()
    {
        foreach (RefusalReason reason in Enum.GetValues<RefusalReason>().Where(static r => r != RefusalReason.None))
        {
            var read = (Refused)MessageCodec.Read(Bytes(new Refused(1, new Refusal(reason, "step"))));
            Assert.Equal(reason, read.Refusal.Reason);
        }
    }

    [Theory]
    [MemberData(nameof(Indices))]
    public void Message_CutAnywhereOrLonger_IsRefused(int index)
    {
        byte[] whole = Bytes(s_all[index]);
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.Throws<ImageFormatException>(() => MessageCodec.Read(whole.AsMemory(0, length)));
        }

        Assert.Throws<ImageFormatException>(() => MessageCodec.Read((byte[])[.. whole, 0]));
    }

    [Theory]
    [MemberData(nameof(Indices))]
    public void RandomOctets_Changed_AreReadOrRefusedAndNeverElse(int index)
    {
        var random = new Random(index);
        byte[] whole = Bytes(s_all[index]);
        int refused = 0;
        for (int round = 0; round < 5_000; round++)
        {
            byte[] bytes = [.. whole];
            for (int changes = random.Next(1, 5); changes > 0; changes--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            try
            {
                Message read = MessageCodec.Read(bytes);

                // What was understood can be said again.
                Assert.NotEmpty(Bytes(read));
            }
            catch (ImageFormatException)
            {
                refused++;
            }
        }

        Assert.NotEqual(0, refused);
    }

    private static byte[] Bytes(Message message)
    {
        var writer = new ArrayBufferWriter<byte>();
        MessageCodec.Write(message, writer);
        return writer.WrittenSpan[MessageCodec.LengthBytes..].ToArray();
    }
}
