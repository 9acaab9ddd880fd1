// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>
/// A node with the packet layer on it, in namespaces: a client behind edge0, another node's pod behind edge1, a pod of its own behind
/// pod0. Real sockets, real frames. The socket layer is not there.
/// </summary>
/// <remarks>client 192.168.1.1, other 192.168.2.1, pod 10.244.0.2; the node is .254 of each, and the same in fd00:N::/64.</remarks>
public class PacketNetwork : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("pronghorn-lb-").FullName;
    private readonly Dictionary<string, BpfMap> _maps = [];
    private readonly List<BpfLink> _peers = [];
    private BpfObject? _passAll;
    private uint _last;

    protected PacketNetwork(XdpChoice xdp)
    {
        string prefix = LabCleanup.CreatePrefix();
        Node = NetworkNamespace.Create(prefix + "-node");
        Node.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
        Client = Join(prefix + "-client", "edge0", "192.168.1.", "fd00:1::", finishChecksums: xdp == XdpChoice.Native);
        Other = Join(prefix + "-other", "edge1", "192.168.2.", "fd00:2::", finishChecksums: xdp == XdpChoice.Native);
        Pod = Join(prefix + "-pod", "pod0", "10.244.0.", "fd00:3::", finishChecksums: false);
        Pins = new PinLayout("test", _root);
        Layer = new PacketLayer(Pins);
        Options = new PacketLayerOptions { EdgeInterfaces = ["edge0", "edge1"], PodInterfaces = ["pod*"], Xdp = xdp };
        Start();
        foreach (string name in new[] { "packet_counters", "connections" })
        {
            _maps[name] = BpfMap.OpenPinned(Pins.Map(name));
        }

        FillTables();
    }

    public PacketLayerOptions Options { get; }

    public NetworkNamespace Node { get; }

    public NetworkNamespace Client { get; }

    public NetworkNamespace Other { get; }

    public NetworkNamespace Pod { get; }

    public PinLayout Pins { get; }

    public PacketLayer Layer { get; }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    internal static IPAddress Address(string place, bool isIpv6) => IPAddress.Parse((place, isIpv6) switch
    {
        ("client", false) => "192.168.1.1",
        ("client", true) => "fd00:1::1",
        ("other", false) => "192.168.2.1",
        ("other", true) => "fd00:2::1",
        ("pod", false) => "10.244.0.1",
        ("pod", true) => "fd00:3::1",
        ("node", false) => "192.168.1.254",
        ("node", true) => "fd00:1::fe",
        _ => throw new ArgumentException(place, nameof(place)),
    });

    internal void Start() => InNode(() => Layer.Start(Options, SocketLayerFixture.SmallMaps));

    internal void Refresh() => InNode(() => Layer.Refresh(PacketInterface.List()));

    internal BpfMap Map(string name)
    {
        if (!_maps.TryGetValue(name, out BpfMap? map))
        {
            _maps[name] = map = BpfMap.OpenPinned(Pins.Map(name));
        }

        return map;
    }

    /// <summary>A service with one backend or none; returns its end.</summary>
    internal IPEndPoint AddService(
        bool isIpv6, IpProtocol protocol, IPEndPoint? backend, ViewFlags flags = ViewFlags.None, bool isNodePort = false)
    {
        uint id = ++_last;
        ushort port = (ushort)(20000 + id);
        IpAddress address = isNodePort ? isIpv6 ? IpAddress.AnyIpv6 : IpAddress.AnyIpv4
            : IpAddress.Parse(isIpv6 ? "fd00:aaaa::1" : "172.30.0.1");
        var view = new ServiceView { Action = ServiceViewAction.Reject };
        if (backend is not null)
        {
            view = new ServiceView { Set = id, Count = 1, Action = ServiceViewAction.Forward };
            var value = BackendValue.From(new Backend(IpAddress.Parse(backend.Address.ToString()), (ushort)backend.Port, protocol, false));
            PacketNode.Ok(Map("backends").Update(id, value));
            PacketNode.Ok(Map("slots").Update(new SlotKey { Set = id }, id));
        }

        var service = new ServiceValue { Service = id, Pod = view, Node = view, External = view with { Flags = flags } };
        PacketNode.Ok(Map("services").Update(ServiceKey.From(new FrontendKey(address, port, protocol)), service));
        return new IPEndPoint(isNodePort ? Address("node", isIpv6) : IPAddress.Parse(address.ToString()), port);
    }

    internal ulong Count(PacketCounter counter)
    {
        var values = new ulong[BpfMap.PossibleProcessors];
        PacketNode.Ok(Map("packet_counters").LookupPerProcessor((uint)counter, values.AsSpan()));
        ulong sum = 0;
        Array.ForEach(values, value => sum += value);
        return sum;
    }

    /// <summary>A socket that was opened in a namespace, and stays there.</summary>
    internal static Socket Open(NetworkNamespace place, IpProtocol protocol, IPEndPoint local)
    {
        bool isTcp = protocol == IpProtocol.Tcp;
        Socket socket = NamespaceThread.Run(place, () => new Socket(
            local.AddressFamily, isTcp ? SocketType.Stream : SocketType.Dgram, isTcp ? ProtocolType.Tcp : ProtocolType.Udp));
        socket.ReceiveTimeout = 5000;
        socket.SendTimeout = 5000;
        socket.Bind(local);
        return socket;
    }

    protected virtual void Dispose(bool disposing)
    {
        foreach (BpfMap map in _maps.Values)
        {
            map.Dispose();
        }

        _peers.ForEach(link => link.Dispose());
        _passAll?.Dispose();
        Layer.Stop();
        Layer.Dispose();
        Pins.Remove();
        Node.Dispose();
        Client.Dispose();
        Other.Dispose();
        Pod.Dispose();
        LabCommand.Run("umount", _root);
        Directory.Delete(_root);
    }

    /// <summary>The program with empty maps: it knows no service.</summary>
    private BpfProgram PassAll()
    {
        if (_passAll is null)
        {
            _passAll = BpfObject.OpenResource(typeof(PacketLayer).Assembly, "service_xdp.bpf.o");
            _passAll.Load();
        }

        return _passAll.GetProgram("pronghorn_service_xdp");
    }

    private void InNode(Action action) => NamespaceThread.Run(Node, () =>
    {
        action();
        return 0;
    });

    private NetworkNamespace Join(string name, string link, string prefix4, string prefix6, bool finishChecksums)
    {
        NetworkNamespace place = NetworkNamespace.Create(name);
        Node.Run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name);
        Node.Run("ip", "addr", "add", prefix4 + "254/24", "dev", link);
        Node.Run("ip", "addr", "add", prefix6 + "fe/64", "dev", link, "nodad");
        Node.Run("ip", "link", "set", link, "up");
        place.Run("ip", "addr", "add", prefix4 + "1/24", "dev", "eth0");
        place.Run("ip", "addr", "add", prefix6 + "1/64", "dev", "eth0", "nodad");
        place.Run("ip", "link", "set", "eth0", "up");
        place.Run("ip", "route", "add", "default", "via", prefix4 + "254");
        place.Run("ip", "route", "add", "default", "via", prefix6 + "fe");
        if (finishChecksums)
        {
            // XDP on a veth sees checksums as the peer leaves them, and sends only to a peer that has an XDP program too.
            place.Run("ethtool", "-K", "eth0", "tx", "off");
            _peers.Add(NamespaceThread.Run(place, () => BpfLink.AttachXdp(
                PassAll(), PacketInterface.List().Single(found => found.Name == "eth0").Index, XdpAttachMode.Native, out _)));
        }

        return place;
    }

    private void FillTables()
    {
        var node = IpAddress.Parse("192.168.1.254");
        var node6 = IpAddress.Parse("fd00:1::fe");
        PacketNode.Ok(Map("settings").Update(0u, new SettingsValue
        {
            NodeIpv4 = node,
            NodeIpv6 = node6,
            MasqueradeFirst = 61000,
            MasqueradeLast = 65535,
            TcpTimeout = 86400,
            TcpOpeningTimeout = 60,
            TcpClosingTimeout = 10,
            UdpTimeout = 120,
            SctpTimeout = 120,
        }));
        foreach (string address in new[] { "192.168.1.254", "192.168.2.254", "10.244.0.254", "fd00:1::fe", "fd00:2::fe", "fd00:3::fe" })
        {
            PacketNode.Ok(Map("node_addresses").Update(
                (NetworkAddress)IpAddress.Parse(address), NodeAddressFlags.Source | NodeAddressFlags.Ports));
        }

        foreach ((string address, int length) in new[] { ("10.244.0.0", 16), ("fd00:3::", 64) })
        {
            PacketNode.Ok(Map("pod_ranges").Update(AddressRangeKey.From(new AddressRange(IpAddress.Parse(address), length)), 1u));
        }
    }
}

/// <summary>With tc only, as on any virtual interface; offloads are as the kernel has them.</summary>
public sealed class TcNetwork() : PacketNetwork(XdpChoice.Automatic);

/// <summary>With XDP in the driver.</summary>
public sealed class XdpNetwork() : PacketNetwork(XdpChoice.Native);
