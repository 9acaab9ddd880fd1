// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>An interface of the node.</summary>
/// <param name="Index">Its index.</param>
/// <param name="Name">Its name.</param>
/// <param name="Kind">"veth", "vlan", ...; empty for a physical one.</param>
public sealed record PacketInterface(int Index, string Name, string Kind)
{
    /// <summary>The interfaces of the calling thread's network namespace.</summary>
    /// <exception cref="BpfException">The kernel does not tell.</exception>
    public static IReadOnlyList<PacketInterface> List()
    {
        int result = RouteMonitor.Open(out RouteMonitor? monitor);
        if (monitor is null)
        {
            throw new BpfException(BpfStep.Open, "the list of interfaces (rtnetlink)", -result);
        }

        using (monitor)
        {
            return Read(monitor);
        }
    }

    /// <summary>Reads what a monitor tells until its snapshot is complete.</summary>
    internal static List<PacketInterface> Read(RouteMonitor monitor)
    {
        Dictionary<int, PacketInterface> found = [];
        while (monitor.TryReceive(out NetlinkEvent item) && item.Kind != NetlinkEventKind.SnapshotCompleted)
        {
            switch (item.Kind)
            {
                case NetlinkEventKind.SnapshotStarted:
                    found.Clear();
                    break;
                case NetlinkEventKind.Link:
                    found[item.Link.Index] = new PacketInterface(item.Link.Index, item.Link.Name.ToString(), item.Link.Kind.ToString());
                    break;
                case NetlinkEventKind.LinkRemoved:
                    found.Remove(item.Link.Index);
                    break;
                default:
                    break;
            }
        }

        return [.. found.Values];
    }
}
