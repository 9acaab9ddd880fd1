// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Services;

/// <summary>
/// A <see cref="ServiceNode"/> with the service load balancer on it: both layers of the data plane, and a proxy in this process that is
/// told what the cluster is. Sockets are opened in its namespaces by this process, see <see cref="Open"/>.
/// </summary>
/// <remarks>Not for use by several threads at once: which control group this process is in decides whether a socket is served.</remarks>
public sealed class ServiceLab : IDisposable
{
    // socket(2), for what System.Net.Sockets has no name for.
    private const int InternetFamily = 2;
    private const int RawType = 3;
    private const int CloseOnExec = 0x80000;
    private const int Backlog = 128;

    private readonly string _root = Directory.CreateTempSubdirectory("pronghorn-lb-").FullName;
    private readonly ProcessGroup _group;
    private readonly SocketLayer _sockets;
    private readonly PacketLayer _packets;
    private readonly SocketTerminator _terminator;
    private readonly IProblemSink _problems;

    /// <summary>Builds it. Needs root.</summary>
    /// <param name="node">The namespaces; they are disposed with this.</param>
    /// <param name="edges">Names of the node's interfaces that are edges; the other ones named "pod..." are pods'.</param>
    /// <param name="problems">Is told of what is wrong with the objects.</param>
    public ServiceLab(ServiceNode node, IReadOnlyList<string> edges, IProblemSink problems)
    {
        ArgumentNullException.ThrowIfNull(node);
        Node = node;
        _problems = problems;
        _group = new ProcessGroup(node.ControlGroupPath);
        Pins = new PinLayout("lab", _root);
        _sockets = new SocketLayer(Pins);
        _packets = new PacketLayer(Pins);
        _terminator = new SocketTerminator(Pins, endsTcp: false);
        _sockets.Start(node.ControlGroupPath, Sizes);
        Facts = new NodeFacts { Name = "node-1" };
        NodeCookie = InNode(() =>
        {
            _packets.Start(new PacketLayerOptions { EdgeInterfaces = [.. edges], PodInterfaces = ["pod*"], Xdp = XdpChoice.Off }, Sizes);
            int result = NamespaceCookie.TryGet(out ulong cookie);
            return result == 0 ? cookie : throw new LabException($"the cookie of the node's namespace is not to be had ({result})");
        });
        Store = new BpfMapStore(Pins, (int)Sizes.MaglevSize);
        Proxy = CreateProxy();
    }

    /// <summary>Sizes of the maps: small, so that they are made quickly.</summary>
    public static MapSizes Sizes { get; } = new()
    {
        Services = 2000,
        Slots = 2000,
        Backends = 2000,
        Members = 2000,
        SourceRanges = 500,
        ServiceCounts = 2000,
        Affinity = 2000,
        MaglevSets = 100,
        MaglevSize = 251,
        Sockets = 4000,
        Connections = 16_384,
    };

    /// <summary>The namespaces.</summary>
    public ServiceNode Node { get; }

    /// <summary>Where the maps are pinned.</summary>
    public PinLayout Pins { get; }

    /// <summary>The maps.</summary>
    public BpfMapStore Store { get; }

    /// <summary>Cookie of the node's network namespace.</summary>
    public ulong NodeCookie { get; }

    /// <summary>What the proxy knows of the node.</summary>
    public NodeFacts Facts { get; private set; }

    /// <summary>The proxy that works now.</summary>
    public ServiceProxy Proxy { get; private set; }

    /// <summary>Puts a proxy that knows nothing yet in the place of the one before, as a restart does; the maps stay as they are.</summary>
    public ServiceProxy Restart(NodeFacts facts)
    {
        Facts = facts;
        return Proxy = CreateProxy();
    }

    /// <summary>Tells the proxy of changes; afterwards the maps say the same, and the sockets of backends that went are ended.</summary>
    public async Task ApplyAsync(params ClusterChange[] changes)
    {
        ArgumentNullException.ThrowIfNull(changes);
        Channel<ClusterChange> channel = Channel.CreateUnbounded<ClusterChange>();
        foreach (ClusterChange change in changes)
        {
            channel.Writer.TryWrite(change);
        }

        channel.Writer.Complete();
        await Proxy.RunAsync(channel.Reader, CancellationToken.None);
        EndStaleSockets();
    }

