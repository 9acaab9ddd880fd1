// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using Pronghorn.Memory;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Stack;

/// <content>The way of a received frame up to TCP: Ethernet, IPv4, ICMP.</content>
public sealed partial class NetworkStack
{
    /// <summary>Takes one frame. Returns whether its reference was taken over.</summary>
    private bool FrameArrives(in FrameDescriptor packet, int interfaceId, Instant now)
    {
        ReadOnlySpan<byte> frame = _frames.GetSpan(packet);
        if (!EthernetView.TryParse(frame, out EthernetView ethernet))
        {
            Counters.Drop(DropReason.EthernetMalformed);
            return false;
        }

        switch (ethernet.Type)
        {
            case EtherType.Ipv4:
                return Ipv4Arrives(packet, ethernet, interfaceId, now);
            case EtherType.Arp when _options.NeighborMode == NeighborMode.Standalone:
                ArpArrives(ethernet.Payload, interfaceId, now);
                return false;
            default:
                Counters.Drop(DropReason.EtherTypeUnknown);
                return false;
        }
    }

    private bool Ipv4Arrives(in FrameDescriptor packet, EthernetView ethernet, int interfaceId, Instant now)
    {
        if (!Ipv4View.TryParse(ethernet.Payload, out Ipv4View ip, out WireError error))
        {
            Counters.Drop(error == WireError.BadChecksum ? DropReason.Ipv4Checksum : DropReason.Ipv4Malformed);
            return false;
        }

        if (ip.IsFragment)
        {
            Counters.Drop(DropReason.Ipv4Fragment);
            return false;
        }

        IpAddress source = ip.Source;
        IpAddress destination = ip.Destination;
        if (source.IsAny || source.IsMulticast || source.IsBroadcast || source.IsLoopback)
        {
            Counters.Drop(DropReason.Ipv4BadSource);
            return false;
        }

        switch (ip.Protocol)
        {
            case IpProtocol.Tcp:
                int offset = packet.Offset + EthernetView.HeaderLength + ip.HeaderLength;
                return TcpArrives(packet, ethernet.Source, ip.Payload, source, destination, offset, interfaceId, now);
            case IpProtocol.Icmp when !Interfaces.IsLocal(destination):
                Counters.Drop(DropReason.Ipv4OtherHost);
                return false;
            case IpProtocol.Icmp:
                IcmpArrives(ip, ethernet.Source, interfaceId);
                return false;
            default:
                Counters.Drop(DropReason.Ipv4Protocol);
                return false;
        }
    }

    private bool TcpArrives(
        in FrameDescriptor packet,
        MacAddress sourceMac,
        ReadOnlySpan<byte> payload,
        in IpAddress source,
        in IpAddress destination,
        int offset,
        int interfaceId,
        Instant now)
    {
        if (!TcpView.TryParse(payload, out TcpView tcp, out _))
        {
            Counters.Drop(DropReason.TcpMalformed);
            return false;
        }

        if (tcp.HasMalformedOptions)
        {
            // As Linux: what came before the bad option counts, the rest does not.
            Counters.Add(Counter.TcpMalformedOptions);
        }

        if (!tcp.HasValidChecksum(source, destination) && !IsPartialChecksum(tcp, payload.Length, source, destination))
        {
            Counters.Drop(DropReason.TcpChecksum);
            return false;
        }

        TcpSegment segment = default;
        segment.Source = source;
        segment.Destination = destination;
        segment.SourceMac = sourceMac;
        segment.InterfaceId = interfaceId;
        segment.Frame = packet.Frame;
        segment.PayloadOffset = offset + tcp.HeaderLength;
        segment.PayloadLength = payload.Length - tcp.HeaderLength;
        segment.SourcePort = tcp.SourcePort;
        segment.DestinationPort = tcp.DestinationPort;
        segment.Sequence = tcp.Sequence;
        segment.Acknowledgment = tcp.Acknowledgment;
        segment.Flags = tcp.Flags;
        segment.Window = tcp.Window;
        segment.Options = tcp.ParsedOptions;
        Tcp.SegmentArrives(ref segment);
        return segment.FrameTaken;
    }

    /// <summary>Whether the checksum field holds the pseudo-header's sum alone, as a veth peer with checksum offload leaves it.</summary>
    private bool IsPartialChecksum(TcpView tcp, int length, in IpAddress source, in IpAddress destination)
    {
        if (!_options.AcceptPartialChecksum)
        {
            return false;
        }

        uint sum = Checksum.PseudoHeader(source, destination, (byte)IpProtocol.Tcp, length);
        if (tcp.Checksum != Checksum.Fold(sum))
        {
            return false;
        }

        Counters.Add(Counter.PartialChecksums);
        return true;
    }

    /// <summary>
    /// A SYN shows the sender's link address; until the kernel tells of it, answers go there. The kernel has usually just
    /// resolved it, but its news comes over another path than the SYN.
    /// </summary>
    internal void LearnFromSyn(in TcpSegment segment, Instant now)
    {
        if (!Routes.TryLookup(segment.Source, out Route route) || route.InterfaceId != segment.InterfaceId)
        {
            return;
        }

        IpAddress nextHop = route.Gateway.IsAny ? segment.Source : route.Gateway;
        Neighbors.Learn(route.InterfaceId, nextHop, segment.SourceMac, _options.NeighborMode == NeighborMode.Kernel, now);
    }

    private void IcmpArrives(Ipv4View ip, MacAddress sourceMac, int interfaceId)
    {
        if (!Icmpv4View.TryParse(ip.Payload, out Icmpv4View icmp, out _))
        {
            Counters.Drop(DropReason.IcmpMalformed);
            return;
        }

        if (icmp.Type == Icmpv4Type.Echo && _options.NeighborMode == NeighborMode.Standalone)
        {
            AnswerEcho(ip, icmp, sourceMac, interfaceId);
            return;
        }

        if (!TryGetMeaning(icmp, out IcmpMeaning meaning))
        {
            Counters.Drop(DropReason.IcmpUnused);
            return;
        }

        if (!Ipv4View.TryParseQuoted(icmp.Payload, out Ipv4View quoted) || quoted.Protocol != IpProtocol.Tcp
            || !TcpView.TryParseQuoted(quoted.Payload, out ushort sourcePort, out ushort destinationPort, out SeqNumber sequence))
        {
            Counters.Drop(DropReason.IcmpMalformed);
            return;
        }

        Tcp.IcmpErrorArrives(
            quoted.Source, quoted.Destination, sourcePort, destinationPort, sequence, meaning, icmp.NextHopMtu);
    }

    private static bool TryGetMeaning(Icmpv4View icmp, out IcmpMeaning meaning)
    {
        meaning = IcmpMeaning.HostUnreachable;
        if (icmp.Type == Icmpv4Type.TimeExceeded)
        {
            meaning = IcmpMeaning.TimeExceeded;
            return true;
        }

        if (icmp.Type != Icmpv4Type.DestinationUnreachable)
        {
            return false;
        }

        meaning = icmp.Code switch
        {
            Icmpv4Code.NetworkUnreachable or Icmpv4Code.NetworkProhibited => IcmpMeaning.NetworkUnreachable,
            Icmpv4Code.ProtocolUnreachable => IcmpMeaning.ProtocolUnreachable,
            Icmpv4Code.PortUnreachable => IcmpMeaning.PortUnreachable,
            Icmpv4Code.FragmentationNeeded => IcmpMeaning.FragmentationNeeded,
            _ => IcmpMeaning.HostUnreachable,
        };
        return true;
    }
}
