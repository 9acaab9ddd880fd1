// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Follows a real kernel while ip(8) changes it.</summary>
public sealed class RouteMonitorTests : IDisposable
{
    private const int WaitMilliseconds = 10_000;

    private readonly TwoHosts _hosts;
    private readonly RouteMonitor _monitor;

    public RouteMonitorTests()
    {
        LabCleanup.RemoveStale();
        _hosts = TwoHosts.Create(new TwoHostsOptions { DisableOffloads = false });
        _monitor = NamespaceThread.Run(_hosts.Server, () =>
        {
            Assert.Equal(0, RouteMonitor.Open(out RouteMonitor? monitor));
            return monitor!;
        });
    }

    public void Dispose()
    {
        _monitor.Dispose();
        _hosts.Dispose();
    }

    [Fact]
    public void Snapshot_Drained_HasWhatIpShows()
    {
        List<NetlinkEvent> events = Drain();
        Assert.Equal(NetlinkEventKind.SnapshotStarted, events[0].Kind);
        Assert.Equal(NetlinkEventKind.SnapshotCompleted, events[^1].Kind);
        LinkInformation link = events.Single(e => e.Link.Name.Equals("lab0"u8)).Link;
        Assert.Equal(1500, link.Mtu);
        Assert.True(link.IsUp);
        Assert.True(link.Kind.Equals("veth"u8));
        Assert.Equal(TwoHosts.ServerMac, link.Mac.ToString());
        Assert.True(events.Single(e => e.Link.Name.Equals("lo"u8)).Link.IsLoopback);
        AddressInformation address = events.Single(e => e.Address.Interface == link.Index).Address;
        Assert.Equal(TwoHosts.ServerAddress, address.Address.ToString());
        Assert.Equal(24, address.PrefixLength);
        RouteInformation[] routes = [.. events.Where(e => e.Route.Interface == link.Index).Select(e => e.Route)];
        RouteInformation subnet = routes.Single(r => r.Table == RouteInformation.MainTable);
        Assert.Equal("10.0.0.0", subnet.Destination.ToString());
        Assert.Equal(24, subnet.PrefixLength);
        Assert.Equal(TwoHosts.ServerAddress, subnet.PreferredSource.ToString());
        Assert.Contains(routes, r => r.Kind == RouteKind.Local && r.Destination.ToString() == TwoHosts.ServerAddress);
        Assert.Contains(routes, r => r.Kind == RouteKind.Broadcast && r.Destination.ToString() == "10.0.0.255");
        Assert.Equal(1, _monitor.Statistics.Snapshots);
        Assert.Equal(0, _monitor.Statistics.Malformed);
    }

    [Fact]
    public void Changes_MadeLater_AreTold()
    {
        Drain();
        Ip("route add 192.0.2.0/24 via 10.0.0.1 metric 7 mtu 1400");
        RouteInformation route = Wait(e => e.Kind == NetlinkEventKind.Route).Route;
        Assert.Equal("192.0.2.0", route.Destination.ToString());
        Assert.Equal("10.0.0.1", route.Gateway.ToString());
        Assert.Equal((7u, 1400, RouteInformation.MainTable), (route.Metric, route.Mtu, route.Table));
        Ip("route del 192.0.2.0/24 via 10.0.0.1 metric 7");
        Assert.Equal("192.0.2.0", Wait(e => e.Kind == NetlinkEventKind.RouteRemoved).Route.Destination.ToString());
        Ip("link set lab0 mtu 1300");
        Wait(e => e.Kind == NetlinkEventKind.Link && e.Link.Mtu == 1300);
        Ip("address add 10.0.0.3/32 dev lab0");
        Assert.Equal("10.0.0.3", Wait(e => e.Kind == NetlinkEventKind.Address).Address.Address.ToString());
        Ip("address del 10.0.0.3/32 dev lab0");
        Wait(e => e.Kind == NetlinkEventKind.AddressRemoved);
        Ip("neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev lab0");
        NeighborInformation neighbor = Wait(e => e.Kind == NetlinkEventKind.Neighbor).Neighbor;
        Assert.Equal(("10.0.0.9", "02:00:00:00:00:09"), (neighbor.Address.ToString(), neighbor.Mac.ToString()));
        Assert.True(neighbor.IsUsable);
        Ip("link add gone0 type veth peer name gone1");
        Wait(e => e.Kind == NetlinkEventKind.Link && e.Link.Name.Equals("gone0"u8));
        Ip("link del gone0");
        Wait(e => e.Kind == NetlinkEventKind.LinkRemoved);
    }

