// SPDX-License-Identifier: Apache-2.0
using System;
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class LinkTests
{
    [Property]
    public bool EthernetHeader_WrittenAndRead_IsTheSame(ulong destination, ulong source, ushort type, byte[] payload)
    {
        byte[] frame = new byte[EthernetHeader.Length + payload.Length];
        payload.CopyTo(frame, EthernetHeader.Length);
        EthernetHeader.Write(frame, new MacAddress(destination), new MacAddress(source), (EtherType)type);

        return EthernetView.TryParse(frame, out EthernetView view)
            && view.Destination == new MacAddress(destination)
            && view.Source == new MacAddress(source)
            && view.Type == (EtherType)type
            && view.Payload.SequenceEqual(payload);
    }

    [Fact]
    public void EthernetFrame_ShorterThanAHeader_IsRefused()
    {
        byte[] frame = new byte[EthernetHeader.Length];
        for (int length = 0; length < frame.Length; length++)
        {
            Assert.False(EthernetView.TryParse(frame.AsSpan(0, length), out _));
        }

        Assert.True(EthernetView.TryParse(frame, out EthernetView view));
        Assert.True(view.Payload.IsEmpty);
    }

    [Fact]
    public void ArpRequest_Written_HasTheOctetsOfRfc826()
    {
        byte[] packet = new byte[ArpPacket.Length];
        ArpPacket.Write(
            packet,
            ArpOperation.Request,
            MacAddress.Parse("02:00:00:00:00:01"),
            IpAddress.Parse("10.0.0.1"),
            default,
            IpAddress.Parse("10.0.0.2"));

        Assert.Equal("0001080006040001" + "020000000001" + "0A000001" + "000000000000" + "0A000002", Convert.ToHexString(packet));
    }

    [Property]
    public bool ArpPacket_WrittenAndRead_IsTheSame(ulong senderMac, uint sender, ulong targetMac, uint target, bool reply)
    {
        byte[] packet = new byte[46];
        ArpOperation operation = reply ? ArpOperation.Reply : ArpOperation.Request;
        ArpPacket.Write(
            packet,
            operation,
            new MacAddress(senderMac),
            IpAddress.FromIpv4(sender),
            new MacAddress(targetMac),
            IpAddress.FromIpv4(target));

        return ArpView.TryParse(packet, out ArpView view)
            && view.Operation == operation
            && view.SenderMac == new MacAddress(senderMac)
            && view.SenderIp == IpAddress.FromIpv4(sender)
            && view.TargetMac == new MacAddress(targetMac)
            && view.TargetIp == IpAddress.FromIpv4(target);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void ArpPacket_OfAnotherHardwareOrProtocol_IsRefused(int octet)
    {
        byte[] packet = new byte[ArpPacket.Length];
        ArpPacket.Write(packet, ArpOperation.Request, default, IpAddress.AnyIpv4, default, IpAddress.AnyIpv4);
        Assert.True(ArpView.TryParse(packet, out _));
        packet[octet] ^= 0x10;
        Assert.False(ArpView.TryParse(packet, out _));
    }
}
