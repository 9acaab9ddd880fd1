// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>What became of a message.</summary>
internal enum ParseOutcome : byte
{
    /// <summary>It is not of a kind that is followed.</summary>
    Ignored,

    /// <summary>It is too short, or its attributes do not add up.</summary>
    Malformed,

    /// <summary>It told something.</summary>
    Parsed,
}

/// <summary>Reads the messages of rtnetlink(7). Total: no bytes make it throw.</summary>
internal static class RouteMessageParser
{
    private const int LinkHeader = 16;
    private const int AddressHeader = 8;
    private const int RouteHeader = 12;
    private const int NeighborHeader = 12;
    private const uint RouteIsCloned = 0x200;

    public static ParseOutcome Parse(in NetlinkMessage message, out NetlinkEvent item)
    {
        item = default;
        ReadOnlySpan<byte> payload = message.Payload;
        switch (message.Type)
        {
            case 16 or 17:
                item.Kind = message.Type == 16 ? NetlinkEventKind.Link : NetlinkEventKind.LinkRemoved;
                return ParseLink(payload, ref item.Link);
            case 20 or 21:
                item.Kind = message.Type == 20 ? NetlinkEventKind.Address : NetlinkEventKind.AddressRemoved;
                return ParseAddress(payload, ref item.Address);
            case 24 or 25:
                item.Kind = message.Type == 24 ? NetlinkEventKind.Route : NetlinkEventKind.RouteRemoved;
                item.Route.Replaces = (message.Flags & NetlinkMessage.FlagReplace) != 0;
                return ParseRoute(payload, ref item.Route);
            case 28 or 29:
                item.Kind = message.Type == 28 ? NetlinkEventKind.Neighbor : NetlinkEventKind.NeighborRemoved;
                return ParseNeighbor(payload, ref item.Neighbor);
            default:
                return ParseOutcome.Ignored;
        }
    }

    private static ParseOutcome ParseLink(ReadOnlySpan<byte> payload, ref LinkInformation link)
    {
        if (payload.Length < LinkHeader)
        {
            return ParseOutcome.Malformed;
        }

        // A bridge reports its ports with family AF_BRIDGE and few attributes; the interface itself comes as AF_UNSPEC.
        if (payload[0] != 0)
        {
            return ParseOutcome.Ignored;
        }

        link.Index = MemoryMarshal.Read<int>(payload[4..]);
        link.Flags = MemoryMarshal.Read<uint>(payload[8..]);
        var attributes = new NetlinkAttributes(payload[LinkHeader..]);
        while (attributes.MoveNext())
        {
            switch (attributes.Type)
            {
                case 1 when attributes.Value.Length == MacAddress.Length:
                    link.Mac = MacAddress.Read(attributes.Value);
                    break;
                case 3:
                    link.Name = InterfaceName.FromBytes(attributes.Value);
                    break;
                case 4:
                    link.Mtu = attributes.AsInt32();
                    break;
                case 10:
                    link.Master = attributes.AsInt32();
                    break;
                case 18:
                    link.Kind = ParseKind(attributes.Value);
                    break;
                case 43:
                    link.XdpProgramId = ParseXdp(attributes.Value);
                    break;
            }
        }

        return Outcome(attributes);
    }

    private static InterfaceName ParseKind(ReadOnlySpan<byte> nested)
    {
        var attributes = new NetlinkAttributes(nested);
        while (attributes.MoveNext())
        {
            if (attributes.Type == 1)
            {
                return InterfaceName.FromBytes(attributes.Value);
            }
        }

        return default;
    }

    private static uint ParseXdp(ReadOnlySpan<byte> nested)
    {
        uint program = 0;
        var attributes = new NetlinkAttributes(nested);
        while (attributes.MoveNext())
        {
            // IFLA_XDP_PROG_ID, and where several are attached IFLA_XDP_DRV_, SKB_ and HW_PROG_ID.
            if (attributes.Type is >= 4 and <= 7 && program == 0)
            {
                program = attributes.AsUInt32();
            }
        }

        return program;
    }

    private static ParseOutcome ParseAddress(ReadOnlySpan<byte> payload, ref AddressInformation address)
    {
        if (payload.Length < AddressHeader)
        {
            return ParseOutcome.Malformed;
        }

        byte family = payload[0];
        address.PrefixLength = payload[1];
        address.Scope = payload[3];
        address.Interface = MemoryMarshal.Read<int>(payload[4..]);
        bool hasLocal = false;
        bool hasAddress = false;
        var attributes = new NetlinkAttributes(payload[AddressHeader..]);
        while (attributes.MoveNext())
        {
            // On a point-to-point link IFA_ADDRESS is the other side's, and IFA_LOCAL ours.
            if (attributes.Type == 2)
            {
                hasLocal = TryReadAddress(family, attributes.Value, out address.Address);
            }
            else if (attributes.Type == 1 && !hasLocal)
            {
                hasAddress = TryReadAddress(family, attributes.Value, out address.Address);
            }
        }

        ParseOutcome outcome = Outcome(attributes);
        return outcome == ParseOutcome.Parsed && (!(hasLocal || hasAddress) || !FitsFamily(family, address.PrefixLength))
            ? ParseOutcome.Malformed
            : outcome;
    }

