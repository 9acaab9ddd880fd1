// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>
/// The balancer, whole: a directory of manifests that is followed, the proxy, maps, and both layers of programs on the node. It runs in
/// this process.
/// </summary>
internal sealed class PronghornWay : ServiceWay
{
    private const ushort DeviceRedirect = 1;
    private const string InstancePrefix = "bench-";

    private readonly CancellationTokenSource _stop = new();
    private readonly PinLayout _pins;
    private readonly string _manifests;
    private readonly ProblemList _problems = new();
    private readonly List<Task> _running = [];
    private readonly PacketLayer _packets;
    private readonly XdpChoice _xdp;
    private BpfMapStore? _maps;
    private TimedMapStore? _timed;

    /// <summary>Names the way; starts nothing.</summary>
    /// <param name="node">Where.</param>
    /// <param name="xdp">How packets are taken at the edge.</param>
    internal PronghornWay(ServiceNode node, XdpChoice xdp)
        : base(Pronghorn, node)
    {
        _xdp = xdp;
        _pins = new PinLayout(InstancePrefix + node.Name);
        _packets = new PacketLayer(_pins);
        _manifests = Directory.CreateTempSubdirectory("pronghorn-manifests-").FullName;
    }

    /// <inheritdoc/>
    internal override bool OwnsEdge => _xdp == XdpChoice.Native;

    /// <summary>What the packet layer had to say.</summary>
    internal IReadOnlyList<string> Notices => _packets.Notices;

    /// <inheritdoc/>
    internal override TimeSpan? LastWrite => _timed?.Elapsed;

    /// <summary>Removes what killed benchmarks left on the BPF file system.</summary>
    internal static void RemoveStale()
    {
        string? above = Path.GetDirectoryName(new PinLayout().Folder);
        foreach (string folder in Directory.Exists(above) ? Directory.GetDirectories(above, InstancePrefix + "*") : [])
        {
            string instance = Path.GetFileName(folder);
            if (LabCleanup.TryGetMaker(instance[InstancePrefix.Length..], out int maker) && !Directory.Exists($"/proc/{maker}"))
            {
                new PinLayout(instance).Remove();
            }
        }
    }

    /// <inheritdoc/>
    internal override void Start()
    {
        try
        {
            var sizes = new MapSizes();
            new SocketLayer(_pins).Start(Node.ControlGroupPath, sizes);
            NamespaceThread.Run(Node.Node, () => StartPackets(sizes));
            _maps = new BpfMapStore(_pins, (int)sizes.MaglevSize);
            _timed = new TimedMapStore(_maps);
        }
        catch (BpfException failure)
        {
            throw new CommandException(failure.Message);
        }
    }

    /// <inheritdoc/>
    internal override void Load(BenchmarkCluster cluster, TimeSpan limit, CancellationToken cancellation)
    {
        ServiceManifests.WriteAll(cluster, _manifests);
        var proxy = new ServiceProxy(_timed!, Options(), _problems);
        Channel<ClusterChange> changes = Channel.CreateUnbounded<ClusterChange>();
        _running.Add(new ManifestDirectory(_manifests).RunAsync(changes.Writer, _problems, _stop.Token));
        _running.Add(Task.Run(() => proxy.RunAsync(changes.Reader, _stop.Token), CancellationToken.None));
        if (!proxy.Synchronized.Wait((int)limit.TotalMilliseconds, cancellation))
        {
            throw new CommandException($"not loaded within {limit.TotalSeconds} s {_problems.First}");
        }

        if (_problems.First.Length > 0)
        {
            // What went wrong was mended by the proxy; whether all is served, connections tell.
            Terminal.Note($"    {Name}: on the way {_problems.First}");
        }
    }

    /// <summary>Lets XDP send to an interface at once; its other end must be able to take such frames.</summary>
    internal void RedirectTo(int interfaceIndex)
    {
        using BpfMap devices = BpfMap.OpenPinned(_pins.Map("devices"));
        var device = new DeviceValue { Lower = (uint)interfaceIndex, Flags = DeviceRedirect };
        int result = devices.Update((uint)interfaceIndex, device);
        if (result < 0)
        {
            throw new CommandException($"the map of devices: error {-result}");
        }
    }

    /// <inheritdoc/>
    internal override void PrepareAdding(BenchmarkCluster cluster, int service) => _timed!.Restart();

    /// <inheritdoc/>
    internal override void Add(BenchmarkCluster cluster, int service, CancellationToken cancellation) =>
        ServiceManifests.Add(cluster, service, _manifests);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _stop.Cancel();
        try
        {
            Task.WaitAll([.. _running], TimeSpan.FromSeconds(5));
        }
        catch (AggregateException failure) when (failure.InnerExceptions.All(one => one is OperationCanceledException))
        {
            // That is how they end.
        }

        _maps?.Dispose();
        _packets.Stop();
        new SocketLayer(_pins).Stop();
        _pins.Remove();
        _stop.Dispose();
        Directory.Delete(_manifests, recursive: true);
        base.Dispose(disposing);
    }

    private bool StartPackets(MapSizes sizes)
    {
        _packets.Start(
            new PacketLayerOptions { EdgeInterfaces = [ServiceNode.EdgeInterface], PodInterfaces = ["pod*"], Xdp = _xdp }, sizes);
        return true;
    }

    private ServiceProxyOptions Options()
    {
        _ = AddressRange.TryParse(ServiceNode.PodRange, out AddressRange pods);
        return new ServiceProxyOptions
        {
            Node = new NodeFacts
            {
                Name = "bench",
                PrimaryAddresses = [IpAddress.Parse(ServiceNode.NodeAddress)],
                Addresses = [IpAddress.Parse(ServiceNode.NodeAddress), IpAddress.Parse(ServiceNode.GatewayAddress)],
                PodRanges = [pods],
            },
            NodeCookie = NamespaceThread.Run(Node.Node, () => NamespaceCookie.TryGet(out ulong cookie) == 0 ? cookie : 0),
            Connections = new ConnectionSettings
            {
                NodePortFirst = BenchmarkCluster.FirstNodePort,
                UdpTimeout = PacketMeasurements.FlowTimeout,
                NodePortLast = BenchmarkCluster.FirstNodePort + BenchmarkCluster.MaximumNodePorts,
            },
        };
    }

    /// <summary>Keeps the first problem, for the message.</summary>
    private sealed class ProblemList : IProblemSink
    {
        private Problem? _first;

        internal string First => _first is { } problem ? $"({problem})" : "";

        public void Report(Problem problem) => Interlocked.CompareExchange(ref _first, problem, null);
    }
}
