// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Netlink;
using Pronghorn.Stack;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Wire;

namespace Pronghorn.Runtime;

/// <summary>
/// Keeps a stack's interfaces, addresses, routes and neighbours as the kernel has them, and passes its requests for
/// neighbours to the kernel.
/// </summary>
/// <remarks>One thread at a time. After construction nothing is allocated on the managed heap.</remarks>
public sealed class KernelMirror : IDisposable
{
    private readonly NetworkStack _stack;
    private readonly RouteMonitor _monitor;
    private readonly int _deviceId;
    private readonly int _largestMtu;
    private bool _complete;

    private KernelMirror(NetworkStack stack, RouteMonitor monitor, int deviceId, int largestMtu)
    {
        _stack = stack;
        _monitor = monitor;
        _deviceId = deviceId;
        _largestMtu = largestMtu;
    }

    /// <summary>Readable when something has changed.</summary>
    public int FileDescriptor => _monitor.FileDescriptor;

    /// <summary>What the monitor counted.</summary>
    public ref readonly RouteMonitorStatistics Statistics => ref _monitor.Statistics;

    /// <summary>Whether any address was added or removed since this was last reset by its reader.</summary>
    public bool AddressesChanged { get; set; }

    /// <summary>Whether the device's interface was deleted, or moved to another network namespace. Never takes frames again.</summary>
    public bool IsDeviceGone { get; private set; }

    /// <summary>The MTU that the device's interface has in the kernel, in bytes; it may be larger than what the stack uses.</summary>
    public int DeviceMtu { get; private set; }

    /// <summary>Opens a mirror and fills the stack's tables with what is there now.</summary>
    /// <param name="stack">The stack.</param>
    /// <param name="deviceId">Index of the interface whose frames the stack handles.</param>
    /// <param name="largestMtu">What one of the device's frames holds, in bytes: the stack uses no larger MTU there.</param>
    /// <param name="mirror">The mirror on success, null otherwise.</param>
    /// <returns>0 or the negative error number.</returns>
    public static int Open(NetworkStack stack, int deviceId, int largestMtu, out KernelMirror? mirror)
    {
        ArgumentNullException.ThrowIfNull(stack);
        int result = RouteMonitor.Open(out RouteMonitor? monitor);
        if (result < 0 || monitor == null)
        {
            mirror = null;
            return result;
        }

        mirror = new KernelMirror(stack, monitor, deviceId, largestMtu);
        mirror.Drain();
        return 0;
    }

    /// <summary>Takes over every change that waits, and passes requests on. Costs a system call when there is none.</summary>
    public void Drain()
    {
        while (_monitor.TryReceive(out NetlinkEvent item))
        {
            Apply(item);
        }

        // Messages are lost when the socket's buffer overflows; the table is right again after the snapshot that follows.
        IsDeviceGone |= _complete && !_stack.Interfaces.TryGet(_deviceId, out _);
        PassRequests();
    }

    /// <summary>Asks the kernel for neighbours that the stack needs. Costs nothing when there are none.</summary>
    public void PassRequests()
    {
        while (_stack.Neighbors.TryDequeueRequest(out int interfaceId, out IpAddress address))
        {
            // A failure shows as no answer; the stack asks again in a second.
            _ = _monitor.RequestNeighbor(interfaceId, address);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _monitor.Dispose();

    private void Apply(in NetlinkEvent item)
    {
        switch (item.Kind)
        {
            case NetlinkEventKind.SnapshotStarted:
                _stack.Interfaces.Clear();
                _stack.Routes.Clear();
                _stack.Neighbors.Clear();
                AddressesChanged = true;
                _complete = false;
                break;
            case NetlinkEventKind.SnapshotCompleted:
                _complete = true;
                break;
            case NetlinkEventKind.Link:
                ApplyLink(item.Link);
                break;
            case NetlinkEventKind.LinkRemoved:
                _stack.Interfaces.Remove(item.Link.Index);
                break;
            case NetlinkEventKind.Address:
                _stack.Interfaces.AddAddress(item.Address.Interface, item.Address.Address, item.Address.PrefixLength);
                AddressesChanged = true;
                break;
            case NetlinkEventKind.AddressRemoved:
                _stack.Interfaces.RemoveAddress(item.Address.Interface, item.Address.Address);
                AddressesChanged = true;
                break;
            case NetlinkEventKind.Route:
            case NetlinkEventKind.RouteRemoved:
                ApplyRoute(item.Route, item.Kind == NetlinkEventKind.RouteRemoved);
                break;
            case NetlinkEventKind.Neighbor:
            case NetlinkEventKind.NeighborRemoved:
                ApplyNeighbor(item.Neighbor, item.Kind == NetlinkEventKind.NeighborRemoved);
                break;
            default:
                break;
        }
    }

    private void ApplyLink(in LinkInformation link)
    {
        bool isDevice = link.Index == _deviceId;
        DeviceMtu = isDevice ? link.Mtu : DeviceMtu;
        _stack.Interfaces.Update(new NetworkInterface
        {
            Id = link.Index,
            Mac = link.Mac,
            Mtu = isDevice ? Math.Min(link.Mtu, _largestMtu) : link.Mtu,
            Up = link.IsUp && link.HasCarrier,
        });
    }

    private void ApplyRoute(in RouteInformation information, bool removed)
    {
        // Rules and further tables are beyond the mirror; such hosts keep those destinations on the kernel's path.
        if (information.Table != RouteInformation.MainTable || information.Kind != RouteKind.Unicast
            || !information.Destination.IsIpv4)
        {
            return;
        }

        Route route = new()
        {
            Destination = information.Destination,
            PrefixLength = information.PrefixLength,
            Gateway = information.Gateway.IsIpv4 ? information.Gateway : IpAddress.AnyIpv4,
            InterfaceId = information.Interface,
            PreferredSource = information.PreferredSource.IsIpv4 ? information.PreferredSource : IpAddress.AnyIpv4,
            Mtu = information.Mtu,
            Metric = information.Metric,
        };
        if (removed)
        {
            _stack.Routes.Remove(route);
        }
        else
        {
            _stack.Routes.Add(route);
        }
    }

    private void ApplyNeighbor(in NeighborInformation neighbor, bool removed)
    {
        if (!removed && neighbor.IsUsable)
        {
            _stack.Neighbors.Set(neighbor.Interface, neighbor.Address, neighbor.Mac);
        }
        else if (neighbor.HasFailed && !removed)
        {
            _stack.Neighbors.Fail(neighbor.Interface, neighbor.Address);
        }
        else if (removed)
        {
            _stack.Neighbors.Remove(neighbor.Interface, neighbor.Address);
        }
    }
}