    /// <summary>Ends the UDP sockets whose backend no service has any more.</summary>
    public TerminationResult EndStaleSockets()
    {
        HashSet<BackendEnd> alive =
        [
            .. from service in Proxy.ReadServices()
               from port in service.Ports
               from backend in port.ClusterBackends.Concat(port.LocalBackends)
               select new BackendEnd(backend.Address, backend.Port, backend.Protocol),
        ];
        return _terminator.Terminate(end => !alive.Contains(end));
    }

    /// <summary>Forgets what the packet layer remembers of earlier connections.</summary>
    public void ForgetConnections()
    {
        using BpfMap map = BpfMap.OpenPinned(Pins.Map("connections"));
        List<ConnectionKey> keys = [];
        _ = map.ReadKeys(keys);
        keys.ForEach(key => _ = map.Delete(key));
    }

    /// <summary>Opens sockets in a namespace. Those in the node and in pods are served at the socket, unless they are servers.</summary>
    /// <param name="place">The namespace.</param>
    /// <param name="protocol">TCP, UDP or SCTP; the last are raw sockets.</param>
    /// <param name="local">Where to bind them; null: not at all.</param>
    /// <param name="isServer">Whether they stand outside the control group, as those outside the node always do.</param>
    /// <param name="isIpv6">Whether they are IPv6 sockets, where they are not bound.</param>
    /// <param name="count">How many.</param>
    public Socket[] Open(
        NetworkNamespace place, IpProtocol protocol, IPEndPoint? local, bool isServer = false, bool isIpv6 = false, int count = 1)
    {
        _group.SetInside(!isServer && !ReferenceEquals(place, Node.External));
        bool isTcp = protocol == IpProtocol.Tcp;
        AddressFamily family = local?.AddressFamily ?? (isIpv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork);
        return NamespaceThread.Run(place, () => Enumerable.Range(0, count).Select(_ =>
        {
            Socket socket = protocol == IpProtocol.Sctp
                ? OpenRaw()
                : new Socket(family, isTcp ? SocketType.Stream : SocketType.Dgram, isTcp ? ProtocolType.Tcp : ProtocolType.Udp);
            if (isTcp)
            {
                // Ends by a reset, so that no port stays behind.
                socket.LingerState = new LingerOption(true, 0);
            }

            if (isTcp && isServer)
            {
                ServerSocket.Listen(socket, local!, Backlog);
            }
            else if (local is not null)
            {
                socket.Bind(local);
            }

            return socket;
        }).ToArray());
    }

    /// <summary>A server's socket: listens where the protocol has that.</summary>
    public Server Listen(NetworkNamespace place, IpProtocol protocol, IPEndPoint local)
    {
        ArgumentNullException.ThrowIfNull(local);
        Socket socket = Open(place, protocol, protocol == IpProtocol.Sctp ? new IPEndPoint(local.Address, 0) : local, isServer: true)[0];
        return new Server(socket, local, protocol);
    }

    /// <summary>Removes everything.</summary>
    public void Dispose()
    {
        Store.Dispose();
        _sockets.Stop();
        _packets.Stop();
        _packets.Dispose();
        Pins.Remove();
        _group.Dispose();
        Node.Dispose();
        LabCommand.Run("umount", _root);
        Directory.Delete(_root);
    }

    private static Socket OpenRaw()
    {
        int result = Libc.Socket(InternetFamily, RawType | CloseOnExec, (int)IpProtocol.Sctp);
        return result >= 0
            ? new Socket(new SafeSocketHandle(result, ownsHandle: true))
            : throw new LabException($"a raw socket for SCTP is not to be had ({result})");
    }

    private T InNode<T>(Func<T> code) => NamespaceThread.Run(Node.Node, code);

    private ServiceProxy CreateProxy() => new(
        Store,
        new ServiceProxyOptions
        {
            Node = Facts,
            NodeCookie = NodeCookie,
            MaglevSize = (int)Sizes.MaglevSize,
            Connections = new ConnectionSettings(),
        },
        _problems);
}
