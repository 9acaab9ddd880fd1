// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>
/// A node in a namespace with routes and neighbours that never change, and the packet programs loaded on maps of their own. Nothing is
/// attached: packets are put to the programs by BPF_PROG_TEST_RUN.
/// </summary>
/// <remarks>
/// edge: 192.0.2.10, 2001:db8::10; clients come through a router (MAC ..fe), another node is 192.0.2.11, 2001:db8::b (MAC ..0b).
/// pod: a local pod, 10.244.0.2, fd00:244::2 (MAC ..a2). Pods of the other node: 10.244.1.0/24, fd00:245::/64.
/// tag: stands for VLAN 10 on edge, with 172.16.10.0/24 and 2001:db8:10::/64.
/// </remarks>
public sealed class PacketNode : IDisposable
{
    public const uint XdpDrop = 1;
    public const uint XdpPass = 2;
    public const uint XdpTransmit = 3;
    public const uint XdpRedirect = 4;
    public const uint TcNext = uint.MaxValue;
    public const uint TcShot = 2;
    public const uint TcRedirect = 7;
    public const ulong RouterMac = 0x0200000000fe;
    public const ulong OtherNodeMac = 0x02000000000b;
    public const ulong PodMac = 0x0200000000a2;
    public const ulong EdgeMac = 0x02000000001e;
    public const ulong PodGatewayMac = 0x02000000001a;

    public static readonly IpAddress Node = Ip("192.0.2.10");
    public static readonly IpAddress Node6 = Ip("2001:db8::10");

    private readonly NetworkNamespace _namespace;
    private readonly BpfObject _xdp;
    private readonly BpfObject _tc;
    private readonly Dictionary<string, BpfMap> _maps = [];

    public PacketNode()
    {
        _namespace = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "pkt");
        SetUpLinks();
        _xdp = BpfObject.OpenResource(typeof(PacketCounter).Assembly, "service_xdp.bpf.o");
        SetSizes(_xdp);
        _xdp.Load();
        _tc = BpfObject.OpenResource(typeof(PacketCounter).Assembly, "service_tc.bpf.o");
        foreach (string name in _xdp.MapNames)
        {
            if (!name.Contains('.', StringComparison.Ordinal))
            {
                _maps[name] = _xdp.GetMap(name);
            }
        }

        foreach (string name in _tc.MapNames)
        {
            if (_maps.TryGetValue(name, out BpfMap? map))
            {
                _tc.ReuseMap(name, map);
            }
        }

