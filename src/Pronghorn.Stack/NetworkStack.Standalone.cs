// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack.Link;
using Pronghorn.Wire;

namespace Pronghorn.Stack;

/// <content>What the kernel does for us elsewhere: ARP (RFC 826) and echo (RFC 792), on a device with no kernel behind it.</content>
public sealed partial class NetworkStack
{
    private void ArpArrives(ReadOnlySpan<byte> payload, int interfaceId, Instant now)
    {
        if (!ArpView.TryParse(payload, out ArpView arp))
        {
            Counters.Drop(DropReason.ArpMalformed);
            return;
        }

        bool forUs = Interfaces.IsLocal(arp.TargetIp);

        // RFC 826: update what is known, but take in newcomers only when they speak to us.
        if (forUs || Neighbors.IsKnown(interfaceId, arp.SenderIp))
        {
            Neighbors.Update(interfaceId, arp.SenderIp, arp.SenderMac, now);
            NoticePathChanges();
        }

        if (forUs && arp.Operation == ArpOperation.Request)
        {
            SendArp(interfaceId, ArpOperation.Reply, arp.TargetIp, arp.SenderMac, arp.SenderIp);
        }
    }

    private void SendArpRequests()
    {
        while (Neighbors.TryDequeueRequest(out int interfaceId, out IpAddress address))
        {
            foreach (ref readonly InterfaceAddress own in Interfaces.Addresses)
            {
                if (own.InterfaceId == interfaceId)
                {
                    SendArp(interfaceId, ArpOperation.Request, own.Address, MacAddress.Broadcast, address);
                    break;
                }
            }
        }
    }

    private void SendArp(
        int interfaceId, ArpOperation operation, in IpAddress senderIp, MacAddress targetMac, in IpAddress targetIp)
    {
        if (!Interfaces.TryGet(interfaceId, out NetworkInterface device) || !HasTransmitRoom(interfaceId)
            || !_frames.TryRent(out int frame))
        {
            Counters.Drop(DropReason.NoFrame);
            return;
        }

        Span<byte> span = _frames.GetSpan(frame);
        WriteLinkHeader(span, interfaceId, targetMac, EtherType.Arp);
        MacAddress target = operation == ArpOperation.Request ? default : targetMac;
        ArpPacket.Write(span[EthernetView.HeaderLength..], operation, device.Mac, senderIp, target, targetIp);
        Enqueue(interfaceId, frame, 0, EthernetView.HeaderLength + ArpPacket.Length);
    }

    private void AnswerEcho(Ipv4View ip, Icmpv4View icmp, MacAddress sourceMac, int interfaceId)
    {
        int length = Icmpv4Message.HeaderLength + icmp.Payload.Length;
        const int Start = EthernetView.HeaderLength + Ipv4Header.MinimumLength;
        if (Start + length > _frames.FrameSize || !HasTransmitRoom(interfaceId) || !_frames.TryRent(out int frame))
        {
            Counters.Drop(DropReason.NoFrame);
            return;
        }

        Span<byte> span = _frames.GetSpan(frame);
        Icmpv4Message.WriteEcho(
            span.Slice(Start, length), Icmpv4Type.EchoReply, icmp.EchoIdentifier, icmp.EchoSequence, icmp.Payload);
        Ipv4Header.Write(
            span[EthernetView.HeaderLength..], ip.Destination, ip.Source, IpProtocol.Icmp, length, 0, 64, 0, false);
        WriteLinkHeader(span, interfaceId, sourceMac, EtherType.Ipv4);
        Enqueue(interfaceId, frame, 0, Start + length);
    }
}