    private static ParseOutcome ParseRoute(ReadOnlySpan<byte> payload, ref RouteInformation route)
    {
        if (payload.Length < RouteHeader)
        {
            return ParseOutcome.Malformed;
        }

        byte family = payload[0];
        if (family is not ((byte)Constants.AddressFamilyInet or (byte)Constants.AddressFamilyInet6)
            || (MemoryMarshal.Read<uint>(payload[8..]) & RouteIsCloned) != 0)
        {
            return ParseOutcome.Ignored;
        }

        route.PrefixLength = payload[1];
        route.Table = payload[4];
        route.Kind = (RouteKind)payload[7];
        IpAddress any = family == Constants.AddressFamilyInet ? IpAddress.AnyIpv4 : IpAddress.AnyIpv6;
        route.Destination = any;
        route.Gateway = any;
        route.PreferredSource = any;
        bool valid = FitsFamily(family, route.PrefixLength);
        var attributes = new NetlinkAttributes(payload[RouteHeader..]);
        while (attributes.MoveNext())
        {
            valid &= ApplyRouteAttribute(family, attributes, ref route);
        }

        return valid ? Outcome(attributes) : ParseOutcome.Malformed;
    }

    private static bool ApplyRouteAttribute(byte family, in NetlinkAttributes attribute, ref RouteInformation route)
    {
        switch (attribute.Type)
        {
            case 1:
                return TryReadAddress(family, attribute.Value, out route.Destination);
            case 4:
                route.Interface = attribute.AsInt32();
                return true;
            case 5:
                return TryReadAddress(family, attribute.Value, out route.Gateway);
            case 6:
                route.Metric = attribute.AsUInt32();
                return true;
            case 7:
                return TryReadAddress(family, attribute.Value, out route.PreferredSource);
            case 8:
                route.Mtu = ParseMetrics(attribute.Value);
                return true;
            case 9:
                return ParseNextHop(family, attribute.Value, ref route);
            case 15:
                route.Table = attribute.AsUInt32();
                return true;
            default:
                return true;
        }
    }

    private static int ParseMetrics(ReadOnlySpan<byte> nested)
    {
        var attributes = new NetlinkAttributes(nested);
        while (attributes.MoveNext())
        {
            if (attributes.Type == 2)
            {
                return (int)Math.Min(attributes.AsUInt32(), 65535);
            }
        }

        return 0;
    }

    /// <summary>Takes the first next hop of several (struct rtnexthop and its attributes).</summary>
    private static bool ParseNextHop(byte family, ReadOnlySpan<byte> hops, ref RouteInformation route)
    {
        if (hops.Length < 8)
        {
            return false;
        }

        int length = MemoryMarshal.Read<ushort>(hops);
        if (length < 8 || length > hops.Length)
        {
            return false;
        }

        route.IsMultipath = length < hops.Length;
        route.Interface = MemoryMarshal.Read<int>(hops[4..]);
        var attributes = new NetlinkAttributes(hops[8..length]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == 5 && !TryReadAddress(family, attributes.Value, out route.Gateway))
            {
                return false;
            }
        }

        return !attributes.IsMalformed;
    }

    private static ParseOutcome ParseNeighbor(ReadOnlySpan<byte> payload, ref NeighborInformation neighbor)
    {
        if (payload.Length < NeighborHeader)
        {
            return ParseOutcome.Malformed;
        }

        byte family = payload[0];
        if (family is not ((byte)Constants.AddressFamilyInet or (byte)Constants.AddressFamilyInet6))
        {
            // AF_BRIDGE: a forwarding table entry of a bridge, not a neighbour.
            return ParseOutcome.Ignored;
        }

        neighbor.Interface = MemoryMarshal.Read<int>(payload[4..]);
        neighbor.State = MemoryMarshal.Read<ushort>(payload[8..]);
        bool valid = false;
        var attributes = new NetlinkAttributes(payload[NeighborHeader..]);
        while (attributes.MoveNext())
        {
            if (attributes.Type == 1)
            {
                valid = TryReadAddress(family, attributes.Value, out neighbor.Address);
            }
            else if (attributes.Type == 2 && attributes.Value.Length == MacAddress.Length)
            {
                neighbor.Mac = MacAddress.Read(attributes.Value);
            }
        }

        return valid ? Outcome(attributes) : ParseOutcome.Malformed;
    }

    private static ParseOutcome Outcome(in NetlinkAttributes attributes) =>
        attributes.IsMalformed ? ParseOutcome.Malformed : ParseOutcome.Parsed;

    private static bool FitsFamily(byte family, int prefixLength) =>
        prefixLength <= (family == Constants.AddressFamilyInet ? 32 : 128);

    private static bool TryReadAddress(byte family, ReadOnlySpan<byte> value, out IpAddress address)
    {
        address = default;
        switch (family)
        {
            case (byte)Constants.AddressFamilyInet when value.Length == IpAddress.Ipv4Length:
                address = IpAddress.ReadIpv4(value);
                return true;
            case (byte)Constants.AddressFamilyInet6 when value.Length == IpAddress.Ipv6Length:
                address = IpAddress.ReadIpv6(value);
                return true;
            default:
                return false;
        }
    }
}
