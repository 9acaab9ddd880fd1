// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Linux.Netlink;
using Pronghorn.Wire;

namespace Pronghorn.Preload;

/// <summary>
/// Which interface to take when none is named: the one that has the address a program binds, or by which its peer is
/// reached, or the first that is up and has an address.
/// </summary>
internal sealed class InterfaceChoice
{
    private readonly Dictionary<int, LinkInformation> _links = [];
    private readonly List<AddressInformation> _addresses = [];
    private readonly List<RouteInformation> _routes = [];

    private InterfaceChoice()
    {
    }

    /// <summary>The interface's name, or null when there is none that fits.</summary>
    /// <param name="address">The program's own address or its peer's; any when it does not matter.</param>
    /// <param name="isPeer">Whether the address is a peer's.</param>
    public static string? Choose(in IpAddress address, bool isPeer)
    {
        var choice = new InterfaceChoice();
        if (RouteMonitor.Open(out RouteMonitor? monitor) < 0 || monitor is null)
        {
            return null;
        }

        using (monitor)
        {
            while (monitor.TryReceive(out NetlinkEvent item))
            {
                choice.Note(item);
            }
        }

        int index = address.IsAny ? choice.First() : isPeer ? choice.TowardsPeer(address) : choice.With(address);
        return choice._links.TryGetValue(index, out LinkInformation link) && !link.IsLoopback
            ? link.Name.ToString()
            : null;
    }

    private void Note(in NetlinkEvent item)
    {
        switch (item.Kind)
        {
            case NetlinkEventKind.SnapshotStarted:
                _links.Clear();
                _addresses.Clear();
                _routes.Clear();
                break;
            case NetlinkEventKind.Link:
                _links[item.Link.Index] = item.Link;
                break;
            case NetlinkEventKind.Address when item.Address.Address.IsIpv4:
                _addresses.Add(item.Address);
                break;
            case NetlinkEventKind.Route when item.Route.Table == RouteInformation.MainTable
                && item.Route.Destination.IsIpv4:
                _routes.Add(item.Route);
                break;
            default:
                break;
        }
    }

    private int First()
    {
        foreach (AddressInformation item in _addresses)
        {
            if (_links.TryGetValue(item.Interface, out LinkInformation link) && link.IsUp && !link.IsLoopback)
            {
                return item.Interface;
            }
        }

        return 0;
    }

    private int With(in IpAddress address)
    {
        foreach (AddressInformation item in _addresses)
        {
            if (item.Address == address)
            {
                return item.Interface;
            }
        }

        return 0;
    }

    private int TowardsPeer(in IpAddress peer)
    {
        if (With(peer) != 0)
        {
            return 0; // it is this host itself
        }

        int best = 0;
        int longest = -1;
        foreach (RouteInformation route in _routes)
        {
            uint mask = route.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - route.PrefixLength);
            if ((peer.ToIpv4() & mask) == (route.Destination.ToIpv4() & mask) && route.PrefixLength > longest)
            {
                longest = route.PrefixLength;
                best = route.Interface;
            }
        }

        return best;
    }
}
