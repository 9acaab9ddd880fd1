// SPDX-License-Identifier: Apache-2.0
using System;
using Xunit;

namespace Pronghorn.Wire.Tests;

/// <summary>Nothing that runs for a packet allocates managed memory.</summary>
public sealed class AllocationTests
{
    [Fact]
    public void Packets_WrittenAndRead_AllocateNothing()
    {
        byte[] frame = new byte[1514];
        Assert.True(RoundTrip(frame, 0));

        long before = GC.GetAllocatedBytesForCurrentThread();
        bool valid = true;
        for (uint round = 0; round < 1000; round++)
        {
            valid &= RoundTrip(frame, round);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(valid);
    }

    private static bool RoundTrip(Span<byte> frame, uint round)
    {
        IpAddress source = IpAddress.FromIpv4(0x0A000001 + round);
        IpAddress destination = IpAddress.FromIpv4(0x0A000002);
        var header = new TcpHeader { Sequence = new SeqNumber(round), Flags = TcpFlags.Ack };
        header.Options.HasTimestamps = true;
        header.Options.TryAddSackBlock(new SackBlock(new SeqNumber(round), new SeqNumber(round + 1)));

        EthernetHeader.Write(frame, MacAddress.Broadcast, default, EtherType.Ipv4);
        Span<byte> packet = frame[EthernetHeader.Length..];
        Ipv4Header.Write(packet, source, destination, IpProtocol.Tcp, packet.Length - 20, (ushort)round, 64, 0, true);
        Span<byte> segment = packet[Ipv4Header.MinimumLength..];
        header.Write(segment);
        TcpHeader.WriteChecksum(segment, source, destination);

        return EthernetView.TryParse(frame, out EthernetView ethernet)
            && Ipv4View.TryParse(ethernet.Payload, out Ipv4View ip, out _)
            && TcpView.TryParse(ip.Payload, out TcpView tcp, out _)
            && tcp.HasValidChecksum(ip.Source, ip.Destination)
            && tcp.ToHeader().Options[0].Left.Value == round;
    }
}