        _tc.Load();
        Xdp = _xdp.GetProgram("pronghorn_service_xdp");
        TcIngress = _tc.GetProgram("pronghorn_service_ingress");
        TcEgress = _tc.GetProgram("pronghorn_service_egress");
        Edge = IndexOf("edge");
        Pod = IndexOf("pod");
        Tag = IndexOf("tag");
        FillMaps();
    }

    public BpfProgram Xdp { get; }

    public BpfProgram TcIngress { get; }

    public BpfProgram TcEgress { get; }

    public int Edge { get; }

    public int Pod { get; }

    public int Tag { get; }

    public BpfMap this[string map] => _maps[map];

    internal static IpAddress Ip(string text) => IpAddress.Parse(text);

    public void Dispose()
    {
        foreach (BpfMap map in _maps.Values)
        {
            map.Dispose();
        }

        Xdp.Dispose();
        TcIngress.Dispose();
        TcEgress.Dispose();
        _xdp.Dispose();
        _tc.Dispose();
        _namespace.Dispose();
    }

    internal (uint Verdict, byte[] Frame, uint Nanoseconds) RunRaw(
        BpfProgram program, ReadOnlySpan<byte> frame, int interfaceIndex, int repeat = 1)
    {
        byte[] sent = frame.ToArray();
        byte[] received = new byte[sent.Length + 256];
        return NamespaceThread.Run(_namespace, () =>
        {
            byte[] context = program == Xdp ? new byte[24] : new byte[192];
            if (program == Xdp)
            {
                MemoryMarshal.Write(context.AsSpan(4), sent.Length);
                MemoryMarshal.Write(context.AsSpan(12), interfaceIndex);
            }
            else
            {
                // __sk_buff.ifindex
                MemoryMarshal.Write(context.AsSpan(40), interfaceIndex);
            }

            var run = new BpfTestRun { Packet = sent, PacketOut = received, Context = context, Repeat = repeat };
            int error = program.TestRun(run, out BpfTestResult result);
            Assert.True(error == 0, $"BPF_PROG_TEST_RUN: {error}");
            return (result.Verdict, received[..result.PacketLength], result.Nanoseconds);
        });
    }

    internal (uint Verdict, TestPacket Packet) Run(BpfProgram program, TestPacket packet, int interfaceIndex)
    {
        (uint verdict, byte[] frame, _) = RunRaw(program, Address(packet, interfaceIndex).Build(), interfaceIndex);
        return (verdict, TestPacketReader.Read(frame));
    }

    /// <summary>A packet as it comes by an interface: for its address.</summary>
    internal TestPacket Address(TestPacket packet, int interfaceIndex) => packet with
    {
        DestinationMac = interfaceIndex == Pod ? PodGatewayMac : EdgeMac,
    };

    internal ulong Count(PacketCounter counter) => Sum("packet_counters", (uint)counter);

    internal ServiceCount ServiceCountOf(uint service)
    {
        var values = new ServiceCount[BpfMap.PossibleProcessors];
        Assert.Equal(0, this["service_counts"].LookupPerProcessor(service, values.AsSpan()));
        ServiceCount sum = default;
        foreach (ServiceCount value in values)
        {
            sum.Connections += value.Connections;
            sum.Rejected += value.Rejected;
            sum.Dropped += value.Dropped;
            sum.Packets += value.Packets;
            sum.Bytes += value.Bytes;
        }

        return sum;
    }

    /// <summary>Enters a service port with one frontend, all views alike but for the flags.</summary>
    internal void AddService(
        uint service,
        FrontendKey key,
        IReadOnlyList<(uint Id, IpAddress Address, int Port)> backends,
        ServiceViewAction action = ServiceViewAction.Forward,
        ViewFlags external = ViewFlags.None,
        Func<ServiceValue, ServiceValue>? change = null)
    {
        uint slot = 0;
        foreach ((uint id, IpAddress address, int port) in backends)
        {
            var backend = BackendValue.From(new Backend(address, (ushort)port, key.Protocol, false));
            Ok(this["backends"].Update(id, backend));
            Ok(this["slots"].Update(new SlotKey { Set = service, Slot = slot++ }, id));
            Ok(this["members"].Update(new MemberKey { Set = service, Backend = id }, 1u));
        }

        var view = new ServiceView { Set = service, Count = slot, Action = action };
        var value = new ServiceValue { Service = service, Pod = view, Node = view, External = view with { Flags = external } };
        Ok(this["services"].Update(ServiceKey.From(key), change is null ? value : change(value)));
        Ok(this["service_counts"].UpdatePerProcessor(service, default(ServiceCount)));
    }

    internal List<KeyValuePair<ConnectionKey, ConnectionEntry>> ReadConnections()
    {
        List<KeyValuePair<ConnectionKey, ConnectionEntry>> list = [];
        Ok(this["connections"].ReadAll(list));
        return list;
    }

    /// <summary>Makes all connections older; by less than zero: as if they had been seen later than now.</summary>
    internal void Age(TimeSpan by)
    {
        foreach ((ConnectionKey key, ConnectionEntry entry) in ReadConnections())
        {
            long seen = (long)entry.LastSeen - (long)by.TotalNanoseconds;
            Ok(this["connections"].Update(key, entry with { LastSeen = (ulong)Math.Max(seen, 0) }));
        }
    }

    internal void ChangeSettings(Func<SettingsValue, SettingsValue> change)
    {
        Ok(this["settings"].Lookup(0u, out SettingsValue settings));
        Ok(this["settings"].Update(0u, change(settings)));
    }

    internal string Command(string file, params IReadOnlyList<string> arguments) => _namespace.Run(file, arguments);

    internal static void Ok(int result) => Assert.Equal(0, result);

    private static void SetSizes(BpfObject opened)
    {
        foreach (string map in new[] { "services", "slots", "backends", "members", "service_counts" })
        {
            opened.SetMaximumEntries(map, 4096);
        }

        opened.SetMaximumEntries("connections", 8192);
    }

    private ulong Sum(string map, uint key)
    {
        var values = new ulong[BpfMap.PossibleProcessors];
        Ok(this[map].LookupPerProcessor(key, values.AsSpan()));
        ulong sum = 0;
        foreach (ulong value in values)
        {
            sum += value;
        }

        return sum;
    }

    private int IndexOf(string name) =>
        int.Parse(Command("cat", $"/sys/class/net/{name}/ifindex").Trim(), CultureInfo.InvariantCulture);

    private void SetUpLinks()
    {
        foreach (string line in new[]
        {
            "link add edge address 02:00:00:00:00:1e type veth peer name far0",
            "link add pod address 02:00:00:00:00:1a type veth peer name far1",
            "link add tag type veth peer name far2",
            "link set edge up", "link set far0 up", "link set pod up", "link set far1 up", "link set tag up", "link set far2 up",
            "addr add 192.0.2.10/24 dev edge", "addr add 2001:db8::10/64 dev edge nodad",
            "addr add 10.244.0.1/32 dev pod", "addr add fd00:244::1/128 dev pod nodad",
            "addr add 172.16.10.1/24 dev tag", "addr add 2001:db8:10::1/64 dev tag nodad",
            "route add 10.244.0.0/24 dev pod", "route add fd00:244::/64 dev pod",
            "route add default via 192.0.2.254", "route add default via 2001:db8::fe",
            "route add 10.244.1.0/24 via 192.0.2.11", "route add fd00:245::/64 via 2001:db8::b",
            "neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev edge", "neigh add 2001:db8::fe lladdr 02:00:00:00:00:fe dev edge",
            "neigh add 192.0.2.11 lladdr 02:00:00:00:00:0b dev edge", "neigh add 2001:db8::b lladdr 02:00:00:00:00:0b dev edge",
            "neigh add 10.244.0.2 lladdr 02:00:00:00:00:a2 dev pod", "neigh add fd00:244::2 lladdr 02:00:00:00:00:a2 dev pod",
            "neigh add 172.16.10.7 lladdr 02:00:00:00:10:07 dev tag", "neigh add 2001:db8:10::7 lladdr 02:00:00:00:10:07 dev tag",
        })
        {
            Command("ip", line.Split(' '));
        }

        Command("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    }

    private void FillMaps()
    {
        Ok(this["settings"].Update(0u, new SettingsValue
        {
            NodeIpv4 = Node,
            NodeIpv6 = Node6,
            MasqueradeFirst = 61000,
            MasqueradeLast = 65535,
            TcpTimeout = 86400,
            TcpOpeningTimeout = 60,
            TcpClosingTimeout = 10,
            UdpTimeout = 120,
            SctpTimeout = 120,
            MaglevSize = 16381,
        }));
        foreach (string address in new[] { "192.0.2.10", "2001:db8::10", "172.16.10.1", "2001:db8:10::1" })
        {
            Ok(this["node_addresses"].Update((NetworkAddress)Ip(address), NodeAddressFlags.Source | NodeAddressFlags.Ports));
        }

        foreach ((string address, int length) in new[] { ("10.244.0.0", 16), ("fd00:244::", 64), ("fd00:245::", 64) })
        {
            Ok(this["pod_ranges"].Update(AddressRangeKey.From(new AddressRange(Ip(address), length)), 1u));
        }

        Ok(this["devices"].Update((uint)Edge, new DeviceValue { Lower = (uint)Edge, Flags = 1 }));
        Ok(this["devices"].Update((uint)Tag, new DeviceValue { Lower = (uint)Edge, Vlan = 10, Flags = 1 }));
        Ok(this["vlans"].Update(new VlanKey((uint)Edge, 10), (uint)Tag));
    }
}