    [Theory]
    [InlineData("link set lab0 down")]
    [InlineData("address del 10.0.0.2/24 dev lab0")]
    [InlineData("link del lab0")]
    public void InterfaceOrAddress_TakenAway_TellsThatItsRoutesAreGone(string command)
    {
        Ip("route add 192.0.2.0/24 via 10.0.0.1");
        Assert.Contains(Drain(), IsRouteOfTest);
        Ip(command);
        Wait(e => e.Kind == NetlinkEventKind.SnapshotStarted);
        List<NetlinkEvent> events = Drain();
        Assert.Equal(NetlinkEventKind.SnapshotCompleted, events[^1].Kind);
        Assert.DoesNotContain(events, IsRouteOfTest);
        Assert.DoesNotContain(events, e => e.Route.Gateway.ToString() == "10.0.0.1");
    }

    [Fact]
    public void MultipathRoute_Added_TellsItsFirstHop()
    {
        Drain();
        Ip("route add 198.51.100.0/24 nexthop via 10.0.0.1 dev lab0 nexthop via 10.0.0.7 dev lab0");
        RouteInformation route = Wait(e => e.Kind == NetlinkEventKind.Route).Route;
        Assert.Equal("10.0.0.1", route.Gateway.ToString());
        Assert.True(route.IsMultipath);
        Assert.NotEqual(0, route.Interface);
    }

    [Fact]
    public void Neighbor_Requested_IsResolvedByTheKernel()
    {
        int index = Drain().Single(e => e.Link.Name.Equals("lab0"u8)).Link.Index;
        Assert.True(IpAddress.TryParse(TwoHosts.ClientAddress, out IpAddress client));
        Assert.Equal(0, _monitor.RequestNeighbor(index, client));
        NeighborInformation neighbor = Wait(e => e.Kind == NetlinkEventKind.Neighbor && e.Neighbor.IsUsable).Neighbor;
        Assert.Equal(client, neighbor.Address);
        Assert.Equal(TwoHosts.ClientMac, neighbor.Mac.ToString());
        Assert.Equal(0, _monitor.Statistics.RequestErrors);

        Assert.Equal(0, _monitor.RequestNeighbor(99999, client));
        Drain();
        Assert.Equal(1, _monitor.Statistics.RequestErrors);
    }

    [Fact]
    public void ChangesUnread_UntilTheKernelDropsSome_BringANewSnapshot()
    {
        Drain();
        Assert.Equal(0, Libc.SetSocketOption(
            _monitor.FileDescriptor, Constants.SocketLevel, Constants.SocketReceiveBufferForce, 4096));
        string batch = string.Concat(Enumerable.Range(0, 200).Select(i => string.Create(
            CultureInfo.InvariantCulture, $"route add 203.0.113.{i}/32 dev lab0\n")));
        string file = System.IO.Path.GetTempFileName();
        System.IO.File.WriteAllText(file, batch);
        _hosts.Server.Run("ip", "-batch", file);
        System.IO.File.Delete(file);
        Assert.Equal(0, Libc.SetSocketOption(
            _monitor.FileDescriptor, Constants.SocketLevel, Constants.SocketReceiveBufferForce, 1 << 20));

        List<NetlinkEvent> events = Drain();
        int start = events.FindLastIndex(e => e.Kind == NetlinkEventKind.SnapshotStarted);
        Assert.True(start >= 0);
        Assert.Equal(200, events.Skip(start).Count(e =>
            e.Route.Table == RouteInformation.MainTable && e.Route.PrefixLength == 32));
        Assert.Equal(NetlinkEventKind.SnapshotCompleted, events[^1].Kind);
        Assert.Equal(1, _monitor.Statistics.Overruns);
        Assert.Equal(2, _monitor.Statistics.Snapshots);
    }

    [Fact]
    public void EventsAndRequests_AllocateNothing()
    {
        int index = Drain().Single(e => e.Link.Name.Equals("lab0"u8)).Link.Index;
        _ = _monitor.RequestNeighbor(index, default);
        Drain();
        Ip("route add 192.0.2.0/24 via 10.0.0.1");
        Ip("link set lab0 mtu 1300");
        long before = GC.GetAllocatedBytesForCurrentThread();
        int count = 0;
        while (_monitor.TryReceive(out _))
        {
            count++;
        }

        _ = _monitor.RequestNeighbor(index, default);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(0, allocated);
        Assert.True(count >= 2);
    }

    private static bool IsRouteOfTest(NetlinkEvent item) =>
        item.Kind == NetlinkEventKind.Route && item.Route.Destination.ToString() == "192.0.2.0";

    private void Ip(string command) => _hosts.Server.Run("ip", command.Split(' '));

    private List<NetlinkEvent> Drain()
    {
        List<NetlinkEvent> events = [];
        while (_monitor.TryReceive(out NetlinkEvent item))
        {
            events.Add(item);
        }

        return events;
    }

    private NetlinkEvent Wait(Predicate<NetlinkEvent> wanted)
    {
        while (true)
        {
            while (_monitor.TryReceive(out NetlinkEvent item))
            {
                if (wanted(item))
                {
                    return item;
                }
            }

            Span<PollDescriptor> poll = [new PollDescriptor { Descriptor = _monitor.FileDescriptor, Events = 1 }];
            Assert.Equal(1, Libc.Poll(poll, WaitMilliseconds));
        }
    }
}
